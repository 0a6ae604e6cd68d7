"""The time, as parts see it that are independent of the reactor.

Owns: the clock that is handed in, and its timers. Must not import: anything of wampush.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class TimerHandle(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A source of time and timers.

    :param seconds: returns the time, in seconds.
    :param call_later: calls a function after a number of seconds.
    """

    seconds: Callable[[], float]
    call_later: Callable[[float, Callable[[], None]], TimerHandle]


def until_next(interval: float, now: float) -> float:
    """Return the seconds until a clock shows the next multiple of an interval.

    What happens all the time, and need not be exact, is due together then, and an idle process
    wakes once for all of it. Linux rounds its own timers for the same reason (``round_jiffies``).

    :param interval: in seconds.
    :param now: what the clock shows, in seconds.
    :returns: at least half of the interval, so that a timer that is early is not set again for the
        same multiple.
    """
    left = interval - now % interval
    return left if left * 2 >= interval else left + interval
