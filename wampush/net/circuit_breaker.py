"""A circuit breaker: whether requests are sent to a server that keeps failing.

Owns: the states of the breaker and the legal moves between them. Pure: the clock is passed in.
Must not import: Twisted; of wampush only ``net.failure_sources`` and ``state_machine``.

*Closed*: every request is sent. After a number of failures in a row the breaker is *open*: nothing
is sent. After a pause it is *half-open*: one request is let through, the probe. A response to it
closes the breaker, its failure opens it for another pause.

A single client must not be able to open it for all. So each session counts once in a row, and the
sessions of one address make up at most half of it; a client that fails as often as that is held
back on its own. The probe is a request of somebody whose requests have not failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, unique
from types import MappingProxyType
from typing import Final

from wampush.net.failure_sources import FailureSource, SourceFailures
from wampush.state_machine import state_after


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
    """What deserves a log line: the first opening, the closing after it, a client held back."""

    OPENED = "opened"
    CLOSED = "closed"
    HELD = "held"


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
    :param holds: whether the requests of a client are held back that fails this often.
    """

    def __init__(
        self, failures: int, seconds: float, now: Callable[[], float], holds: bool = True
    ) -> None:
        self.failures: Final = failures
        self.seconds: Final = seconds
        self._state = BreakerState.CLOSED
        self._now = now
        self._sources = SourceFailures(failures, seconds, now) if holds else None
        #: Failures in a row for which no client is known.
        self._unattributed = 0
        #: The clients of the others, at most ``failures``.
        self._row: set[FailureSource] = set()
        self._open_until = 0.0
        #: Grows whenever the passes handed out before lose their meaning.
        self._period = 0

    @property
    def state(self) -> BreakerState:
        """What it does with requests now."""
        return self._state

    @property
    def held(self) -> int:
        """Number of sessions and addresses whose requests are held back."""
        return 0 if self._sources is None else self._sources.held

    def admit(self, source: FailureSource | None = None) -> int | None:
        """Return a pass for one request, or None while it must not be sent.

        :param source: the client on whose behalf it is sent; None when there is none.
        """
        if self._state is BreakerState.HALF_OPEN or self.seconds_left():
            return None
        if source is not None and self.holds_back(source):
            return None
        if self._state is BreakerState.OPEN:
            if source is not None and not self._may_probe(source):
                return None
            self._move(_Event.PAUSE_OVER)
            self._period += 1
        return self._period

    def holds_back(self, source: FailureSource) -> bool:
        """Whether the requests of this client, and perhaps of no other, are not sent."""
        return self._sources is not None and self._sources.is_held(source)

    def seconds_left(self) -> float:
        """Return the seconds for which it stays open; 0 when a request may be let through."""
        if self._state is not BreakerState.OPEN:
            return 0.0
        return max(0.0, self._open_until - self._now())

    def report(
        self, breaker_pass: int, result: RequestResult, source: FailureSource | None = None
    ) -> BreakerChange | None:
        """Take note of how a request ended.

        :param breaker_pass: the pass of the request.
        :param source: the client on whose behalf it was sent, as for :meth:`admit`.
        """
        if breaker_pass != self._period or self._state is BreakerState.OPEN:
            return None
        if self._state is BreakerState.HALF_OPEN:
            return self._on_probe(result, source)
        if result is RequestResult.ANSWERED:
            self._forget_failures(source)
        elif result is RequestResult.FAILED:
            return self._on_failure(source)
        return None

    def _on_failure(self, source: FailureSource | None) -> BreakerChange | None:
        is_held = self._attribute(source)
        if self._failures_in_a_row() < self.failures:
            return BreakerChange.HELD if is_held else None
        self._move(_Event.TOO_MANY_FAILURES)
        self._open_until = self._now() + self.seconds
        return BreakerChange.OPENED

    def _attribute(self, source: FailureSource | None) -> bool:
        """Count a failure for its client; return whether this one is held back from now on."""
        if source is None:
            self._unattributed += 1
            return False
        address = source.address
        of_address = sum(each.address == address for each in self._row)
        if address is None or of_address < max(1, self.failures // 2):
            self._row.add(source)
        return self._sources is not None and self._sources.on_failed(source)

    def _failures_in_a_row(self) -> int:
        return self._unattributed + len(self._row)

    def _may_probe(self, source: FailureSource) -> bool:
        """Whether a client has not failed, or nobody else has asked for a whole pause."""
        suspects = {each.address for each in self._row} - {None}
        if source not in self._row and source.address not in suspects:
            return True
        return self._now() >= self._open_until + self.seconds

    def _on_probe(
        self, result: RequestResult, source: FailureSource | None
    ) -> BreakerChange | None:
        self._move(_PROBE_EVENTS[result])
        if result is RequestResult.FAILED:
            self._open_until = self._now() + self.seconds
        if result is not RequestResult.ANSWERED:
            return None
        self._forget_failures(source)
        return BreakerChange.CLOSED

    def _forget_failures(self, source: FailureSource | None) -> None:
        self._unattributed = 0
        self._row.clear()
        if source is not None and self._sources is not None:
            self._sources.on_answered(source)

    def _move(self, event: _Event) -> None:
        self._state = state_after(_MOVES, self._state, event)
