"""One timer for all connections.

Owns: which connection is due in which tick. Must not import: the broker, Autobahn.

A delayed call per connection costs memory and a heap operation for every ping; a slot per tick
costs neither.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall


class Timed(Protocol):
    """What waits on a wheel."""

    #: The tick in which it is due; kept by the wheel, 0 when it is on none.
    slot: int

    def due(self) -> None:
        """Its tick has come; it is off the wheel and may schedule itself again."""


class TimerWheel:
    """Calls :meth:`Timed.due` in the tick asked for, late by up to one tick.

    :param clock: the reactor, or a test's clock.
    :param tick_seconds: how long a tick lasts.
    """

    def __init__(self, clock: IReactorTime, tick_seconds: float) -> None:
        self.tick_seconds = tick_seconds
        #: Ticks since the start; starts at 1 so that 0 can mean "on no wheel".
        self.now = 1
        self._slots: dict[int, set[Timed]] = {}
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin to turn."""
        self._loop.start(self.tick_seconds, now=False)

    def stop(self) -> None:
        """Turn no more."""
        if self._loop.running:
            self._loop.stop()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._slots.values()))

    def schedule(self, timed: Timed, seconds: float) -> None:
        """Make something due so many seconds from now, instead of what was scheduled for it."""
        self.cancel(timed)
        slot = self.now + max(1, round(seconds / self.tick_seconds))
        timed.slot = slot
        waiting = self._slots.get(slot)
        if waiting is None:
            self._slots[slot] = {timed}
        else:
            waiting.add(timed)

    def cancel(self, timed: Timed) -> None:
        """Take something off; does nothing when it is on no wheel."""
        if timed.slot:
            waiting = self._slots[timed.slot]
            waiting.discard(timed)
            if not waiting:
                del self._slots[timed.slot]
            timed.slot = 0

    def _tick(self) -> None:
        self.now += 1
        # The slot stays in its place meanwhile, so that who is due may cancel another one in it.
        waiting = self._slots.get(self.now)
        while waiting:
            timed = waiting.pop()
            timed.slot = 0
            timed.due()
        self._slots.pop(self.now, None)
