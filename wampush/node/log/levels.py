"""Which events are logged.

Owns: the namespaces of the parts, and the level of each.
Must not import: the parts of a node.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from twisted.logger import LogLevel, LogLevelFilterPredicate

from wampush.config.settings import Settings
from wampush.config.tables.log import DEFAULT_LEVEL
from wampush.edges.access_log import NAMESPACE as ACCESS

_PACKAGE: Final = "wampush"


def level_filter(settings: Settings) -> LogLevelFilterPredicate:
    """Return the filter of events by the level of their namespace.

    :param settings: all of them; the names of applications show which namespaces are theirs.
    """
    chosen = LogLevelFilterPredicate(defaultLogLevel=_level(settings.log.level))
    for field in fields(settings.log_levels):
        name = getattr(settings.log_levels, field.name)
        if name != DEFAULT_LEVEL:
            for namespace in _namespaces(field.name, settings):
                chosen.setLogLevelForNamespace(namespace, _level(name))
    # The access log is on or off, whatever the level.
    chosen.setLogLevelForNamespace(ACCESS, LogLevel.info)
    return chosen


def _namespaces(part: str, settings: Settings) -> Iterator[str]:
    """Return the namespaces of a part: its own, and for ``apps`` those of the applications."""
    yield f"{_PACKAGE}.{part}"
    if part == "apps":
        for name in (*settings.apps, *(route.component for route in settings.routes)):
            module = name.partition(":")[0]
            package = module.partition(".")[0]
            # The examples are modules of wampush.
            yield module if package == _PACKAGE else package


def _level(name: str) -> Any:
    return LogLevel.levelWithName(name)
