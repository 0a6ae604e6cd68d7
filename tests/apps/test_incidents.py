"""What is logged of errors in application code, and how often."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.python.failure import Failure

from tests.apps.app_world import logging
from wampush.apps import incidents as module
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


def failure(place: int = 0) -> Failure:
    try:
        failing(place)
    except ValueError:
        return Failure()
    raise AssertionError


def test_failures_of_one_place_share_a_number_for_a_second(clock, logged):
    incidents = Incidents(clock)
    first = incidents.report("one", failure())
    assert incidents.report("two", failure()) == first
    clock.now += 0.9
    assert incidents.report("three", failure()) == first
    clock.now += 0.1
    second = incidents.report("four", failure())
    assert second != first
    assert [event["doing"] for event in logged] == ["one", "four"]
    assert [event["more"] for event in logged] == ["", " (2 more like it had no line)"]


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
        incidents.say("slow", "it is slow")
        incidents.say("late", "it is late")
    clock.now += 1
    incidents.say("slow", "it is slow")
    assert [event["line"] + event["more"] for event in logged] == [
        "it is slow",
        "it is late",
        "it is slow (4 more like it had no line)",
    ]


def test_what_is_remembered_is_bounded(clock, monkeypatch):
    monkeypatch.setattr(module, "_MOST_PLACES", 3)
    incidents = Incidents(clock)
    for kind in "abcde":
        incidents.say(kind, kind)
        incidents.say("a", "a")
    known: Any = incidents._shown
    assert list(known) == ["d", "e", "a"]


def test_endless_words_are_cut(clock, logged):
    Incidents(clock).report("x", Failure(ValueError("long " * 10_000)))
    (event,) = logged
    assert len(event["traceback"]) < 20_000
