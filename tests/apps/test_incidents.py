"""What is logged of errors in application code, and how often."""

from __future__ import annotations

import pytest
from twisted.logger import formatEvent
from twisted.python.failure import Failure

from tests.apps.app_world import logging
from wampush.apps.incidents import Incidents


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def logged():
    """The events of the log."""
    with logging() as events:
        yield events


def failing(place: int) -> None:
    if place:
        raise ValueError(place)
    raise ValueError


def failing_with(text: str) -> None:
    raise ValueError(text)


def failure(place: int = 0) -> Failure:
    try:
        failing(place)
    except ValueError:
        return Failure()
    raise AssertionError


def test_a_line_has_further_fields(clock, logged):
    number = Incidents(clock).report("x", failure(), "app:echo", session="s1", address="192.0.2.1")
    (event,) = logged
    found = [event[name] for name in ("incident", "code", "session", "address")]
    assert found == [number, "app:echo", "s1", "192.0.2.1"]


def test_failures_of_one_place_share_a_number_for_a_second(clock, logged):
    incidents = Incidents(clock)
    first = incidents.report("one", failure())
    assert incidents.report("two", failure()) == first
    clock.now += 0.9
    assert incidents.report("three", failure()) == first
    clock.now += 0.1
    second = incidents.report("four", failure())
    assert second != first
    assert [event["action"] for event in logged] == ["one", "four"]
    assert [event["suffix"] for event in logged] == ["", " (2 similar messages suppressed)"]


def test_other_places_other_errors_and_other_code_are_other_incidents(clock, logged):
    incidents = Incidents(clock)
    numbers = {
        incidents.report("x", failure()),
        incidents.report("x", failure(1)),
        incidents.report("x", failure(), "other code"),
        incidents.report("x", Failure(KeyError("never raised"))),
        incidents.report("x", Failure(KeyError("never raised")), "other code"),
    }
    assert len(numbers) == len(logged) == 5


def test_lines_are_written_once_a_second_for_each_kind(clock, logged):
    incidents = Incidents(clock)
    for _ in range(5):
        incidents.warn("slow", "it is slow")
        incidents.warn("late", "it is late")
    clock.now += 1
    incidents.warn("slow", "it is slow")
    assert [formatEvent(event) for event in logged] == [
        "it is slow",
        "it is late",
        "it is slow (4 similar messages suppressed)",
    ]


def test_a_warning_has_fields(clock, logged):
    Incidents(clock).warn("slow", "{name} took {seconds:.1f} s", name="add", seconds=2)
    (event,) = logged
    assert (formatEvent(event), event["name"]) == ("add took 2.0 s", "add")


def test_endless_words_are_cut(clock, logged):
    Incidents(clock).report("x", Failure(ValueError("long " * 10_000)))
    (event,) = logged
    assert len(event["traceback"]) < 20_000


def test_what_a_terminal_would_obey_is_escaped(clock, logged):
    incidents = Incidents(clock)
    try:
        failing_with("\x1b[2J\x9b1m\u202eabc\r!")
    except ValueError:
        incidents.report("call of \x1b]0;x\x07", Failure())
    (event,) = logged
    text = formatEvent(event)
    assert "\\u001b[2J\\u009b1m\\u202eabc\\r!" in text
    assert all(line.isprintable() for line in text.split("\n"))


class AsyncLibraryNotFoundError(RuntimeError):
    """As anyio raises it."""


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (RuntimeError("no running event loop"), "needs a handler of an app with asyncio=True"),
        (RuntimeError("await wasn't used with future"), "with asyncio=True"),
        (AsyncLibraryNotFoundError("unknown"), "with asyncio=True"),
        (RuntimeError("Task got bad yield: <Deferred at 0x1>"), "cannot await a Deferred"),
    ],
)
def test_errors_about_the_wrong_loop_have_a_hint(logged, error, hint):
    Incidents().report("x", Failure(error))
    (event,) = logged
    last = formatEvent(event).splitlines()[-1]
    assert last.startswith("hint: ")
    assert hint in last


def test_other_errors_have_none(logged):
    Incidents().report("x", Failure(RuntimeError("no")))
    assert "hint" not in formatEvent(logged[0])
