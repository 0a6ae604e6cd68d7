"""What is logged about requests, and how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger, formatEvent

from wampush.net.outgoing_request_log import RequestLog


class Lines:
    """The lines of a request log whose clock a test sets."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.now = 0.0
        observer: Callable[[Any], None] = self.events.append
        log = Logger(namespace="wampush.test", observer=observer)  # type: ignore[arg-type]
        self.log = RequestLog(log, "webhooks", "http://shop/", lambda: self.now)

    @property
    def lines(self) -> list[str]:
        return [f"{event['log_level'].name} {formatEvent(event)}" for event in self.events]


def test_failures_are_logged_once_per_second() -> None:
    lines = Lines()
    for _ in range(3):
        lines.log.failed("call", "no response")
    lines.now = 1.0
    lines.log.failed("", "no response")
    assert lines.lines == [
        "warn webhooks http://shop/: call: no response",
        "warn webhooks http://shop/: no response (2 similar messages suppressed)",
    ]


def test_other_lines_are_always_logged() -> None:
    lines = Lines()
    for _ in range(2):
        lines.log.problem("call", "5 failures in a row")
        lines.log.recovered("call")
    assert (
        lines.lines
        == [
            "warn webhooks http://shop/: call: 5 failures in a row",
            "info webhooks http://shop/: call: responding again",
        ]
        * 2
    )


def test_clients_that_are_held_back_have_a_limit_of_their_own() -> None:
    lines = Lines()
    lines.log.failed("call", "no response")
    for _ in range(2):
        lines.log.held_back("call", 5, 10.0)
    assert lines.lines == [
        "warn webhooks http://shop/: call: no response",
        (
            "warn webhooks http://shop/: call: 5 failures in a row of one client; refusing its "
            "requests for 10 s"
        ),
    ]
