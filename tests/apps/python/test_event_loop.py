"""Handlers in the event loop of asyncio: what comes back, and how they are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import get_ident
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from wampush.apps.python.event_loop import EventLoop
from wampush.testing.clock import ThreadedClock


@pytest.fixture
def reactor() -> ThreadedClock:
    return ThreadedClock()


@pytest.fixture
def loop(reactor: ThreadedClock) -> Iterator[EventLoop]:
    made = EventLoop(reactor)
    yield made
    made.stop()


def outcome_of(deferred: Deferred[Any]) -> list[Any]:
    outcome: list[Any] = []
    deferred.addCallbacks(outcome.append, lambda failure: outcome.append(failure.value))
    return outcome


async def waiting(value: int) -> tuple[int, int]:
    await asyncio.sleep(0)
    return value, get_ident()


def test_a_coroutine_may_wait_and_returns_its_value(
    reactor: ThreadedClock, loop: EventLoop
) -> None:
    outcomes = [outcome_of(loop.start(waiting, (number,)).deferred) for number in range(2)]
    assert loop.running == 2
    for _ in outcomes:
        reactor.run_one()
    assert loop.running == 0
    assert [outcome[0][0] for outcome in outcomes] == [0, 1]
    threads = {outcome[0][1] for outcome in outcomes}
    assert len(threads) == 1
    assert get_ident() not in threads


async def failing(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "kind"), [(KeyError("x"), KeyError), (SystemExit(1), RuntimeError)]
)
def test_what_it_raises_comes_back_and_the_loop_goes_on(
    reactor: ThreadedClock, loop: EventLoop, error: BaseException, kind: type
) -> None:
    outcome = outcome_of(loop.start(failing, (error,)).deferred)
    reactor.run_one()
    assert isinstance(outcome[0], kind)
    again = outcome_of(loop.start(waiting, (7,)).deferred)
    reactor.run_one()
    assert again[0][0] == 7


def test_a_call_that_is_abandoned_is_cancelled_where_it_waits(
    reactor: ThreadedClock, loop: EventLoop
) -> None:
    cancelled: list[str] = []

    async def endless() -> None:
        reactor.callFromThread(cancelled.append, "began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("cancelled")
            raise

    call = loop.start(endless, ())
    outcome = outcome_of(call.deferred)
    reactor.run_one()
    call.abandon()
    reactor.run_one()
    assert cancelled == ["began", "cancelled"]
    assert isinstance(outcome[0], CancelledError)


def test_a_loop_that_was_never_needed_is_not_started(reactor: ThreadedClock) -> None:
    loop = EventLoop(reactor)
    loop.stop()
    loop.stop()
