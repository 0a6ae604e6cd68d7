"""Notifications that nobody waits for, many per request.

Owns: when notifications are sent, repeated while the application is down, and dropped.
Must not import: the edges; nor know what they are about.

One request is under way at a time. If it fails, nothing is sent for ``breaker_seconds``, then the
same request is sent once more, with the same id: the application may get a batch twice, and
recognises it by the id. A second failure drops the batch; but a server that cannot be reached at
all has not seen the request, so this does not count as an attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wampush.apps.webhooks.dispatcher import Send
from wampush.apps.webhooks.requests import WebhookRequest
from wampush.apps.webhooks.responses import Push, acknowledgement
from wampush.config.tables.webhooks import WebhookSettings
from wampush.net.circuit_breaker import BreakerChange, CircuitBreaker, RequestResult
from wampush.net.http_post import never_sent, problem_of
from wampush.net.outgoing_request_log import RequestLog

_MAX_ATTEMPTS: Final = 2
_NO_PASS: Final = -1


@dataclass(eq=False, slots=True)
class Batch:
    """Notifications that are sent together.

    :param count: how many they are.
    :param attempts: requests that the application may have seen.
    """

    request: WebhookRequest
    count: int
    attempts: int = 0


class NotificationQueue(Protocol):
    """What the application is to be notified of."""

    def __len__(self) -> int:
        """Return how many notifications wait."""

    @property
    def ready(self) -> int:
        """How many of them may be sent now."""

    def take(self, time: float) -> Batch:
        """Remove the next notifications, and return a request with them.

        :param time: seconds since the epoch.
        """

    def on_ended(self) -> None:
        """Handle the end of the batch: it was accepted, or dropped."""

    def clear(self) -> None:
        """Forget all notifications that wait."""


class Notifications:
    """Sends the notifications of one queue.

    :param event: what they are about, for the log.
    :param noun: several of them, for the log.
    :param queue: what is to be sent.
    :param batch: so many are sent at once, without gathering any more.
    :param settings: the ``[webhooks]`` table.
    :param send: sends one request.
    :param clock: ``IReactorTime``.
    :param now: seconds of a clock that never goes back.
    :param wall: seconds since the epoch.
    :param log: for failures.
    :param publish: publishes what a response asks for.
    """

    def __init__(
        self,
        *,
        event: str,
        noun: str,
        queue: NotificationQueue,
        batch: int,
        settings: WebhookSettings,
        send: Send,
        clock: Any,
        now: Callable[[], float],
        wall: Callable[[], float],
        log: RequestLog,
        publish: Callable[[Sequence[Push]], None],
    ) -> None:
        self._event = event
        self._noun = noun
        self._queue = queue
        self._full = batch
        self._settings = settings
        self._send = send
        self._clock = clock
        self._wall = wall
        self._log = log
        self._publish = publish
        # Any failure opens it: notifications can wait, and would only fail as well meanwhile.
        self.breaker: Final = CircuitBreaker(1, settings.breaker_seconds, now)
        self._dropped = 0
        self._batch: Batch | None = None
        #: The request that is under way.
        self._sent: Deferred[None] | None = None
        self._timer: Any = None
        self._stopped: Deferred[None] | None = None

    @property
    def queued(self) -> int:
        """Number of notifications that the application has not accepted."""
        return len(self._queue) + (self._batch.count if self._batch else 0)

    @property
    def dropped(self) -> int:
        """Number of notifications dropped since the start."""
        return self._dropped

    def on_queued(self) -> None:
        """Send what is in the queue, now or later."""
        self._advance()

    def on_full(self, limit: int) -> None:
        """Count and log a notification that had no place in the queue.

        :param limit: how many places there are.
        """
        self._drop(1, f"the queue is full ({limit} {self._noun})")

    def stop(self, patience: float) -> Deferred[None]:
        """Send what is left, without gathering and without second attempts.

        :param patience: seconds; what is not sent by then is dropped.
        """
        self._set_timer(None)
        stopped = self._stopped = Deferred[None]()
        if self.queued:
            self._timer = self._clock.callLater(patience, self._on_patience_over)
        self._advance()
        return stopped

    # The way of a batch.

    def _advance(self) -> None:
        """Send a batch if it is time, or set the timer."""
        if self._sent is not None:
            return
        if self._stopped is not None:
            self._post_or_finish()
        elif self.queued:
            self._post_or_wait()

    def _post_or_finish(self) -> None:
        if self.queued:
            self._post()
        elif self._stopped is not None and not self._stopped.called:
            self._set_timer(None)
            self._stopped.callback(None)

    def _post_or_wait(self) -> None:
        settings = self._settings
        pause = self.breaker.seconds_left()
        if pause:
            self._set_timer(pause)
        elif self._batch is not None or self._queue.ready >= self._full:
            self._set_timer(None)
            self._post()
        elif self._timer is None:
            self._set_timer(settings.disconnect_seconds)

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._clock.callLater(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self.breaker.seconds_left():
            self._advance()
        elif self._sent is None and self.queued:
            # The queue may be empty by now: a change cancels its opposite.
            self._post()

    def _post(self) -> None:
        batch = self._batch = self._batch or self._queue.take(self._wall())
        # When the daemon stops, the batch is sent even if the breaker is open.
        breaker_pass = self.breaker.admit()
        sent = self._send(batch.request).addTimeout(self._settings.timeout, self._clock)
        done = self._sent = sent.addCallback(acknowledgement).addBoth(
            self._on_result, batch, _NO_PASS if breaker_pass is None else breaker_pass
        )
        # Not in the callback above, which may have run before the assignment to _sent.
        done.addCallback(self._on_request_ended)

    def _on_request_ended(self, _: None) -> None:
        self._sent = None
        self._advance()

    def _on_result(self, result: Sequence[Push] | Failure, batch: Batch, breaker_pass: int) -> None:
        if batch is not self._batch:
            return
        if isinstance(result, Failure):
            self._on_failure(result, batch, breaker_pass)
            return
        self._end_batch()
        change = self.breaker.report(breaker_pass, RequestResult.ANSWERED)
        if change is BreakerChange.CLOSED:
            self._log.recovered(self._event)
        self._publish(result)

    def _on_failure(self, failure: Failure, batch: Batch, breaker_pass: int) -> None:
        problem = problem_of(failure)
        change = self.breaker.report(breaker_pass, RequestResult.FAILED)
        if change is BreakerChange.OPENED:
            self._log.problem(self._event, f"{problem}; next attempt in {self.breaker.seconds:g} s")
        batch.attempts += not never_sent(failure)
        if self._stopped is not None:
            self._give_up(problem)
        elif batch.attempts >= _MAX_ATTEMPTS:
            self._end_batch()
            self._drop(batch.count, problem)

    def _end_batch(self) -> None:
        self._batch = None
        self._queue.on_ended()

    def _drop(self, count: int, problem: str) -> None:
        self._dropped += count
        self._log.failed(
            self._event,
            f"{problem}; {count} {self._noun} dropped, {self._dropped} since the start",
        )

    def _on_patience_over(self) -> None:
        self._timer = None
        self._give_up("out of time")
        if self._sent is not None:
            self._sent.cancel()

    def _give_up(self, problem: str) -> None:
        """Drop everything that is left."""
        count = self.queued
        self._batch = None
        self._queue.clear()
        self._dropped += count
        self._log.problem(
            self._event, f"{problem}; {count} {self._noun} dropped because wampush stops"
        )
