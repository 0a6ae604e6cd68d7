"""Which events are logged."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import LogLevel, PredicateResult

from wampush.config.settings import Settings
from wampush.config.tables.log import LogLevelSettings, LogSettings
from wampush.config.tables.routes import RouteSettings
from wampush.node.log.levels import level_filter

SETTINGS = Settings(
    apps=("shop.live:app", "wampush.examples.chat:app"),
    routes=(RouteSettings(path="/board", component="board:Board"),),
    log=LogSettings(level="warn"),
    log_levels=LogLevelSettings(apps="debug", redis="error"),
)


def is_logged(settings: Settings, namespace: str, level: Any) -> bool:
    found = level_filter(settings)({"log_namespace": namespace, "log_level": level})
    return found is not PredicateResult.no


@pytest.mark.parametrize(
    ("namespace", "level", "expected"),
    [
        ("wampush.node", LogLevel.info, False),
        ("wampush.node", LogLevel.warn, True),
        ("twisted.web", LogLevel.info, False),
        ("wampush.redis", LogLevel.warn, False),
        ("wampush.redis", LogLevel.error, True),
        ("wampush.apps", LogLevel.debug, True),
        # What applications log themselves: their module, and others of their package.
        ("shop.live", LogLevel.debug, True),
        ("shop.stock", LogLevel.debug, True),
        ("board", LogLevel.debug, True),
        ("wampush.examples.chat", LogLevel.debug, True),
        ("wampush.examples.named_chat", LogLevel.info, False),
    ],
)
def test_the_level_of_a_part(namespace: str, level: Any, expected: bool) -> None:
    assert is_logged(SETTINGS, namespace, level) is expected


def test_the_access_log_does_not_depend_on_the_level() -> None:
    settings = Settings(log=LogSettings(level="critical"))
    assert is_logged(settings, "wampush.access", LogLevel.info)
    assert not is_logged(settings, "wampush.node", LogLevel.error)


def test_one_level_for_all_by_default() -> None:
    for namespace in ("wampush.node", "wampush.apps", "shop"):
        assert is_logged(Settings(), namespace, LogLevel.info)
        assert not is_logged(Settings(), namespace, LogLevel.debug)
