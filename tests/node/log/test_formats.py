"""The forms of a log line."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from twisted.logger import LogEvent, LogLevel, formatTime
from twisted.python.failure import Failure

from wampush.node.log.formats import json_line, text_line, text_without_time

AT = 1_700_000_000.5


def event(message: str = "café {n} {thing}", **more: object) -> LogEvent:
    return {
        "log_format": message,
        "log_level": LogLevel.warn,
        "log_namespace": "wampush.node",
        "log_time": AT,
        "n": 3,
        "thing": {"a": 1},
        # As Twisted adds them for old observers.
        "time": AT,
        "system": "x",
        "isError": 0,
        "message": (),
        **more,
    }


def test_text() -> None:
    assert text_line(event()) == f"{formatTime(AT)} [wampush.node#warn] café 3 {{'a': 1}}\n"
    assert text_line(event("")) == ""
    assert text_without_time(event("a\nb")) == "[wampush.node#warn] a\n\tb"


def test_what_a_terminal_would_obey_is_escaped() -> None:
    sent = event("a\x1b[2J\x9b\u202e\nb\r")
    assert text_without_time(sent) == "[wampush.node#warn] a\\u001b[2J\\u009b\\u202e\n\tb\\r"
    assert text_line(sent).endswith(" a\\u001b[2J\\u009b\\u202e\n\tb\\r\n")


def test_json() -> None:
    line = json_line(event())
    assert line.endswith("\n")
    assert line.isascii()
    found = json.loads(line)
    assert datetime.fromisoformat(found["time"][:19])
    del found["time"]
    assert found == {
        "level": "warn",
        "logger": "wampush.node",
        "message": "café 3 {'a': 1}",
        "fields": {"n": 3},
    }


def test_json_is_one_line_with_the_traceback() -> None:
    with pytest.raises(ValueError, match="x") as caught:
        raise ValueError("x")
    line = json_line(event("a\nb", log_failure=Failure(caught.value)))
    assert line.count("\n") == 1
    found = json.loads(line)
    assert found["message"] == "a\nb"
    assert "ValueError: x" in found["traceback"]


def test_json_of_an_event_with_nothing() -> None:
    assert json.loads(json_line({"log_time": AT}))["message"] == ""


def test_a_line_of_one_of_several_workers_says_which() -> None:
    line = text_line(event("a]\nb"), 2)
    assert line == f"{formatTime(AT)} [wampush.node#warn] worker 2: a]\n\tb\n"
    assert text_line(event(""), 2) == ""
    assert text_without_time(event("a"), 2) == "[wampush.node#warn] worker 2: a"
    found = json.loads(json_line(event("a"), 2))
    assert list(found) == ["time", "level", "logger", "worker", "message", "fields"]
    assert (found["worker"], found["message"]) == (2, "a")
