"""A circuit breaker: whether requests are sent to a server that keeps failing.

Owns: the states of the breaker and the legal moves between them. Pure: the clock is passed in.
Must not import: Twisted, or anything of wampush.

*Closed*: every request is sent. After a number of failures in a row the breaker is *open*: nothing
is sent. After a pause it is *half-open*: one request is let through, the probe. A response to it
closes the breaker, its failure opens it for another pause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, unique
from types import MappingProxyType
from typing import Final


@unique
class BreakerState(Enum):
    """What a breaker does with requests."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@unique
class RequestResult(Enum):
    """How a request that was let through ended.

    ABANDONED: nobody waits for the response any more, so nothing is known about the server.
    """

    ANSWERED = "answered"
    FAILED = "failed"
    ABANDONED = "abandoned"


@unique
class BreakerChange(Enum):
    """A move that deserves a log line: the first opening, and the closing after it."""

    OPENED = "opened"
    CLOSED = "closed"


@unique
class _Event(Enum):
    """What can move a breaker."""

    TOO_MANY_FAILURES = "too many failures in a row"
    PAUSE_OVER = "pause over"
    PROBE_ANSWERED = "probe answered"
    PROBE_FAILED = "probe failed"
    PROBE_ABANDONED = "probe abandoned"


_MOVES: Final[Mapping[tuple[BreakerState, _Event], BreakerState]] = MappingProxyType(
    {
        (BreakerState.CLOSED, _Event.TOO_MANY_FAILURES): BreakerState.OPEN,
        (BreakerState.OPEN, _Event.PAUSE_OVER): BreakerState.HALF_OPEN,
        (BreakerState.HALF_OPEN, _Event.PROBE_ANSWERED): BreakerState.CLOSED,
        (BreakerState.HALF_OPEN, _Event.PROBE_FAILED): BreakerState.OPEN,
        # The pause is over already, so the next request becomes the probe.
        (BreakerState.HALF_OPEN, _Event.PROBE_ABANDONED): BreakerState.OPEN,
    }
)
_PROBE_EVENTS: Final[Mapping[RequestResult, _Event]] = MappingProxyType(
    {
        RequestResult.ANSWERED: _Event.PROBE_ANSWERED,
        RequestResult.FAILED: _Event.PROBE_FAILED,
        RequestResult.ABANDONED: _Event.PROBE_ABANDONED,
    }
)


class CircuitBreaker:
    """Lets requests through or holds them back.

    Every request that is let through gets a pass, and its end is reported once with this pass. A
    report with a pass from an earlier period (before the breaker opened, or before the probe) says
    nothing about the present and is ignored.

    :param failures: number of failures in a row that open it.
    :param seconds: length of the pause.
    :param now: seconds of a clock that never goes back.
    """

    def __init__(self, failures: int, seconds: float, now: Callable[[], float]) -> None:
        self.failures: Final = failures
        self.seconds: Final = seconds
        self._state = BreakerState.CLOSED
        self._now = now
        self._failures_in_a_row = 0
        self._open_until = 0.0
        #: Grows whenever the passes handed out before lose their meaning.
        self._period = 0

    @property
    def state(self) -> BreakerState:
        """What it does with requests now."""
        return self._state

    def admit(self) -> int | None:
        """Return a pass for one request, or None while nothing may be sent."""
        if self._state is BreakerState.HALF_OPEN or self.seconds_left():
            return None
        if self._state is BreakerState.OPEN:
            self._move(_Event.PAUSE_OVER)
            self._period += 1
        return self._period

    def seconds_left(self) -> float:
        """Return the seconds for which it stays open; 0 when a request may be let through."""
        if self._state is not BreakerState.OPEN:
            return 0.0
        return max(0.0, self._open_until - self._now())

    def report(self, breaker_pass: int, result: RequestResult) -> BreakerChange | None:
        """Take note of how a request ended.

        :param breaker_pass: the pass of the request.
        """
        if breaker_pass != self._period or self._state is BreakerState.OPEN:
            return None
        if self._state is BreakerState.HALF_OPEN:
            return self._on_probe(result)
        if result is RequestResult.ANSWERED:
            self._failures_in_a_row = 0
        elif result is RequestResult.FAILED:
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= self.failures:
                self._move(_Event.TOO_MANY_FAILURES)
                self._open_until = self._now() + self.seconds
                return BreakerChange.OPENED
        return None

    def _on_probe(self, result: RequestResult) -> BreakerChange | None:
        self._move(_PROBE_EVENTS[result])
        if result is RequestResult.FAILED:
            self._open_until = self._now() + self.seconds
        if result is not RequestResult.ANSWERED:
            return None
        self._failures_in_a_row = 0
        return BreakerChange.CLOSED

    def _move(self, event: _Event) -> None:
        self._state = _MOVES[self._state, event]
