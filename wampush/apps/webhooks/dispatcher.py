"""Which questions to the application are sent when, and which get no answer.

Owns: how many run side by side and how many wait, the time limit, the breaker of each event, the
lines about failures. Must not import: the edges; nor know what a question or an answer means. Who
is next among those that wait, ``webhooks.row`` knows.

Every question ends exactly once: with what the application answered, or with None. A question is
never sent twice, because the application may have acted on it the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferTimeout
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.apps.webhooks.answers import Unusable
from wampush.apps.webhooks.breaker import Breaker, Change, Outcome
from wampush.apps.webhooks.fair_queue import FairQueue, most_of_a_kind
from wampush.apps.webhooks.requests import Question
from wampush.config.tables.webhooks import WebhookSettings
from wampush.log_limit import LogLimiter
from wampush.net.http_post import Answer, AnswerTooLong, problem_of

_log = Logger(namespace="wampush")

_SERVER_ERRORS: Final = range(500, 600)
_ENTRY: Final = "connect"

Read = TypeVar("Read")

Send = Callable[[Question], Deferred[Answer]]
"""Sends a question, signed; cancelling it drops the connection."""


class Report:
    """Writes lines about the application, those about single failures at most once a second.

    :param url: of the application.
    :param now: seconds of a clock that only goes forward.
    """

    def __init__(self, url: str, now: Callable[[], float]) -> None:
        self._url = url
        self._log_limiter = LogLimiter(now)

    def failed(self, event: str, problem: str) -> None:
        """One question came to nothing.

        :param problem: without anything that was sent or received.
        """
        more = self._log_limiter.suffix()
        if more is not None:
            self.say(f"{event}: {problem}{more}")

    def say(self, line: str) -> None:
        """Write a line in any case."""
        _log.warn("webhooks {url}: {line}", url=self._url, line=line)

    def recovered(self, line: str) -> None:
        """Write that something is well again."""
        _log.info("webhooks {url}: {line}", url=self._url, line=line)


def what_failed(failure: Failure) -> str:
    """Why there is no usable answer, for the log."""
    if failure.check(DeferTimeout):
        return "no answer in time"
    return str(failure.value) if failure.check(Unusable) else problem_of(failure)


def _is_up(failure: Failure) -> bool:
    """Whether the application did answer.

    One question that it can not deal with must not close it for all others.
    """
    if isinstance(failure.value, Unusable):
        return failure.value.status not in _SERVER_ERRORS
    return isinstance(failure.value, AnswerTooLong)


@dataclass(eq=False, slots=True)
class Pending(Generic[Read]):
    """A question that has not ended.

    :param question: what is asked.
    :param ticket: the breaker's pass.
    :param read: makes something of the answer, or raises Unusable.
    :param done: gets that, or None.
    :param owner: on whose behalf.
    :param sent: when the application may have begun to see it; None as long as it can not.
    """

    question: Question
    ticket: int
    read: Callable[[Answer], Read]
    done: Callable[[Read | None], None]
    owner: Hashable = None
    sent: float | None = None
    timer: Any = None
    running: Deferred[None] | None = None
    ended: bool = False


class Dispatcher:
    """Asks the application, a bounded number of questions at once.

    :param settings: the ``[webhooks]`` table.
    :param send: how a question is sent.
    :param call_later: the reactor's.
    :param now: seconds of a clock that only goes forward.
    :param report: for what goes wrong.
    :param events: what is asked.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        send: Send,
        call_later: Callable[..., Any],
        now: Callable[[], float],
        report: Report,
        events: Iterable[str],
    ) -> None:
        self._settings = settings
        self._send = send
        self._call_later = call_later
        self._report = report
        self._now = now
        most, seconds = settings.breaker_failures, settings.breaker_seconds
        self.breakers: Final[Mapping[str, Breaker]] = {
            event: Breaker(most, seconds, now) for event in events
        }
        both = _ENTRY in self.breakers and len(self.breakers) > 1
        places = most_of_a_kind(settings.at_once, both)
        self._entries: FairQueue[Pending[Any]] = FairQueue(places)
        self._requests: FairQueue[Pending[Any]] = FairQueue(places)
        self._running: set[Pending[Any]] = set()
        self._owned: dict[object, set[Pending[Any]]] = {}
        self._next_start: Any = None

    @property
    def waiting(self) -> int:
        """How many questions wait for a free place."""
        return len(self._entries) + len(self._requests)

    @property
    def running(self) -> int:
        """How many questions are out."""
        return len(self._running)

    def ask(
        self,
        question: Question,
        read: Callable[[Answer], Read],
        done: Callable[[Read | None], None],
        timeout: float,
        owner: Hashable = None,
    ) -> Pending[Read]:
        """Ask, now or when there is a free place.

        :param read: makes something of the answer, or raises Unusable.
        :param done: gets that, or None where no usable answer came; perhaps before this returns.
        :param timeout: seconds from now, waiting included.
        :param owner: on whose behalf, for :meth:`cancel_all_of`.
        """
        breaker = self.breakers[question.event]
        ticket = breaker.admit()
        if ticket is None:
            return self._unasked(Pending(question, -1, read, done))
        pending = Pending(question, ticket, read, done, owner)
        row, most = self._row(pending), self._settings.waiting
        if len(row) >= most and not (row.has_room and self._has_room):
            breaker.report(ticket, Outcome.ABANDONED)
            self._report.failed(question.event, f"{most} questions wait already")
            return self._unasked(pending)
        pending.timer = self._call_later(timeout, self._too_late, pending, timeout)
        if owner is not None:
            self._owned.setdefault(owner, set()).add(pending)
        row.join(pending, owner)
        self._start()
        return pending

    def cancel(self, pending: Pending[Any]) -> None:
        """Nobody wants to know any more; it ends with None."""
        if pending.ended:
            return
        self._stop(pending)
        self.breakers[pending.question.event].report(pending.ticket, Outcome.ABANDONED)
        self._end(pending, None)
        self._start_soon()

    def cancel_all_of(self, owner: object) -> None:
        """Cancel whatever was asked on behalf of somebody."""
        for pending in list(self._owned.get(owner, ())):
            self.cancel(pending)

    def close(self) -> None:
        """Give up all questions."""
        for pending in [*self._entries, *self._requests, *self._running]:
            self.cancel(pending)
        if self._next_start is not None:
            self._next_start.cancel()
            self._next_start = None

    # A question's way.

    def _row(self, pending: Pending[Any]) -> FairQueue[Pending[Any]]:
        return self._entries if pending.question.event == _ENTRY else self._requests

    @property
    def _has_room(self) -> bool:
        return len(self._running) < self._settings.at_once

    def _start(self) -> None:
        while self._has_room:
            rows = [row for row in (self._entries, self._requests) if len(row) and row.has_room]
            if not rows:
                return
            pending = min(rows, key=lambda row: row.running).take()
            self._running.add(pending)
            pending.sent = self._now()
            sent = self._send(pending.question).addCallback(pending.read)
            done: Deferred[None] = sent.addBoth(self._answered, pending)
            if not done.called:
                pending.running = done

    def _answered(self, result: object, pending: Pending[Any]) -> None:
        if pending.ended or pending not in self._running:
            return
        pending.running = None
        self._stop(pending)
        if isinstance(result, Failure):
            self._failed(pending, result)
        else:
            self._judge(pending, Outcome.ANSWERED)
            self._end(pending, result)
        self._start()

    def _failed(self, pending: Pending[Any], failure: Failure) -> None:
        self._report.failed(pending.question.event, what_failed(failure))
        self._judge(pending, Outcome.ANSWERED if _is_up(failure) else Outcome.FAILED)
        self._end(pending, None)

    def _too_late(self, pending: Pending[Any], timeout: float) -> None:
        pending.timer = None
        sent = pending.sent
        self._stop(pending)
        problem = "no free place" if sent is None else "no answer"
        self._report.failed(pending.question.event, f"{problem} within {timeout:g} s")
        # Who has waited for most of the time does not know how long an answer takes.
        had_time = sent is not None and self._now() - sent >= timeout / 2
        self._judge(pending, Outcome.FAILED if had_time else Outcome.ABANDONED)
        self._end(pending, None)
        self._start_soon()

    def _start_soon(self) -> None:
        """Not at once: whoever is next may leave at the same moment, and be sent for nothing."""
        if self._next_start is None and self.waiting:
            self._next_start = self._call_later(0, self._start_now)

    def _start_now(self) -> None:
        self._next_start = None
        self._start()

    def _stop(self, pending: Pending[Any]) -> None:
        """Take it out of the row, and drop its connection."""
        if pending in self._running:
            self._running.remove(pending)
            self._row(pending).running -= 1
            running, pending.running = pending.running, None
            if running is not None:
                running.cancel()
        else:
            self._row(pending).leave(pending, pending.owner)

    @staticmethod
    def _unasked(pending: Pending[Read]) -> Pending[Read]:
        pending.ended = True
        pending.done(None)
        return pending

    def _end(self, pending: Pending[Any], result: object) -> None:
        pending.ended = True
        if pending.timer is not None:
            pending.timer.cancel()
            pending.timer = None
        owned = self._owned.get(pending.owner)
        if owned is not None:
            owned.discard(pending)
            if not owned:
                del self._owned[pending.owner]
        pending.done(result)

    def _judge(self, pending: Pending[Any], outcome: Outcome) -> None:
        """Tell the breaker; if it opens, whoever waits for this event waits no more."""
        event = pending.question.event
        change = self.breakers[event].report(pending.ticket, outcome)
        if change is Change.CLOSED:
            self._report.recovered(f"{event}: it answers again")
        if change is not Change.OPENED:
            return
        settings = self._settings
        self._report.say(
            f"{event}: {settings.breaker_failures} failures in a row; it is not asked for "
            f"{settings.breaker_seconds:g} s, then tried again"
        )
        waiting = [*self._entries, *self._requests]
        for each in [each for each in waiting if each.question.event == event]:
            if not each.ended:
                self._stop(each)
                self._end(each, None)
