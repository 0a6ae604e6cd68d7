"""Handlers in threads: how many run, what comes back, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event, get_ident
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed

from wampush.apps.python.threads import Threads
from wampush.testing.clock import ThreadedClock


@pytest.fixture
def reactor() -> ThreadedClock:
    return ThreadedClock()


@pytest.fixture
def threads(reactor: ThreadedClock) -> Iterator[Threads]:
    pool = Threads(1, reactor)
    yield pool
    pool.stop(0)


def outcome_of(deferred: Deferred[Any]) -> list[Any]:
    outcome: list[Any] = []
    deferred.addCallbacks(outcome.append, lambda failure: outcome.append(failure.value))
    return outcome


def test_a_function_runs_in_another_thread(reactor: ThreadedClock, threads: Threads) -> None:
    outcome = outcome_of(threads.start(lambda value: (value, get_ident()), (7,)).deferred)
    assert threads.running == 1
    reactor.run_one()
    assert threads.running == 0
    ((value, thread),) = outcome
    assert value == 7
    assert thread != get_ident()


def test_what_it_raises_comes_back(reactor: ThreadedClock, threads: Threads) -> None:
    outcome = outcome_of(threads.start(lambda: 1 / 0, ()).deferred)
    reactor.run_one()
    assert isinstance(outcome[0], ZeroDivisionError)


async def coroutine() -> None: ...


@pytest.mark.parametrize("result", [succeed(1), coroutine()])
def test_only_results_may_come_back(
    reactor: ThreadedClock, threads: Threads, result: object
) -> None:
    outcome = outcome_of(threads.start(lambda: result, ()).deferred)
    reactor.run_one()
    assert str(outcome[0]) == (
        "a handler that runs in a thread must return its result, not a Deferred or a coroutine"
    )


def test_a_call_that_is_abandoned_in_time_never_runs(
    reactor: ThreadedClock, threads: Threads
) -> None:
    go = Event()
    ran: list[int] = []
    first = outcome_of(threads.start(go.wait, (20,)).deferred)
    call = threads.start(ran.append, (1,))
    outcome = outcome_of(call.deferred)
    call.abandon()
    go.set()
    reactor.run_one()
    reactor.run_one()
    assert first == [True]
    assert isinstance(outcome[0], CancelledError)
    assert ran == []


def test_in_reactor_calls_directly_in_its_thread(threads: Threads) -> None:
    assert threads.in_reactor(get_ident) == get_ident()


def test_in_reactor_waits_in_other_threads(reactor: ThreadedClock, threads: Threads) -> None:
    outcome = outcome_of(threads.start(threads.in_reactor, (get_ident,)).deferred)
    reactor.run_one()
    reactor.run_one()
    assert outcome == [get_ident()]


def test_stopping_waits_for_what_runs(reactor: ThreadedClock, threads: Threads) -> None:
    assert outcome_of(threads.stop(5.0)) == [None]
    go = Event()
    threads.start(go.wait, (20,))
    stopped = outcome_of(threads.stop(5.0))
    assert stopped == []
    go.set()
    reactor.run_one()
    assert stopped == [None]
    assert reactor.getDelayedCalls() == []


def test_stopping_does_not_wait_for_ever(reactor: ThreadedClock, threads: Threads) -> None:
    go = Event()
    threads.start(go.wait, (20,))
    stopped = outcome_of(threads.stop(5.0))
    reactor.advance(5.0)
    assert stopped == [None]
    go.set()
    reactor.run_one()


def test_idle_threads_stop_at_once(reactor: ThreadedClock, threads: Threads) -> None:
    threads.start(get_ident, ())
    reactor.run_one()
    assert outcome_of(threads.stop(5.0)) == [None]


def test_an_answer_from_the_reactor_is_waited_for_in_other_threads(
    reactor: ThreadedClock, threads: Threads
) -> None:
    waiting: list[Callable[[str], object]] = []

    def ask(done: Callable[[str], object]) -> str:
        waiting.append(done)
        return "so far"

    # In the reactor's thread nobody can wait.
    assert threads.answered_in_reactor(ask) == "so far"
    waiting.pop()("all")
    call = threads.start(threads.answered_in_reactor, (ask,))
    while not waiting:
        assert reactor.run_one(10.0)
    waiting.pop()("all")
    outcome: list[object] = []
    call.deferred.addBoth(outcome.append)
    while not outcome:
        assert reactor.run_one(10.0)
    assert outcome == ["all"]
