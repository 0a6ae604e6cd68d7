"""The service that twistd runs: the parent process, a node, or both in one.

Owns: which of them this process is. ``makeService`` and ``Options`` are what the plugin of twistd
names.
Must not import when it is loaded: what only a node needs, because the parent is to be up at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from wampush.control_channel import VARIABLE
from wampush.errors import OperatorError
from wampush.node.log.output import choose_output
from wampush.node.options import Options, account, message_of

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
        options["supervise"]()
        raise SystemExit(0)
    twistd: Mapping[str, Any] = getattr(options, "parent", None) or {}
    is_daemon = bool(twistd) and not (twistd.get("nodaemon") or twistd.get("debug"))
    sys.excepthook = partial(_show_error, is_daemon)
    loaded: LoadedSettings = options["loaded"]
    log_output = choose_output(twistd, loaded.settings)
    if loaded.settings.process.parent and twistd and VARIABLE not in os.environ:
        from wampush.parent_service import ParentService, reason_against

        reason = reason_against(options)
        if not reason:
            return ParentService(options, log_output)
        _log.info("no parent process, because {reason}", reason=reason)

    from wampush.node.service import WampushService
    from wampush.node.under_parent.link import ParentLink

    return WampushService(
        loaded,
        account(options),
        load_again=options["load_again"],
        log_output=log_output,
        link=ParentLink.of(os.environ),
    )


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
