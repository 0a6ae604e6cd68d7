"""One timer for everything that waits equally long.

Owns: items that wait for the same number of seconds.
Must not import: Twisted, or anything of wampush but ``state_machine`` and ``clock``. The clock is
handed in.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum, auto, unique
from types import MappingProxyType
from typing import Final, Protocol

from wampush.clock import Clock, TimerHandle
from wampush.state_machine import state_after

#: Seconds by which a round may be late, so that there are few rounds.
GRAIN: Final = 0.01
#: The most items handled in one reactor turn; they take about 5 ms.
SLICE: Final = 1000


class Waiter(Protocol):
    """An item in a :class:`DelayQueue`."""

    def on_elapsed(self) -> None:
        """Handle the end of the delay."""


@unique
class QueueState(StrEnum):
    """Whether a delay queue has a timer."""

    EMPTY = auto()
    ARMED = auto()
    STOPPED = auto()


@unique
class QueueEvent(StrEnum):
    """What changes the state of a delay queue."""

    ADDED = auto()
    EMPTIED = auto()
    STOPPED = auto()


# String enumerations hash without a call of Python code.
_MOVES: Final = MappingProxyType(
    {
        (QueueState.EMPTY, QueueEvent.ADDED): QueueState.ARMED,
        (QueueState.EMPTY, QueueEvent.STOPPED): QueueState.STOPPED,
        (QueueState.ARMED, QueueEvent.ADDED): QueueState.ARMED,
        (QueueState.ARMED, QueueEvent.EMPTIED): QueueState.EMPTY,
        (QueueState.ARMED, QueueEvent.STOPPED): QueueState.STOPPED,
        # Whatever happens after the end leaves the queue as it is.
        (QueueState.STOPPED, QueueEvent.ADDED): QueueState.STOPPED,
        (QueueState.STOPPED, QueueEvent.STOPPED): QueueState.STOPPED,
    }
)


class DelayQueue:
    """Items that wait for the same number of seconds; one timer in all, none while it is empty.

    :param seconds: how long each item waits.
    :param clock: gives the time and schedules the rounds.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds: Final = seconds
        self._clock = clock
        self._state = QueueState.EMPTY
        self._items: deque[tuple[float, Waiter]] = deque()
        # Of the next round; None except while the queue is armed.
        self._timer: TimerHandle | None = None

    def now(self) -> float:
        """Return the time, in seconds."""
        return self._clock.seconds()

    def add(self, item: Waiter) -> None:
        """Queue an item behind all others; does nothing once the queue is stopped."""
        was_empty = self._state is QueueState.EMPTY
        self._move(QueueEvent.ADDED)
        if self._state is QueueState.ARMED:
            self._items.append((self.now() + self.seconds, item))
            if was_empty:
                self._arm()

    def stop(self) -> None:
        """Drop all items, now and from now on."""
        self._move(QueueEvent.STOPPED)
        self._items.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _move(self, event: QueueEvent) -> None:
        self._state = state_after(_MOVES, self._state, event)

    def _arm(self) -> None:
        left = self._items[0][0] - self.now()
        seconds = min(max(GRAIN, left), self.seconds) if left > 0 else 0.0
        self._timer = self._clock.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self.now()
        elapsed: list[Waiter] = []
        items = self._items
        while items and self._is_over(items[0][0] - now) and len(elapsed) < SLICE:
            elapsed.append(items.popleft()[1])
        if items:
            self._arm()
        else:
            self._move(QueueEvent.EMPTIED)
        for item in elapsed:
            item.on_elapsed()

    def _is_over(self, left: float) -> bool:
        """Return whether an item has waited long enough.

        Sums of floats may be off a little. An item that has more than the whole delay left waited
        while the clock was set back; for how long is unknown, so its time is over.

        :param left: seconds until the end of the delay.
        """
        return left < 1e-6 or left > self.seconds + 1e-6
