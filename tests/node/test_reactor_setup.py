"""Timers keep their time while the time of day is set back, and turns are bounded."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.base import ReactorBase
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock

from wampush.node.reactor_setup import (
    LEAST_TURN_EVENTS,
    LONG_TURN_SECONDS,
    TURN_EVENTS,
    bound_turns,
    use_monotonic_clock,
)

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


class Ready:
    """One end of a pair of sockets that has something to read.

    :param handled: gets its descriptor each time it is read.
    :param read: called meanwhile.
    """

    def __init__(self, handled: list[int], read: Callable[[], object] = lambda: None) -> None:
        self.near, self.far = socket.socketpair()
        self.far.send(b"x")
        self._handled = handled
        self._read = read

    def fileno(self) -> int:
        return self.near.fileno()

    def doRead(self) -> None:  # noqa: N802 - Twisted's name
        self._handled.append(self.near.fileno())
        self._read()

    def logPrefix(self) -> str:  # noqa: N802 - Twisted's name
        return "ready"

    def close(self) -> None:
        self.near.close()
        self.far.close()


@contextlib.contextmanager
def ready_sockets(reactor: Any, sockets: list[Ready]) -> Iterator[None]:
    """Has the reactor read sockets until the block ends."""
    for each in sockets:
        reactor.addReader(each)
    yield
    for each in sockets:
        reactor.removeReader(each)
        each.close()


def test_a_turn_handles_a_bounded_number_of_descriptors(reactor: Any) -> None:
    busy: list[int] = []
    handled: list[int] = []
    bound_turns(reactor, lambda: busy.append(len(handled)))
    sockets = [Ready(handled) for _ in range(TURN_EVENTS + 5)]
    with ready_sockets(reactor, sockets):
        reactor.doPoll(1)
        assert (len(handled), busy) == (TURN_EVENTS, [0])
        reactor.doPoll(1)
        assert set(handled) >= {each.fileno() for each in sockets}


def test_long_turns_handle_fewer_descriptors_and_all_get_their_turn(reactor: Any) -> None:
    clock = Clock()
    handled: list[int] = []
    bound_turns(reactor, lambda: None, clock.seconds)
    cost = LONG_TURN_SECONDS / 9
    sockets = [Ready(handled, lambda: clock.advance(cost)) for _ in range(TURN_EVENTS)]

    def turn() -> int:
        before = len(handled)
        reactor.doPoll(1)
        return len(handled) - before

    with ready_sockets(reactor, sockets):
        assert [turn() for _ in range(4)] == [TURN_EVENTS, TURN_EVENTS // 2, 8, 8]
        cost = LONG_TURN_SECONDS
        assert [turn() for _ in range(4)] == [8, 4, 4, LEAST_TURN_EVENTS]
        assert set(handled[-TURN_EVENTS:]) == {each.fileno() for each in sockets}
        cost = 0.0
        assert [turn() for _ in range(6)] == [4, 8, 16, TURN_EVENTS, TURN_EVENTS, TURN_EVENTS]


def test_turns_of_another_reactor_are_left_alone() -> None:
    clock = Clock()
    bound_turns(clock, lambda: None)
    assert "_poller" not in vars(clock)
