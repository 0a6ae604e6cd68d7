"""Timers keep their time while the time of day is set back, and turns are bounded."""

from __future__ import annotations

import contextlib
import inspect
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.base import ReactorBase
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from wampush.node.reactor_setup import (
    LEAST_TURN_EVENTS,
    LONG_TURN_SECONDS,
    TURN_EVENTS,
    bound_turns,
    handle_directly,
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


@pytest.fixture
def direct(reactor: Any) -> Any:
    """A reactor that handles descriptors directly."""
    bound_turns(reactor, lambda: None)
    handle_directly(reactor)
    return reactor


def test_a_direct_turn_handles_what_is_ready(direct: Any) -> None:
    handled: list[int] = []
    sockets = [Ready(handled) for _ in range(3)]
    with ready_sockets(direct, sockets):
        direct.doIteration(1)
        assert sorted(handled) == sorted(each.fileno() for each in sockets)


def test_a_direct_turn_is_bounded(direct: Any) -> None:
    handled: list[int] = []
    with ready_sockets(direct, [Ready(handled) for _ in range(TURN_EVENTS + 5)]):
        direct.doIteration(1)
        assert len(handled) == TURN_EVENTS


def test_a_direct_turn_waits_for_its_time(direct: Any) -> None:
    begun = time.monotonic()
    direct.doIteration(0.02)
    assert time.monotonic() - begun >= 0.019
    direct.callFromThread(lambda: None)
    # The call wakes the reactor, so this ends.
    direct.doIteration(None)


def test_only_a_bounded_reactor_handles_directly(reactor: Any) -> None:
    handle_directly(reactor)
    assert "doIteration" not in vars(reactor)
    clock = Clock()
    handle_directly(clock)
    assert "doIteration" not in vars(clock)


def test_iterations_follow_each_other_until_there_is_something_else_to_do(direct: Any) -> None:
    done: list[str] = []
    handled: list[int] = []
    checks: list[int] = []
    steps: list[Callable[[], object]] = [
        lambda: direct.callLater(0, done.append, "timer"),
        lambda: direct.callFromThread(done.append, "thread"),
        lambda: done.append("nothing"),
        lambda: direct.callLater(0.001, done.append, "later"),
    ]

    def read() -> None:
        # The socket stays readable, so each iteration calls this.
        if len(handled) <= len(steps):
            steps[len(handled) - 1]()
        elif done[-1] == "later":
            done.append("end")
            direct.stop()

    run_until_current = direct.runUntilCurrent

    def count() -> None:
        checks.append(len(handled))
        run_until_current()

    direct.runUntilCurrent = count
    with ready_sockets(direct, [Ready(handled, read)]):
        direct.run(installSignalHandlers=False)
    assert done == ["timer", "thread", "nothing", "later", "end"]
    # The reactor looks after the first two reads, and not after one that asks for nothing.
    assert checks[:3] == [0, 1, 2]
    assert 3 not in checks


class Ending(Ready):
    """A socket whose end the reactor reports."""

    def __init__(self, handled: list[int], read: Callable[[], object] = lambda: None) -> None:
        super().__init__(handled, read)
        self.lost: list[Failure] = []

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        self.lost.append(reason)


@pytest.fixture
def failures() -> Iterator[list[Failure]]:
    """What is logged with a traceback."""
    found: list[Failure] = []

    def observe(event: LogEvent) -> None:
        if "log_failure" in event:
            found.append(event["log_failure"])

    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    yield found
    globalLogPublisher.removeObserver(observer)


def fail() -> None:
    raise RuntimeError("a defect")


def test_code_that_fails_ends_its_own_descriptor(direct: Any) -> None:
    handled: list[int] = []
    broken, sound = Ending(handled, fail), Ending(handled)
    with ready_sockets(direct, [broken, sound]):
        direct.doIteration(1)
        assert len(handled) == 2
        assert [each.type for each in broken.lost] == [RuntimeError]
        assert sound.lost == []
        assert direct.getReaders().count(broken) == 0


def test_an_end_that_fails_does_not_stop_the_turn(direct: Any, failures: list[Failure]) -> None:
    handled: list[int] = []
    # The first one fails, and has no connectionLost.
    sockets = [Ready(handled, fail), Ready(handled), Ready(handled)]
    with ready_sockets(direct, sockets):
        direct.doIteration(1)
        assert len(handled) == 3
    assert [each.type for each in failures] == [AttributeError]


def test_what_is_removed_in_a_turn_is_not_handled_in_it(direct: Any) -> None:
    handled: list[int] = []
    sockets: list[Ready] = []

    def remove_others() -> None:
        for each in sockets:
            if each.fileno() != handled[0]:
                direct.removeReader(each)

    sockets += [Ready(handled, remove_others) for _ in range(5)]
    with ready_sockets(direct, sockets):
        direct.doIteration(1)
        assert len(handled) == 1


@pytest.mark.parametrize("is_direct", [True, False])
def test_an_event_of_a_closed_descriptor_does_not_reach_the_next_one(
    reactor: Any, is_direct: bool
) -> None:
    """A connection is closed in a turn, and another one gets its descriptor in the same turn."""
    bound_turns(reactor, lambda: None)
    if is_direct:
        handle_directly(reactor)
    handled: list[int] = []
    successors: list[Ending] = []
    pair: list[Ending] = []

    def replace_other() -> None:
        if successors:
            return
        other = next(each for each in pair if each.fileno() != handled[0])
        descriptor = other.fileno()
        reactor.removeReader(other)
        successor = Ending(handled)
        other.near.close()
        # As the kernel does when the descriptor is the lowest that is free.
        os.dup2(successor.near.fileno(), descriptor)
        successor.near.close()
        successor.near = socket.socket(fileno=descriptor)
        reactor.addReader(successor)
        successors.append(successor)

    pair += [Ending(handled, replace_other) for _ in range(2)]
    for each in pair:
        reactor.addReader(each)
        # Read first, so that the event of the other one is nothing but its end.
        each.near.recv(1)
        each.far.shutdown(socket.SHUT_RDWR)
        each.near.shutdown(socket.SHUT_RDWR)
    # The first one is reported as readable, the second one as ended.
    events = [(pair[0].fileno(), select.EPOLLIN), (pair[1].fileno(), select.EPOLLHUP)]
    vars(reactor)["_poller"].poll = lambda *_: events
    if is_direct:
        handle_directly(reactor)
    reactor.doIteration(0)
    (successor,) = successors
    ended = [each.type for each in successor.lost]
    # Twisted's own turn ends it, which is why this one looks whose event it is.
    assert ended == ([] if is_direct else [ConnectionDone])
    for each in (*pair, successor):
        reactor.removeReader(each)
        each.close()


# A new Twisted. What is tested here are assumptions of the module, not what Twisted promises.


def test_twisted_iterates_as_before() -> None:
    assert EPollReactor.doIteration is EPollReactor.doPoll
    assert "self.doIteration(t)" in inspect.getsource(ReactorBase.mainLoop)
    assert "self.doIteration(delay)" in inspect.getsource(ReactorBase.iterate)
    assert set(EPollReactor.doPoll.__code__.co_names) == {
        "_poller",
        "poll",
        "len",
        "_selectables",
        "OSError",
        "errno",
        "EINTR",
        "_doReadOrWrite",
        "KeyError",
        "log",
        "callWithLogger",
    }
    parameters = inspect.signature(EPollReactor._doReadOrWrite).parameters
    assert list(parameters) == ["self", "selectable", "fd", "event"]


def test_twisted_does_the_same_between_iterations_as_before() -> None:
    assert set(ReactorBase.mainLoop.__code__.co_names) == {
        "_started",
        "_topHandler",
        "runUntilCurrent",
        "timeout",
        "running",
        "doIteration",
        "_log",
        "info",
    }
    assert set(ReactorBase.timeout.__code__.co_names) == {
        "_insertNewDelayedCalls",
        "_pendingTimedCalls",
        "time",
        "seconds",
        "max",
        "min",
    }
    assert set(ReactorBase._insertNewDelayedCalls.__code__.co_names) == {
        "_newTimedCalls",
        "cancelled",
        "_cancellations",
        "activate_delay",
        "heappush",
        "_pendingTimedCalls",
    }
    # What it looks for: calls of threads, timers, the end.
    names = set(ReactorBase.runUntilCurrent.__code__.co_names)
    assert names == {
        "threadCallQueue",
        "_threadCallHandler",
        "wakeUp",
        "_insertNewDelayedCalls",
        "seconds",
        "_pendingTimedCalls",
        "time",
        "heappop",
        "cancelled",
        "_cancellations",
        "delayed_time",
        "activate_delay",
        "heappush",
        "creator",
        "_log",
        "failuresHandled",
        "_DEFAULT_DELAYED_CALL_LOGGING_HANDLER",
        "called",
        "func",
        "args",
        "kw",
        "len",
        "heapify",
        "_justStopped",
        "fireSystemEvent",
    }


def test_twisted_handles_a_descriptor_that_can_be_read_as_before() -> None:
    assert EPollReactor._POLL_IN == select.EPOLLIN == 1
    assert EPollReactor._doReadOrWrite.__code__.co_names == (
        "_POLL_DISCONNECTED",
        "_POLL_IN",
        "_reads",
        "CONNECTION_DONE",
        "CONNECTION_LOST",
        "fileno",
        "_NO_FILEDESC",
        "doRead",
        "_POLL_OUT",
        "doWrite",
        "BaseException",
        "sys",
        "exc_info",
        "log",
        "err",
        "_disconnectSelectable",
    )
    parameters = inspect.signature(EPollReactor._disconnectSelectable).parameters
    assert list(parameters)[:4] == ["self", "selectable", "why", "isRead"]


def test_twisted_keeps_what_it_watches_as_before(reactor: Any) -> None:
    handled: list[int] = []
    socket_ = Ready(handled)
    with ready_sockets(reactor, [socket_]):
        assert reactor._selectables[socket_.fileno()] is socket_
    assert socket_ not in reactor._selectables.values()
