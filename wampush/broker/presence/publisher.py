"""Publishing changes without flooding anybody.

Owns: when a change may be published: at once, then at most once per interval.
Must not import: anything of wampush but ``delay_queue`` and ``state_machine``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum, auto, unique
from math import inf
from types import MappingProxyType
from typing import ClassVar, Final

from wampush.broker.presence.delay_queue import DelayQueue
from wampush.state_machine import state_after

#: Events per second that one publisher may cause, for all receivers: about a tenth of a core.
EVENTS_PER_SECOND: Final = 10_000


@unique
class PublisherState(StrEnum):
    """What a publisher does with a change."""

    #: It publishes the change at once, or waits if it has published a moment ago.
    READY = auto()
    #: It is in the delay queue, and publishes the change once that is over.
    WAITING = auto()


@unique
class PublisherEvent(StrEnum):
    """What changes the state of a publisher."""

    QUEUED = auto()
    ELAPSED = auto()


# String enumerations hash without a call of Python code.
_MOVES: Final = MappingProxyType(
    {
        (PublisherState.READY, PublisherEvent.QUEUED): PublisherState.WAITING,
        (PublisherState.WAITING, PublisherEvent.ELAPSED): PublisherState.READY,
    }
)


class RateLimitedPublisher(ABC):
    """A source of changes that are published at once, and then at most once per interval.

    With many receivers it publishes less often, see :data:`EVENTS_PER_SECOND`.

    :param interval: the queue whose delay is the shortest time between two publications.
    """

    __slots__ = ("_interval", "_pause", "_published_at", "_state")

    #: Whether to look for news an interval after each publication even if none was requested.
    checks_again: ClassVar[bool] = False

    def __init__(self, interval: DelayQueue) -> None:
        self._interval = interval
        self._state = PublisherState.READY
        self._published_at = -inf
        self._pause = 0.0

    def request(self) -> None:
        """Publish what has changed, now or when that is allowed again."""
        if self._state is PublisherState.WAITING:
            return
        if self._is_early(0.0):
            self._wait()
        else:
            self._check()

    def on_elapsed(self) -> None:
        """Look for news after an interval."""
        self._move(PublisherEvent.ELAPSED)
        if self._is_early(self._interval.seconds / 2):
            self._wait()
        else:
            self._check()

    @property
    @abstractmethod
    def has_news(self) -> bool:
        """Whether there is something to publish, and anybody to receive it."""

    @abstractmethod
    def publish(self) -> int:
        """Publish the news, or a part of it.

        :returns: the number of events, counted for each receiver.
        """

    @abstractmethod
    def idle(self) -> None:
        """Handle an interval without news."""

    def _check(self) -> None:
        if not self.has_news:
            self.idle()
            return
        events = self.publish()
        self._published_at = self._interval.now()
        self._pause = max(self._interval.seconds, events / EVENTS_PER_SECOND)
        if self.checks_again or self.has_news:
            self._wait()

    def _is_early(self, tolerance: float) -> bool:
        """Return whether it is too early to publish; never after the clock was set back.

        :param tolerance: seconds by which a publication may come early.
        """
        return 0 <= self._interval.now() - self._published_at < self._pause - tolerance

    def _wait(self) -> None:
        self._move(PublisherEvent.QUEUED)
        self._interval.add(self)

    def _move(self, event: PublisherEvent) -> None:
        self._state = state_after(_MOVES, self._state, event)
