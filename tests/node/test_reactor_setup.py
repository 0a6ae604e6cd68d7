"""Timers keep their time while the time of day is set back, and turns are bounded."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.base import ReactorBase
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock

from wampush.node.reactor_setup import TURN_EVENTS, bound_turns, use_monotonic_clock

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


def test_a_turn_handles_a_bounded_number_of_descriptors(reactor: Any) -> None:
    busy: list[int] = []
    handled: list[int] = []

    class Ready:
        """One end of a pair of sockets that has something to read."""

        def __init__(self) -> None:
            self.near, self.far = socket.socketpair()
            self.far.send(b"x")

        def fileno(self) -> int:
            return self.near.fileno()

        def doRead(self) -> None:  # noqa: N802 - Twisted's name
            handled.append(self.near.fileno())
            self.near.recv(1)

        def logPrefix(self) -> str:  # noqa: N802 - Twisted's name
            return "ready"

        def close(self) -> None:
            self.near.close()
            self.far.close()

    bound_turns(reactor, lambda: busy.append(len(handled)))
    sockets = [Ready() for _ in range(TURN_EVENTS + 5)]
    for each in sockets:
        reactor.addReader(each)
    reactor.doPoll(1)
    assert (len(handled), busy) == (TURN_EVENTS, [0])
    reactor.doPoll(1)
    assert set(handled) >= {each.fileno() for each in sockets}
    assert len(busy) == 1
    for each in sockets:
        reactor.removeReader(each)
        each.close()


def test_turns_of_another_reactor_are_left_alone() -> None:
    clock = Clock()
    bound_turns(clock, lambda: None)
    assert "_poller" not in vars(clock)
