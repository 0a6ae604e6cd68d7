"""One timer for all connections.

Owns: the timers of connections, grouped by the tick in which they expire.
Must not import: the broker, Autobahn.

A delayed call per connection costs memory and a heap operation for every ping; a set per tick costs
neither.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall


class Timed(Protocol):
    """An object with one timer on a wheel."""

    #: The tick in which its timer expires; set by the wheel, 0 while the timer is not running.
    timer_slot: int

    def on_timer(self) -> None:
        """The timer has expired; it is not running any more and may be started again."""


class TimerWheel:
    """Calls :meth:`Timed.on_timer` in the tick asked for, up to one tick late.

    :param clock: the reactor.
    :param tick_seconds: length of a tick in seconds.
    """

    def __init__(self, clock: IReactorTime, tick_seconds: float) -> None:
        self.tick_seconds = tick_seconds
        #: The current tick; starts at 1 so that 0 can mean "not running".
        self.now = 1
        self._slots: dict[int, set[Timed]] = {}
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock

    def start(self) -> None:
        """Start to count ticks."""
        self._loop.start(self.tick_seconds, now=False)

    def stop(self) -> None:
        """Stop counting ticks; timers that are running never expire."""
        if self._loop.running:
            self._loop.stop()

    @property
    def waiting(self) -> int:
        """How many timers are running."""
        return sum(map(len, self._slots.values()))

    @property
    def seconds(self) -> float:
        """Seconds since the start, in whole ticks."""
        return self.now * self.tick_seconds

    def schedule(self, timed: Timed, seconds: float) -> None:
        """Start the timer of an object; if it is running already, only the new time counts.

        :param seconds: from now.
        """
        if timed.timer_slot:
            self.cancel(timed)
        slot = self.now + max(1, round(seconds / self.tick_seconds))
        timed.timer_slot = slot
        waiting = self._slots.get(slot)
        if waiting is None:
            self._slots[slot] = {timed}
        else:
            waiting.add(timed)

    def cancel(self, timed: Timed) -> None:
        """Stop the timer of an object; do nothing when it is not running."""
        if timed.timer_slot:
            waiting = self._slots[timed.timer_slot]
            waiting.discard(timed)
            if not waiting:
                del self._slots[timed.timer_slot]
            timed.timer_slot = 0

    def _tick(self) -> None:
        self.now += 1
        # The set stays in its place meanwhile, so that on_timer may cancel another timer in it.
        waiting = self._slots.get(self.now)
        while waiting:
            timed = waiting.pop()
            timed.timer_slot = 0
            timed.on_timer()
        self._slots.pop(self.now, None)
