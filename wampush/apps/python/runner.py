"""Runs of handlers of every form: plain, ``async def``, with a Deferred, in a thread, in asyncio.

Owns: the states of a run, its time limit and its cancellation; every run ends exactly once.
Must not import: the edges, the broker; nor know what a handler is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, unique
from functools import partial
from time import monotonic
from types import MappingProxyType
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure

from wampush.apps.incidents import Incidents
from wampush.apps.python.event_loop import EventLoop, LoopCall
from wampush.apps.python.handlers import Handler
from wampush.apps.python.threads import ThreadCall, Threads
from wampush.state_machine import state_after

#: Seconds; a plain handler that takes longer is logged, because it blocks all clients.
LONGEST_STEP: Final = 0.25


@unique
class RunState(Enum):
    """Where a run is.

    LATE: the code has ended after the run had timed out or was cancelled.
    """

    RUNNING = "running"
    RETURNED = "returned"
    RAISED = "raised"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"
    LATE = "late"


@unique
class _Event(Enum):
    RETURN = "return"
    RAISE = "raise"
    TIME_OVER = "time over"
    CANCEL = "cancel"


_MOVES: Final[Mapping[tuple[RunState, _Event], RunState]] = MappingProxyType(
    {
        (RunState.RUNNING, _Event.RETURN): RunState.RETURNED,
        (RunState.RUNNING, _Event.RAISE): RunState.RAISED,
        (RunState.RUNNING, _Event.TIME_OVER): RunState.TIMED_OUT,
        (RunState.RUNNING, _Event.CANCEL): RunState.CANCELLED,
        (RunState.TIMED_OUT, _Event.RETURN): RunState.LATE,
        (RunState.TIMED_OUT, _Event.RAISE): RunState.LATE,
        (RunState.CANCELLED, _Event.RETURN): RunState.LATE,
        (RunState.CANCELLED, _Event.RAISE): RunState.LATE,
        # A canceller and the code that it cancels may both raise.
        (RunState.LATE, _Event.RETURN): RunState.LATE,
        (RunState.LATE, _Event.RAISE): RunState.LATE,
    }
)
_ABANDONED: Final = frozenset((RunState.TIMED_OUT, RunState.CANCELLED))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    :param state: RETURNED, RAISED, TIMED_OUT or CANCELLED.
    :param value: what the handler returned, converted.
    :param failure: what it raised.
    """

    state: RunState
    value: Any = None
    failure: Failure | None = None


Done = Callable[[Outcome], None]


class Run:
    """One run of a handler.

    :param handler: what runs.
    :param owner: on whose behalf, for :meth:`Runner.cancel_all_of`.
    :param done: gets the outcome.
    """

    __slots__ = ("deferred", "done", "handler", "owner", "state", "thread_call", "timer")

    def __init__(self, handler: Handler, owner: object, done: Done) -> None:
        self.handler = handler
        self.owner = owner
        self.done = done
        self.state = RunState.RUNNING
        self.deferred: Deferred[None] | None = None
        self.thread_call: ThreadCall | LoopCall | None = None
        self.timer: Any = None

    def move(self, event: _Event) -> RunState:
        """Go on to the next state, and return the one before."""
        before, self.state = self.state, state_after(_MOVES, self.state, event)
        return before


class Runner:
    """Runs handlers.

    :param clock: ``IReactorTime``.
    :param threads: runs handlers that block.
    :param event_loop: runs handlers that use asyncio.
    :param incidents: logs what nobody waits for any more.
    :param timeout: seconds that a handler without a limit of its own may take.
    :param now: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        clock: Any,
        threads: Threads,
        event_loop: EventLoop,
        incidents: Incidents,
        timeout: float,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self._threads = threads
        self._event_loop = event_loop
        self._incidents = incidents
        self._timeout = timeout
        self._now = now
        self._owned: dict[object, set[Run]] = {}
        self._running: set[Run] = set()
        self._idle: Deferred[None] | None = None

    @property
    def running(self) -> int:
        """Number of runs that have not ended."""
        return len(self._running)

    def start(
        self,
        handler: Handler,
        arguments: tuple[object, ...],
        done: Done,
        *,
        owner: object = None,
        convert: Callable[[Any], object] | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Run a handler.

        :param done: gets the outcome, exactly once, perhaps before this returns.
        :param owner: on whose behalf, for :meth:`cancel_all_of`.
        :param convert: converts what the handler returns to the value of the outcome; what it
            raises counts as raised by the handler.
        :param timeout: seconds, for a handler without a limit of its own.
        """
        run = Run(handler, owner, done)
        self._running.add(run)
        if owner is not None:
            self._owned.setdefault(owner, set()).add(run)
        result = self._call(run, arguments)
        if convert is not None:
            result.addCallback(convert)
        run.deferred = result.addCallbacks(
            partial(self._on_return, run), partial(self._on_raise, run)
        )
        if run.state is RunState.RUNNING:
            limit = handler.timeout or timeout or self._timeout
            run.timer = self._clock.callLater(limit, self._on_timeout, run, limit)
        elif run.state in _ABANDONED:
            # The handler has cancelled its own run.
            self._abandon(run)
        return run

    def ask(
        self,
        handler: Handler,
        arguments: tuple[object, ...],
        *,
        owner: object = None,
        convert: Callable[[Any], object] | None = None,
        timeout: float | None = None,
    ) -> Deferred[Outcome]:
        """Run a handler and wait for its outcome; see :meth:`start`.

        :returns: never fails; cancelling it cancels the run.
        """
        runs: list[Run] = []

        def cancel(_: Deferred[Outcome]) -> None:
            for run in runs:
                self.cancel(run)

        outcome: Deferred[Outcome] = Deferred(cancel)
        run = self.start(
            handler, arguments, outcome.callback, owner=owner, convert=convert, timeout=timeout
        )
        runs.append(run)
        return outcome

    def cancel(self, run: Run) -> None:
        """End a run that has not ended; its outcome is CANCELLED."""
        if run.state is RunState.RUNNING:
            self._end(run, _Event.CANCEL)
            self._abandon(run)

    def cancel_all_of(self, owner: object) -> None:
        """Cancel every run on behalf of this owner."""
        for run in list(self._owned.get(owner, ())):
            self.cancel(run)

    def stop(self, patience: float) -> Deferred[None]:
        """Wait for the runs to end.

        :param patience: seconds; then they are cancelled.
        """
        if not self._running:
            return succeed(None)
        self._idle = idle = Deferred[None]()
        timer = self._clock.callLater(patience, self._cancel_all)

        def stop_timer(_: None) -> None:
            if timer.active():
                timer.cancel()

        return idle.addCallback(stop_timer)

    # The way of a run.

    def _call(self, run: Run, arguments: tuple[object, ...]) -> Deferred[Any]:
        handler = run.handler
        if handler.threaded:
            run.thread_call = self._threads.start(handler.function, arguments)
            return run.thread_call.deferred
        if handler.asyncio:
            run.thread_call = self._event_loop.start(handler.function, arguments)
            return run.thread_call.deferred
        began = self._now()
        result: Deferred[Any] = maybeDeferred(handler.function, *arguments)
        took = self._now() - began
        if took >= LONGEST_STEP:
            self._incidents.warn(
                f"step {handler.name}",
                "{handler} blocked all clients for {seconds:.2f} s; run it in a thread "
                "(threaded=True)",
                handler=handler.name,
                seconds=took,
            )
        return result

    def _on_return(self, run: Run, value: object) -> None:
        if run.state is RunState.RUNNING:
            self._end(run, _Event.RETURN, value)
        elif run.move(_Event.RETURN) is RunState.TIMED_OUT:
            self._incidents.warn(
                f"late {run.handler.name}",
                "{handler} returned after its time limit; its result is dropped",
                handler=run.handler.name,
            )

    def _on_raise(self, run: Run, failure: Failure) -> None:
        if run.state is RunState.RUNNING:
            self._end(run, _Event.RAISE, failure=failure)
            return
        before = run.move(_Event.RAISE)
        if not failure.check(CancelledError):
            name = run.handler.name
            self._incidents.report(f"{name} raised after it was {before.value}", failure, name)

    def _on_timeout(self, run: Run, limit: float) -> None:
        run.timer = None
        name = run.handler.name
        self._incidents.warn(
            f"slow {name}", "{handler} took more than {limit:g} s", handler=name, limit=limit
        )
        self._end(run, _Event.TIME_OVER)
        self._abandon(run)

    def _end(
        self, run: Run, event: _Event, value: object = None, failure: Failure | None = None
    ) -> None:
        run.move(event)
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None
        self._running.discard(run)
        owned = self._owned.get(run.owner)
        if owned is not None:
            owned.discard(run)
            if not owned:
                del self._owned[run.owner]
        run.done(Outcome(run.state, value, failure))
        if self._idle is not None and not self._running and not self._idle.called:
            self._idle.callback(None)

    def _abandon(self, run: Run) -> None:
        """Cancel the code of a run that has ended; it may go on all the same."""
        if run.thread_call is not None:
            run.thread_call.abandon()
        elif run.deferred is not None:
            # A canceller may raise; Deferred.cancel() passes that on.
            cancelled = maybeDeferred(run.deferred.cancel)
            cancelled.addErrback(partial(self._on_raise, run))

    def _cancel_all(self) -> None:
        for run in list(self._running):
            self.cancel(run)
