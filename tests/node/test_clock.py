"""The reactor's clock: timers keep their time while the time of day is set back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.base import ReactorBase
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock

from wampush.node.clock import use_monotonic_clock

HOUR = 3600.0


class TimeOfDay:
    """The time of day, which can be set back."""

    def __init__(self) -> None:
        self.offset = 0.0

    def seconds(self) -> float:
        return time.time() + self.offset


@pytest.fixture
def time_of_day(monkeypatch: pytest.MonkeyPatch) -> TimeOfDay:
    clock = TimeOfDay()
    monkeypatch.setattr(ReactorBase, "seconds", staticmethod(clock.seconds))
    return clock


@pytest.fixture
def reactor() -> Iterator[Any]:
    """A reactor that is not the installed one."""
    made = EPollReactor()
    yield made
    made.removeAll()
    made._poller.close()


def fires(reactor: Any, fired: list[str], word: str) -> Callable[[float], bool]:
    """Waits for a timer, which is due long before."""

    def within(patience: float) -> bool:
        end = time.monotonic() + patience
        while word not in fired and time.monotonic() < end:
            reactor.runUntilCurrent()
        return word in fired

    return within


def test_a_clock_that_is_set_back_stops_no_timer(time_of_day: TimeOfDay, reactor: Any) -> None:
    fired: list[str] = []
    reactor.callLater(0.01, fired.append, "before")
    use_monotonic_clock(reactor)
    reactor.callLater(0.02, fired.append, "after")
    time_of_day.offset = -HOUR
    assert fires(reactor, fired, "after")(5)
    assert fired == ["before", "after"]


def test_without_it_they_would_stop(time_of_day: TimeOfDay, reactor: Any) -> None:
    fired: list[str] = []
    reactor.callLater(0.01, fired.append, "before")
    time_of_day.offset = -HOUR
    assert not fires(reactor, fired, "before")(0.05)


def test_a_timer_is_moved_by_its_own_time(reactor: Any) -> None:
    use_monotonic_clock(reactor)
    call = reactor.callLater(100, print)
    assert 99 < call.getTime() - time.monotonic() <= 100
    call.reset(50)
    assert 49 < call.getTime() - time.monotonic() <= 50


def test_a_clock_in_memory_stays() -> None:
    clock: Any = Clock()
    use_monotonic_clock(clock)
    clock.advance(5)
    assert clock.seconds() == 5
