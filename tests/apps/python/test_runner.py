"""Runs of handlers: every run ends exactly once, whatever its code does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import formatEvent

from tests.apps.app_world import logging
from wampush.apps.incidents import Incidents
from wampush.apps.python.event_loop import EventLoop
from wampush.apps.python.handlers import handler
from wampush.apps.python.runner import LONGEST_STEP, Outcome, Run, Runner, RunState
from wampush.apps.python.threads import Threads
from wampush.testing.clock import ThreadedClock

TIMEOUT = 10.0


class Runs:
    """A runner with a clock that a test moves."""

    def __init__(self) -> None:
        self.clock: Any = Clock()
        self.now = 0.0
        self.outcomes: list[Outcome] = []
        incidents = Incidents(self.clock.seconds)
        threads = Threads(1, self.clock)
        self.runner = Runner(
            self.clock, threads, EventLoop(self.clock), incidents, TIMEOUT, lambda: self.now
        )

    def start(self, function: Callable[..., object], **options: Any) -> Run:
        timeout = options.pop("own_timeout", None)
        made = handler("x", function, None, timeout=timeout)
        return self.runner.start(made, (), self.outcomes.append, **options)

    @property
    def states(self) -> list[RunState]:
        return [outcome.state for outcome in self.outcomes]


@pytest.fixture
def runs() -> Runs:
    return Runs()


async def coroutine() -> int:
    return await succeed(7)


@pytest.mark.parametrize("function", [lambda: 7, coroutine, lambda: succeed(7)])
def test_every_form_returns(runs: Runs, function: Any) -> None:
    runs.start(lambda *_: function(), convert=lambda value: value + 1)
    assert runs.outcomes == [Outcome(RunState.RETURNED, 8)]
    assert runs.runner.running == 0
    assert runs.clock.getDelayedCalls() == []


def test_what_the_handler_or_the_conversion_raises(runs: Runs) -> None:
    runs.start(lambda *_: 1 / 0)
    runs.start(lambda *_: 1, convert=lambda value: value / 0)
    assert runs.states == [RunState.RAISED] * 2
    for outcome in runs.outcomes:
        assert outcome.failure is not None
        assert outcome.failure.check(ZeroDivisionError)


@pytest.mark.parametrize(
    ("options", "limit"),
    [({}, TIMEOUT), ({"timeout": 2.0}, 2.0), ({"own_timeout": 3.0, "timeout": 2.0}, 3.0)],
)
def test_the_time_limit(runs: Runs, options: Any, limit: float) -> None:
    pending: Deferred[int] = Deferred()
    with logging() as events:
        run = runs.start(lambda *_: pending, **options)
        runs.clock.advance(limit - 0.1)
        assert runs.runner.running == 1
        runs.clock.advance(0.1)
    assert runs.outcomes == [Outcome(RunState.TIMED_OUT)]
    # The Deferred was cancelled, so its code has ended as well.
    assert run.state is RunState.LATE
    assert formatEvent(events[0]).endswith(f"took more than {limit:g} s")


def test_code_that_swallows_its_cancellation_is_late(runs: Runs) -> None:
    held: list[Deferred[None]] = []

    async def stubborn(*_: Any) -> int:
        for _attempt in range(2):
            held.append(Deferred())
            try:
                await held[-1]
            except CancelledError:
                continue
        return 7

    run = runs.start(stubborn)
    runs.clock.advance(TIMEOUT)
    states = [run.state]
    with logging() as events:
        held[-1].callback(None)
    states.append(run.state)
    assert states == [RunState.TIMED_OUT, RunState.LATE]
    assert runs.states == [RunState.TIMED_OUT]
    assert formatEvent(events[0]).endswith("returned after its time limit; its result is dropped")


def test_a_late_error_is_an_incident(runs: Runs) -> None:
    def cancel(_: Deferred[int]) -> None:
        raise ValueError("in the canceller")

    pending: Deferred[int] = Deferred(cancel)
    run = runs.start(lambda *_: pending)
    with logging() as events:
        runs.runner.cancel(run)
    (event,) = [event for event in events if "incident" in event]
    assert event["action"].endswith("raised after it was cancelled")
    assert runs.states == [RunState.CANCELLED]


def test_a_handler_that_cancels_its_own_run(runs: Runs) -> None:
    owner = object()
    pending: Deferred[int] = Deferred()

    def function(*_: Any) -> Deferred[int]:
        runs.runner.cancel_all_of(owner)
        return pending

    runs.start(function, owner=owner)
    assert runs.states == [RunState.CANCELLED]
    assert pending.called
    assert runs.clock.getDelayedCalls() == []


def test_all_runs_of_an_owner_are_cancelled(runs: Runs) -> None:
    owner = object()
    for each in (owner, owner, object()):
        runs.start(lambda *_: Deferred(), owner=each)
    runs.runner.cancel_all_of(owner)
    assert runs.states == [RunState.CANCELLED] * 2
    assert runs.runner.running == 1
    runs.runner.cancel_all_of(owner)


def test_a_plain_handler_that_blocks_is_logged(runs: Runs) -> None:
    def slow(*_: Any) -> None:
        runs.now += LONGEST_STEP

    with logging() as events:
        runs.start(slow)
    assert "blocked all clients for 0.25 s" in formatEvent(events[0])


def test_asking_returns_the_outcome_and_can_be_cancelled(runs: Runs) -> None:
    made = handler("x", lambda *_: Deferred(), None)
    outcomes: list[Outcome] = []
    asked = runs.runner.ask(made, ())
    asked.addCallback(outcomes.append)
    asked.cancel()
    assert outcomes == [Outcome(RunState.CANCELLED)]


def test_stopping_waits_and_then_cancels(runs: Runs) -> None:
    stopped: list[None] = []
    runs.runner.stop(5.0).addCallback(stopped.append)
    assert stopped == [None]
    first: Deferred[None] = Deferred()
    runs.start(lambda *_: first)
    runs.start(lambda *_: Deferred())
    runs.runner.stop(5.0).addCallback(stopped.append)
    first.callback(None)
    runs.clock.advance(4.9)
    assert stopped == [None]
    runs.clock.advance(0.1)
    assert stopped == [None, None]
    assert runs.states == [RunState.RETURNED, RunState.CANCELLED]
    assert runs.clock.getDelayedCalls() == []


def test_a_thread_that_is_late_goes_on_alone() -> None:
    clock: Any = ThreadedClock()
    threads = Threads(1, clock)
    runner = Runner(
        clock, threads, EventLoop(clock), Incidents(clock.seconds), TIMEOUT, clock.seconds
    )
    outcomes: list[Outcome] = []
    run = runner.start(handler("x", lambda *_: 7, None, threaded=True), (None,), outcomes.append)
    runner.cancel(run)
    clock.run_one()
    assert [outcome.state for outcome in outcomes] == [RunState.CANCELLED]
    assert run.state is RunState.LATE
    threads.stop(0)


@given(st.lists(st.sampled_from(["start", "return", "raise", "cancel", "wait"]), max_size=40))
def test_every_run_ends_exactly_once(steps: list[str]) -> None:
    runs = Runs()
    pending: list[Deferred[int]] = []
    started: list[Run] = []
    for step in steps:
        if step == "start":
            pending.append(Deferred())
            started.append(runs.start(lambda *_: pending[-1]))
        elif step in ("return", "raise") and pending:
            each = pending.pop(0)
            if each.called:
                # Cancelled with its run.
                continue
            if step == "return":
                each.callback(1)
            else:
                each.errback(CancelledError())
        elif step == "cancel" and started:
            runs.runner.cancel(started[len(started) // 2])
        elif step == "wait":
            runs.clock.advance(TIMEOUT / 2)
    runs.clock.advance(TIMEOUT)
    assert len(runs.outcomes) == len(started)
    assert RunState.RUNNING not in {run.state for run in started}
    assert runs.clock.getDelayedCalls() == []


def test_asyncio_runs_in_its_loop_and_is_cancelled_there() -> None:
    clock: Any = ThreadedClock()
    loop = EventLoop(clock)
    incidents = Incidents(clock.seconds)
    runner = Runner(clock, Threads(1, clock), loop, incidents, TIMEOUT, clock.seconds)
    outcomes: list[Outcome] = []

    async def waits(_: object, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return 7

    made = handler("x", waits, None, asyncio=True)
    runner.start(made, (None, 0.0), outcomes.append, convert=lambda value: value + 1)
    clock.run_one()
    assert outcomes.pop() == Outcome(RunState.RETURNED, 8)
    run = runner.start(made, (None, 3600.0), outcomes.append)
    clock.advance(TIMEOUT)
    assert [outcome.state for outcome in outcomes] == [RunState.TIMED_OUT]
    clock.run_one()
    assert run.state is RunState.LATE
    loop.stop()


def test_without_asyncio_the_log_says_what_is_missing() -> None:
    runs = Runs()

    async def waits(*_: object) -> None:
        await asyncio.sleep(0.01)

    runs.start(waits)
    (outcome,) = runs.outcomes
    assert outcome.failure is not None
    with logging() as events:
        Incidents().report("x", outcome.failure)
    assert "asyncio=True" in formatEvent(events[0])
