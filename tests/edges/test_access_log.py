"""The access log: what its lines say, and when they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.logger import LogLevel, capturedLogs, formatEvent

from wampush.edges import access_log
from wampush.edges.access_log import AccessLog


class Turns:
    """Counts the turns in which lines are written, on a clock that every look moves.

    :param step: seconds that pass with each look.
    """

    def __init__(self, step: float = 0.0) -> None:
        self.seconds = 0.0
        self.step = step
        self.scheduled: list[Callable[[], None]] = []
        self.log = AccessLog(self.call_later, self.now)

    def call_later(self, seconds: float, function: Callable[[], None]) -> None:
        assert seconds == 0
        self.scheduled.append(function)

    def now(self) -> float:
        self.seconds += self.step
        return self.seconds

    def run(self) -> int:
        """Run turns until nothing is scheduled; return how many there were."""
        count = 0
        while self.scheduled:
            (function,) = self.scheduled
            self.scheduled.clear()
            function()
            count += 1
        return count


def test_a_line_says_who_did_what_and_how_it_ended() -> None:
    turns = Turns()
    record = turns.log.begin("192.0.2.1")
    record.on_request("GET", "/events?topic=a&token=secret")
    record.received = 512
    record.on_sent(40)
    record.on_sent(2)
    record.user, record.session = "anna", "s1"
    turns.seconds += 1.23456
    turns.log.end(record, "peer-closed")
    with capturedLogs() as events:
        assert turns.run() == 1
    (event,) = events
    assert formatEvent(event) == (
        "192.0.2.1: GET /events: peer-closed after 1.235 s, 512 bytes received, 42 sent, "
        "user anna, session s1"
    )
    assert event["log_namespace"] == "wampush.access"
    assert event["log_level"] is LogLevel.info
    assert event["seconds"] == 1.235


def test_what_is_not_known_is_left_out() -> None:
    turns = Turns()
    with capturedLogs() as events:
        turns.log.end(turns.log.begin("unix socket"), "peer-lost")
        turns.run()
    (event,) = events
    assert formatEvent(event) == (
        "unix socket: no request: peer-lost after 0.0 s, 0 bytes received, 0 sent"
    )


def test_braces_and_endless_paths_do_no_harm() -> None:
    turns = Turns()
    record = turns.log.begin("{address}")
    record.on_request("GET", "/{x}" + "y" * 10_000)
    record.user = "{user}"
    with capturedLogs() as events:
        turns.log.end(record, "200")
        turns.run()
    line = formatEvent(events[0])
    assert line.startswith("{address}: GET /{x}yyy")
    assert line.endswith(", user {user}")
    assert len(line) < 300


def test_many_lines_take_several_turns() -> None:
    turns = Turns(access_log.TURN_SECONDS / 4)
    with capturedLogs() as events:
        for _ in range(10):
            turns.log.end(turns.log.begin("a"), "peer-lost")
        assert events == []
        assert turns.run() > 2
    assert len(events) == 10


def test_the_end_of_the_process_waits_for_no_turn() -> None:
    turns = Turns()
    with capturedLogs() as events:
        for _ in range(3):
            turns.log.end(turns.log.begin("a"), "server-stopped")
        turns.log.flush()
        assert len(events) == 3
        turns.run()
    assert len(events) == 3


def test_lines_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "MOST_WAITING", 2)
    turns: Any = Turns()
    with capturedLogs() as events:
        for _ in range(5):
            turns.log.end(turns.log.begin("a"), "peer-lost")
        turns.run()
        turns.log.end(turns.log.begin("a"), "peer-lost")
        turns.run()
    assert [each["log_level"] for each in events] == [
        *(LogLevel.info, LogLevel.info, LogLevel.warn, LogLevel.info)
    ]
    assert formatEvent(events[2]) == (
        "3 lines of the access log were left out, because 2 were waiting"
    )
