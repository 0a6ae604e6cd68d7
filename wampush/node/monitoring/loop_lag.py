"""How late the event loop is.

Owns: the timer that measures it. Must not import: Twisted; the reactor is handed in.

Everything that this process does for clients and backends waits for the event loop. A timer that
fires late shows by how much, whatever the cause: a long turn, application code that blocks, a
machine without a free core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from wampush.clock import until_next
from wampush.durations import Durations

#: Seconds between two measurements. What lasts longer is met for certain, and what is shorter in
#: proportion to its length. More of them would each wake an idle core, for 0.1 to 0.25 ms.
INTERVAL: Final = 1.0


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call."""


class LoopLag:
    """Measures how late a timer fires, from :meth:`start` to :meth:`stop`.

    :param seconds: returns the time in seconds; the clock of the reactor's timers.
    :param call_later: calls a function after a number of seconds.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self._seconds = seconds
        self._call_later = call_later
        self._due = 0.0
        self._timer: Timer | None = None
        #: How late the timer was each time.
        self.durations: Final = Durations()

    def start(self) -> None:
        """Begin to measure."""
        now = self._seconds()
        left = until_next(INTERVAL, now)
        self._due = now + left
        self._timer = self._call_later(left, self._on_timer)

    def stop(self) -> None:
        """Measure no longer; does nothing if it does not measure."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _on_timer(self) -> None:
        # Timers may be early by what a clock rounds.
        self.durations.add(max(self._seconds() - self._due, 0.0))
        self.start()
