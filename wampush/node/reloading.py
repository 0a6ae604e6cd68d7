"""What SIGHUP does.

Owns: which files are read again, and the warning about settings that need a restart.
Must not import: ``node.service``; ``node.build`` for its types only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from wampush.config.load import LoadedSettings, changed_keys
from wampush.errors import OperatorError
from wampush.node.listening import ListeningSockets

if TYPE_CHECKING:
    from wampush.node.build import Node

_log = Logger(namespace="wampush.node")

#: Settings that a log line names.
_MAX_NAMED: Final = 10


def reload_files(node: Node, sockets: ListeningSockets) -> None:
    """Read the files again that may change while the daemon runs; each part logs its outcome."""
    node.pull.security.reload()
    node.redis.reload()
    node.authenticator.reload()
    if node.webhooks is not None:
        node.webhooks.reload()
    sockets.reload()


def compare_settings(running: LoadedSettings, load_again: Callable[[], LoadedSettings]) -> None:
    """Log which settings have changed since the start, and would apply after a restart only.

    :param running: the settings in force.
    :param load_again: reads the same sources as at the start.
    """
    try:
        found = load_again()
    except OperatorError as error:
        for line in str(error).splitlines():
            _log.error("SIGHUP: a restart would fail: {problem}", problem=line)
        return
    changed = changed_keys(running, found)
    if changed:
        named = ", ".join(changed[:_MAX_NAMED])
        more = len(changed) - _MAX_NAMED
        _log.warn(
            "SIGHUP: these settings have changed and need a restart: {keys}",
            keys=f"{named} and {more} more" if more > 0 else named,
        )
