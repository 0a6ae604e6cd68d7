"""Runs handlers, whatever their form: plain, ``async def``, with a Deferred, in a thread.

Owns: the time limit of each run, its cancellation, and that it ends exactly once.
Must not import: the edges, the broker; nor know what a handler is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, unique
from functools import partial
from time import monotonic
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure

from wampush.apps.incidents import Incidents
from wampush.apps.python.handlers import Handler
from wampush.apps.python.threads import Job, Threads

#: A plain handler that takes longer is worth a line: nobody gets anything meanwhile.
LONGEST_STEP: Final = 0.25


@unique
class End(Enum):
    """How a run ended."""

    RETURNED = "returned"
    RAISED = "raised"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    :param value: what the handler returned, converted.
    :param failure: what it raised.
    """

    end: End
    value: Any = None
    failure: Failure | None = None


_BY_ITSELF: Final = (End.RETURNED, End.RAISED)
_TIMED_OUT: Final = Outcome(End.TIMED_OUT)
_CANCELLED: Final = Outcome(End.CANCELLED)

Done = Callable[[Outcome], None]


class Run:
    """One run of a handler.

    :param handler: what runs.
    :param owner: on whose behalf, for :meth:`Runner.cancel_all_of`.
    :param done: gets the outcome.
    """

    __slots__ = ("deferred", "done", "ended", "handler", "job", "owner", "timer")

    def __init__(self, handler: Handler, owner: object, done: Done) -> None:
        self.handler = handler
        self.owner = owner
        self.done = done
        self.deferred: Deferred[None] | None = None
        self.job: Job | None = None
        self.timer: Any = None
        #: How it ended; None while it runs.
        self.ended: End | None = None


class Runner:
    """Runs handlers.

    :param clock: ``IReactorTime``.
    :param threads: for those that block.
    :param incidents: where what nobody waits for any more is logged.
    :param timeout: seconds that a handler without a limit of its own may take.
    :param now: seconds of a clock that only goes forward.
    """

    def __init__(
        self,
        clock: Any,
        threads: Threads,
        incidents: Incidents,
        timeout: float,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self._threads = threads
        self._incidents = incidents
        self._timeout = timeout
        self._now = now
        self._owned: dict[object, set[Run]] = {}
        self._running: set[Run] = set()
        self._idle: Deferred[None] | None = None

    @property
    def running(self) -> int:
        """How many handlers have begun and not ended."""
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
        :param convert: makes the value of the outcome of what the handler returns; what it raises
            counts as raised by the handler.
        :param timeout: seconds, where neither the handler nor the setting says.
        """
        run = Run(handler, owner, done)
        self._running.add(run)
        if owner is not None:
            self._owned.setdefault(owner, set()).add(run)
        result = self._call(run, arguments)
        if convert is not None:
            result.addCallback(convert)
        deferred = result.addCallbacks(partial(self._returned, run), partial(self._raised, run))
        if run.ended in _BY_ITSELF:
            return run
        run.deferred = deferred
        if run.ended is None:
            limit = handler.timeout or timeout or self._timeout
            run.timer = self._clock.callLater(limit, self._too_late, run, limit)
        else:
            # It was given up from inside.
            self._give_up(run)
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

        def forget(_: Deferred[Outcome]) -> None:
            for run in runs:
                self.cancel(run)

        waiting: Deferred[Outcome] = Deferred(forget)
        run = self.start(
            handler, arguments, waiting.callback, owner=owner, convert=convert, timeout=timeout
        )
        runs.append(run)
        return waiting

    def cancel(self, run: Run) -> None:
        """Nobody waits for a run any more; its outcome is that it was cancelled."""
        if run.ended is None:
            self._end(run, _CANCELLED)
            self._give_up(run)

    def cancel_all_of(self, owner: object) -> None:
        """Cancel whatever runs on behalf of somebody."""
        for run in list(self._owned.get(owner, ())):
            self.cancel(run)

    def stop(self, patience: float) -> Deferred[None]:
        """Let what runs end.

        :param patience: seconds; then it is cancelled.
        """
        if not self._running:
            return succeed(None)
        self._idle = idle = Deferred[None]()
        timer = self._clock.callLater(patience, self._cancel_all)

        def finished(_: None) -> None:
            if timer.active():
                timer.cancel()

        return idle.addCallback(finished)

    # A run's way.

    def _call(self, run: Run, arguments: tuple[object, ...]) -> Deferred[Any]:
        handler = run.handler
        if handler.threaded:
            run.job = self._threads.start(handler.function, arguments)
            return run.job.deferred
        began = self._now()
        result: Deferred[Any] = maybeDeferred(handler.function, *arguments)
        took = self._now() - began
        if took >= LONGEST_STEP:
            self._incidents.say(
                f"step {handler.name}",
                f"{handler.name} held up the whole server for {took:.2f} s: what blocks belongs "
                "into a thread (threaded=True)",
            )
        return result

    def _returned(self, run: Run, value: object) -> None:
        if run.ended is None:
            self._end(run, Outcome(End.RETURNED, value))
        elif run.ended is End.TIMED_OUT:
            self._incidents.say(
                f"late {run.handler.name}",
                f"{run.handler.name} returned after its time was over; its result is dropped",
            )

    def _raised(self, run: Run, failure: Failure) -> None:
        if run.ended is None:
            self._end(run, Outcome(End.RAISED, failure=failure))
        elif not failure.check(CancelledError):
            name = run.handler.name
            self._incidents.report(f"{name}, {run.ended.value}, raised then", failure, name)

    def _too_late(self, run: Run, limit: float) -> None:
        run.timer = None
        name = run.handler.name
        self._incidents.say(f"slow {name}", f"{name} was not done within {limit:g} s")
        self._end(run, _TIMED_OUT)
        self._give_up(run)

    def _end(self, run: Run, outcome: Outcome) -> None:
        run.ended = outcome.end
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None
        self._running.discard(run)
        owned = self._owned.get(run.owner)
        if owned is not None:
            owned.discard(run)
            if not owned:
                del self._owned[run.owner]
        run.done(outcome)
        if self._idle is not None and not self._running and not self._idle.called:
            self._idle.callback(None)

    def _give_up(self, run: Run) -> None:
        """Tell the code that nobody waits for it; it may go on all the same."""
        if run.job is not None:
            run.job.abandon()
        elif run.deferred is not None:
            # What a Deferred's canceller raises goes to whoever cancels it.
            told = maybeDeferred(run.deferred.cancel)
            told.addErrback(partial(self._raised, run))

    def _cancel_all(self) -> None:
        for run in list(self._running):
            self.cancel(run)
