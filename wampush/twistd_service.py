"""The service that twistd runs: the parent process, a node, or both in one.

Owns: which of them this process is. ``makeService`` and ``Options`` are what the plugin of twistd
names.
Must not import when it is loaded: what only a node needs, because the parent is to be up at once.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from wampush.control_channel import VARIABLE, WORKER_VARIABLE
from wampush.errors import OperatorError
from wampush.node.garbage_collection import paused_collector
from wampush.node.log.output import LogOutput, choose_output
from wampush.node.options import Options, account, message_of
from wampush.node.under_parent.worker import own_number, share_of

if TYPE_CHECKING:
    from twisted.application.service import Service

    from wampush.config.load import LoadedSettings

__all__ = ["Options", "makeService"]

_log = Logger(namespace="wampush.node")


def makeService(options: Options) -> Service:
    """Return the service that twistd runs.

    :raises SystemExit: this process has supervised a server instead, until it was asked to end.
    """
    if "supervise" in options:
        # The plugin has switched it off until a service starts.
        gc.enable()
        options["supervise"]()
        raise SystemExit(0)
    twistd: Mapping[str, Any] = getattr(options, "parent", None) or {}
    is_daemon = bool(twistd) and not (twistd.get("nodaemon") or twistd.get("debug"))
    sys.excepthook = partial(_show_error, is_daemon)
    loaded: LoadedSettings = options["loaded"]
    is_numbered = WORKER_VARIABLE in os.environ
    worker = own_number(os.environ)
    is_one_of_several = loaded.settings.process.workers > 1
    log_output = choose_output(twistd, loaded.settings, worker if is_one_of_several else 0)
    if VARIABLE not in os.environ:
        parent = _parent(options, log_output)
        if parent is not None:
            return parent
    elif is_one_of_several and not is_numbered:
        _log.warn(
            "process.workers = {workers}: there is one until a restart, because the parent process "
            "is of a version that does not know workers",
            workers=loaded.settings.process.workers,
        )

    with paused_collector():
        from wampush.node.service import WampushService
        from wampush.node.under_parent.link import ParentLink
    from wampush.node.under_parent.siblings import Siblings

    link = ParentLink.of(os.environ)
    return WampushService(
        share_of(worker, loaded),
        account(options),
        load_again=lambda: share_of(worker, options["load_again"]()),
        log_output=log_output,
        link=link,
        siblings=Siblings(worker, link),
    )


def _parent(options: Options, log_output: LogOutput | None) -> Service | None:
    """Return the service that makes this process the parent; None where it serves clients itself.

    :raises OperatorError: it would have to be several processes.
    """
    process = options["loaded"].settings.process
    reason = "this program makes its own service"
    if process.parent and getattr(options, "parent", None):
        from wampush.parent_service import ParentService, reason_against

        reason = reason_against(options)
        if not reason:
            return ParentService(options, log_output)
        _log.info("no parent process, because {reason}", reason=reason)
    if process.workers > 1:
        raise OperatorError(
            f"process.workers = {process.workers} needs the parent process, which cannot run "
            f"here: {reason}"
        )
    return None


def _show_error(
    is_daemon: bool,
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
) -> None:
    """Print an error, without a traceback if the operator can fix it; twistd would print one.

    :param is_daemon: whether nobody sees standard error, so that the log must tell it.
    """
    if not isinstance(error, OperatorError):
        sys.__excepthook__(kind, error, traceback)
        return
    print(message_of(error), file=sys.__stderr__)
    if is_daemon:
        for line in str(error).splitlines():
            _log.critical("wampush does not start: {problem}", problem=line)
