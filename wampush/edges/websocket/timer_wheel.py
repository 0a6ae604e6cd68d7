"""One timer for all connections.

Owns: the timers of connections, grouped by the tick in which they expire.
Must not import: the broker, Autobahn.

A delayed call per connection costs memory and a heap operation for every ping; a dict per tick
costs neither. A set would take more, because it grows fourfold.
"""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IReactorTime

from wampush.clock import until_next

#: Seconds between two steps in which timers of a tick are called. Clients that connect at the same
#: time are due at the same time: 3,000 pings at once, and their answers, held pushes up for 150 ms.
STEP_SECONDS: Final = 0.01
#: Timers that are called in a step at least.
LEAST_TIMERS: Final = 16
#: Seconds that a step may take; what is left then goes on in the next reactor turn.
SHARE_SECONDS: Final = 0.002
#: Timers of a tick above which others that need not be exact take an earlier tick.
CROWD: Final = 100
#: The clock is read after timers whose number has none of these bits.
_CLOCK_MASK: Final = 15


class Timed(Protocol):
    """An object with one timer on a wheel."""

    #: The tick in which its timer expires; set by the wheel, 0 while the timer is not running.
    timer_slot: int

    def on_timer(self) -> None:
        """The timer has expired; it is not running any more and may be started again."""


class TimerWheel:
    """Calls :meth:`Timed.on_timer` in the tick asked for, up to one tick late.

    Where many are due in a tick, they are spread over it, and come up to another tick late.

    :param clock: the reactor.
    :param tick_seconds: length of a tick in seconds.
    """

    def __init__(self, clock: IReactorTime, tick_seconds: float) -> None:
        self.tick_seconds = tick_seconds
        #: The current tick; starts at 1 so that 0 can mean "not running".
        self.now = 1
        #: Seconds since the start, in whole ticks. Not computed for each that asks, so that all
        #: connections of a tick keep the same object.
        self.seconds = tick_seconds
        #: By tick: its number, which all timers in it keep instead of one each, and the timers.
        self._slots: dict[int, tuple[int, dict[Timed, None]]] = {}
        #: Ticks that have come, and whose timers have not all been called.
        self._due: deque[int] = deque()
        self._per_step = LEAST_TIMERS
        #: How often another tick was looked for; see :meth:`schedule_about`.
        self._looked = 0
        self._rest: Any = None
        self._clock: Any = clock
        self._next_tick: Any = None

    def start(self) -> None:
        """Start to count ticks."""
        left = until_next(self.tick_seconds, self._clock.seconds())
        self._next_tick = self._clock.callLater(left, self._tick)

    def stop(self) -> None:
        """Stop counting ticks; timers that are running never expire."""
        if self._next_tick is not None:
            self._next_tick.cancel()
            self._next_tick = None
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    @property
    def waiting(self) -> int:
        """How many timers are running."""
        return sum(len(timers) for _, timers in self._slots.values())

    def schedule(self, timed: Timed, seconds: float) -> None:
        """Start the timer of an object; if it is running already, only the new time counts.

        :param seconds: from now.
        """
        ticks = round(seconds / self.tick_seconds)
        self._start(timed, self.now + (ticks if ticks > 0 else 1))

    def _start(self, timed: Timed, slot: int) -> None:
        if timed.timer_slot:
            if timed.timer_slot == slot:
                return
            self.cancel(timed)
        waiting = self._slots.get(slot)
        if waiting is None:
            waiting = self._slots[slot] = slot, {}
        timed.timer_slot = waiting[0]
        waiting[1][timed] = None

    def schedule_about(self, timed: Timed, seconds: float, early: float) -> None:
        """Start the timer of an object as :meth:`schedule` does, or earlier if many are due then.

        Clients that connect together would otherwise be due together forever. Each time they are
        spread over more ticks, until all ticks have the same number.

        :param seconds: from now.
        :param early: seconds that it may come earlier.
        """
        ticks = max(1, round(seconds / self.tick_seconds))
        slot = self.now + ticks
        if timed.timer_slot != slot:
            crowd, most = self._crowd(slot), min(ticks - 1, int(early / self.tick_seconds))
            if crowd >= CROWD and most > 0:
                # Each looks at another tick, because 10,000 clients may come at once, and to look
                # for the emptiest tick would take a tenth of the time of each connect.
                self._looked += 1
                earlier = slot - 1 - self._looked % most
                if self._crowd(earlier) < crowd:
                    slot = earlier
        self._start(timed, slot)

    def _crowd(self, slot: int) -> int:
        """Return how many timers a tick has."""
        waiting = self._slots.get(slot)
        return 0 if waiting is None else len(waiting[1])

    def cancel(self, timed: Timed) -> None:
        """Stop the timer of an object; do nothing when it is not running."""
        if timed.timer_slot:
            slot, waiting = self._slots[timed.timer_slot]
            waiting.pop(timed, None)
            if not waiting:
                del self._slots[slot]
            timed.timer_slot = 0

    def _tick(self) -> None:
        self.start()
        self.now += 1
        self.seconds = self.now * self.tick_seconds
        due = self._slots.get(self.now)
        if due is not None:
            self._due.append(self.now)
            steps = self.tick_seconds / STEP_SECONDS
            self._per_step = max(LEAST_TIMERS, ceil((self._left() + len(due[1])) / steps))
        if self._rest is None:
            self._expire()

    def _left(self) -> int:
        """Return how many timers of earlier ticks are still to be called."""
        slots = [self._slots.get(tick) for tick in self._due if tick != self.now]
        return sum([len(slot[1]) for slot in slots if slot is not None])

    def _expire(self) -> None:
        """Call some timers that are due."""
        self._rest = None
        begun, count = self._clock.seconds(), 0
        while self._due:
            # It stays in its place meanwhile, so that on_timer may cancel another timer in it.
            _, waiting = self._slots.get(self._due[0], (0, None))
            while waiting:
                if count >= self._per_step:
                    self._rest = self._clock.callLater(STEP_SECONDS, self._expire)
                    return
                timed, _ = waiting.popitem()
                timed.timer_slot = 0
                timed.on_timer()
                count += 1
                if not count & _CLOCK_MASK and self._clock.seconds() - begun > SHARE_SECONDS:
                    self._rest = self._clock.callLater(0, self._expire)
                    return
            self._slots.pop(self._due.popleft(), None)
