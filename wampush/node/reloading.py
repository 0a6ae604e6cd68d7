"""What SIGHUP does.

Owns: which files are read again, and the warning about settings that need a restart.
Must not import: ``node.service``; ``node.build`` for its types only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from twisted.logger import Logger

from wampush.config.load import LoadedSettings, changed_keys
from wampush.errors import OperatorError
from wampush.node.listening import ListeningSockets

if TYPE_CHECKING:
    from wampush.edges.backplane.redis_bus import RedisBus
    from wampush.node.build import Node

_log = Logger(namespace="wampush.node")

#: Settings that a log line names.
_MAX_NAMED: Final = 10


def reload_files(node: Node, sockets: ListeningSockets) -> None:
    """Read the files again that may change while the daemon runs; each part logs its outcome."""
    node.pull.security.reload()
    node.redis.reload()
    if node.redis_bus is not None:
        reload_backplane(node.redis_bus)
    node.authenticator.reload()
    if node.webhooks is not None:
        node.webhooks.reload()
    sockets.reload()


def reload_backplane(bus: RedisBus) -> None:
    """Read password and certificates again; where that fails, the old ones stay in use."""
    try:
        bus.reload()
    except OperatorError as error:
        _log.warn(
            "backplane: could not reload the password and certificates, keeping the old ones: "
            "{error}",
            error=error,
        )
    else:
        _log.info("backplane: password and certificates reloaded; the next connection uses them")


class Comparison(NamedTuple):
    """What a second look at the configuration has found.

    :param changed: the names of settings that have changed, for people to read; "" for none.
    :param problem: what is wrong with the configuration; "" for nothing.
    """

    changed: str = ""
    problem: str = ""


def compare_settings(
    running: LoadedSettings, load_again: Callable[[], LoadedSettings], *, has_parent: bool = False
) -> Comparison:
    """Find, and log, which settings have changed since the start, and would apply after a restart.

    :param running: the settings in force.
    :param load_again: reads the same sources as at the start.
    :param has_parent: whether a parent process carries out the restart.
    """
    try:
        found = load_again()
    except OperatorError as error:
        for line in str(error).splitlines():
            _log.error("SIGHUP: a restart would fail: {problem}", problem=line)
        return Comparison(problem=str(error))
    changed = changed_keys(running, found)
    if not changed:
        return Comparison()
    more = len(changed) - _MAX_NAMED
    named = ", ".join(changed[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
    if not has_parent:
        _log.warn("SIGHUP: these settings have changed and need a restart: {keys}", keys=named)
    return Comparison(changed=named)
