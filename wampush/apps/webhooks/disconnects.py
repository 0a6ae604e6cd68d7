"""Tells the application which sessions have ended, many at a time.

Owns: how ends are gathered, kept while the application is away, and given up.
Must not import: the edges.

One POST is out at a time. If it fails, nothing is sent for ``breaker_seconds``, then the same POST
goes out once more, with the same id: the application may get a batch twice, and knows it by the id.
A second failure drops it; but a server that can not be reached at all has not seen it, so that is
no attempt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wampush.apps.webhooks import requests as questions
from wampush.apps.webhooks.answers import Push, acknowledgement
from wampush.apps.webhooks.breaker import Breaker, Change, Outcome
from wampush.apps.webhooks.dispatcher import Report, Send, what_failed
from wampush.apps.webhooks.requests import Question
from wampush.config.tables.webhooks import WebhookSettings
from wampush.net.http_post import never_sent

_EVENT: Final = "disconnect"
_MOST_ATTEMPTS: Final = 2


@dataclass(eq=False, slots=True)
class _Batch:
    question: Question
    count: int
    attempts: int = 0


class Disconnects:
    """The sessions that have ended and of which the application does not know it yet.

    :param settings: the ``[webhooks]`` table.
    :param send: how a question is sent.
    :param clock: the reactor, for timers.
    :param now: seconds of a clock that only goes forward.
    :param wall: seconds since the epoch.
    :param report: for what goes wrong.
    :param publish: gets what an answer asks to be published.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        send: Send,
        clock: Any,
        now: Callable[[], float],
        wall: Callable[[], float],
        report: Report,
        publish: Callable[[Sequence[Push]], None],
    ) -> None:
        self._settings = settings
        self._send = send
        self._clock = clock
        self._wall = wall
        self._report = report
        self._publish = publish
        # Any failure opens it: there is no hurry, and what is sent meanwhile would fail as well.
        self.breaker: Final = Breaker(1, settings.breaker_seconds, now)
        self.dropped = 0
        self._entries: deque[bytes] = deque()
        self._batch: _Batch | None = None
        #: The POST that is out.
        self._sent: Deferred[None] | None = None
        self._timer: Any = None
        self._stopped: Deferred[None] | None = None

    @property
    def waiting(self) -> int:
        """How many the application does not know of."""
        return len(self._entries) + (self._batch.count if self._batch else 0)

    def add(self, entry: bytes) -> None:
        """A session has ended.

        :param entry: JSON text.
        """
        if len(self._entries) >= self._settings.disconnect_waiting:
            self._entries.popleft()
            self._drop(1, f"{self._settings.disconnect_waiting} wait already")
        self._entries.append(entry)
        self._go_on()

    def stop(self, patience: float) -> Deferred[None]:
        """Send what is left, without gathering and without second attempts.

        :param patience: seconds; what is not sent by then is dropped.
        """
        self._set_timer(None)
        stopped = self._stopped = Deferred[None]()
        if self.waiting:
            self._timer = self._clock.callLater(patience, self._out_of_time)
        self._go_on()
        return stopped

    # A batch's way.

    def _go_on(self) -> None:
        """Send a batch if it is time; else be called when it is."""
        if self._sent is not None:
            return
        if self._stopped is not None:
            self._post_or_finish()
        elif self.waiting:
            self._post_or_wait()

    def _post_or_finish(self) -> None:
        if self.waiting:
            self._post()
        elif self._stopped is not None and not self._stopped.called:
            self._set_timer(None)
            self._stopped.callback(None)

    def _post_or_wait(self) -> None:
        settings = self._settings
        pause = self.breaker.seconds_left()
        if pause:
            self._set_timer(pause)
        elif self._batch is not None or len(self._entries) >= settings.disconnect_batch:
            self._set_timer(None)
            self._post()
        elif self._timer is None:
            self._set_timer(settings.disconnect_seconds)

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._clock.callLater(seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        if self.breaker.seconds_left():
            self._go_on()
        elif self._sent is None:
            self._post()

    def _post(self) -> None:
        batch = self._batch = self._batch or self._gathered()
        # While the daemon stops, an attempt is made even if it is too early for the next one.
        ticket = self.breaker.admit()
        sent = self._send(batch.question).addTimeout(self._settings.timeout, self._clock)
        done = self._sent = sent.addCallback(acknowledgement).addBoth(
            self._answered, batch, -1 if ticket is None else ticket
        )
        # Not in the callback above: it may have run before the line could set what is out.
        done.addCallback(self._next)

    def _next(self, _: None) -> None:
        self._sent = None
        self._go_on()

    def _gathered(self) -> _Batch:
        count = min(len(self._entries), self._settings.disconnect_batch)
        entries = [self._entries.popleft() for _ in range(count)]
        return _Batch(questions.departures(entries, self._wall()), count)

    def _answered(self, result: Sequence[Push] | Failure, batch: _Batch, ticket: int) -> None:
        if batch is not self._batch:
            return
        if isinstance(result, Failure):
            self._failed(result, batch, ticket)
            return
        self._batch = None
        if self.breaker.report(ticket, Outcome.ANSWERED) is Change.CLOSED:
            self._report.recovered(f"{_EVENT}: it answers again")
        self._publish(result)

    def _failed(self, failure: Failure, batch: _Batch, ticket: int) -> None:
        problem = what_failed(failure)
        if self.breaker.report(ticket, Outcome.FAILED) is Change.OPENED:
            seconds = self._settings.breaker_seconds
            self._report.say(f"{_EVENT}: {problem}; the next attempt is in {seconds:g} s")
        batch.attempts += not never_sent(failure)
        if self._stopped is not None:
            self._give_up(problem)
        elif batch.attempts >= _MOST_ATTEMPTS:
            self._batch = None
            self._drop(batch.count, problem)

    def _drop(self, count: int, problem: str) -> None:
        self.dropped += count
        self._report.failed(_EVENT, f"{problem}; {count} dropped, {self.dropped} since the start")

    def _out_of_time(self) -> None:
        self._timer = None
        self._give_up("the daemon stops")
        if self._sent is not None:
            self._sent.cancel()

    def _give_up(self, problem: str) -> None:
        """What is left is lost."""
        count = self.waiting
        self._batch = None
        self._entries.clear()
        self.dropped += count
        self._report.say(f"{_EVENT}: {problem}; {count} were not told when the daemon stopped")
