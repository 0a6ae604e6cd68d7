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
