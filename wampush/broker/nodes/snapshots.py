"""What this node answers to others that ask for everything that it has.

Owns: how often each may ask, and how much is sent in one turn. Must not import: Twisted, the edges,
presence. The clock is handed in.

A snapshot costs time and bandwidth in proportion to the users, so a node that keeps asking must not
keep this one busy. A request that comes too early is answered later, once. One with many users is
told a few parts at a time, between which this node serves its clients; so are several, one after
the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import Final

from wampush.clock import Clock, TimerHandle

#: Seconds between two snapshots for one process.
TELL_SECONDS: Final = 2.0
#: The most processes that are known at the same time; further ones get nothing.
MOST_PROCESSES: Final = 256
#: Steps of a snapshot in one turn; each is about 700 users, which takes 0.5 ms at each node.
STEPS: Final = 2

_Telling = Generator[None, None, None]


class Snapshots:
    """Tells each process everything, at most once per :data:`TELL_SECONDS`.

    :param tell: tells everything to a process, step by step.
    :param clock: for the time between.
    """

    def __init__(self, tell: Callable[[str], _Telling], clock: Clock) -> None:
        self._tell = tell
        self._clock = clock
        #: When each was told last, the first of them longest ago.
        self._told: dict[str, float] = {}
        self._waiting: dict[str, TimerHandle] = {}
        #: Those that are told now, the first of them in part.
        self._telling: deque[_Telling] = deque()
        self._turn: TimerHandle | None = None
        #: Requests that came too early.
        self.postponed = 0
        #: Requests of processes beyond the limit.
        self.ignored = 0

    def on_request(self, process: str) -> None:
        """Tell everything to a process, now or later."""
        self._forget_old()
        told = self._told.get(process)
        if told is None:
            if len(self._told) >= MOST_PROCESSES:
                self.ignored += 1
                return
            self._tell_now(process)
            return
        self.postponed += 1
        if process not in self._waiting:
            seconds = told + TELL_SECONDS - self._clock.seconds()
            self._waiting[process] = self._clock.call_later(
                seconds, lambda: self._tell_later(process)
            )

    def stop(self) -> None:
        """Tell nothing more."""
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()
        for telling in self._telling:
            telling.close()
        self._telling.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _tell_later(self, process: str) -> None:
        del self._waiting[process]
        self._tell_now(process)

    def _tell_now(self, process: str) -> None:
        self._told.pop(process, None)
        self._told[process] = self._clock.seconds()
        self._telling.append(self._tell(process))
        if self._turn is None:
            self._tell_some()

    def _tell_some(self) -> None:
        self._turn = None
        for _ in range(STEPS):
            if not self._telling:
                return
            try:
                next(self._telling[0])
            except StopIteration:
                self._telling.popleft()
        if self._telling:
            self._turn = self._clock.call_later(0, self._tell_some)

    def _forget_old(self) -> None:
        limit = self._clock.seconds() - TELL_SECONDS
        while self._told:
            process, told = next(iter(self._told.items()))
            if told > limit or process in self._waiting:
                break
            del self._told[process]
