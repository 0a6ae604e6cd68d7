"""What this node answers to others that ask for everything that it has.

Owns: how often each may ask, and how much is sent in one turn. Must not import: Twisted, the edges,
presence. The clock is handed in.

A snapshot costs time and bandwidth in proportion to the users, so a node that keeps asking must not
keep this one busy. A request that comes too early is answered later, once. A large
snapshot is sent a few parts at a time, and the node serves its clients in between; several
snapshots are sent one after the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import Final

from wampush.clock import Clock, TimerHandle

#: Seconds between two snapshots for one process.
SNAPSHOT_SECONDS: Final = 2.0
#: The most processes that are known at the same time; further ones get nothing.
MOST_PROCESSES: Final = 256
#: Steps of a snapshot in one turn; each is about 700 users, which takes 0.5 ms at each node.
STEPS: Final = 2

_Sending = Generator[None, None, None]


class Snapshots:
    """Sends each process everything, at most once per :data:`SNAPSHOT_SECONDS`.

    :param send: sends everything to a process, step by step.
    :param clock: for the time between.
    """

    def __init__(self, send: Callable[[str], _Sending], clock: Clock) -> None:
        self._send = send
        self._clock = clock
        #: When each process was sent its last snapshot, the oldest first.
        self._sent: dict[str, float] = {}
        self._waiting: dict[str, TimerHandle] = {}
        #: Snapshots that are being sent; the first is in progress.
        self._sending: deque[_Sending] = deque()
        self._turn: TimerHandle | None = None
        #: Requests that came too early.
        self.postponed = 0
        #: Requests of processes beyond the limit.
        self.ignored = 0

    def on_request(self, process: str) -> None:
        """Send everything to a process, now or later."""
        self._forget_old()
        sent = self._sent.get(process)
        if sent is None:
            if len(self._sent) >= MOST_PROCESSES:
                self.ignored += 1
                return
            self._send_now(process)
            return
        self.postponed += 1
        if process not in self._waiting:
            seconds = sent + SNAPSHOT_SECONDS - self._clock.seconds()
            self._waiting[process] = self._clock.call_later(
                seconds, lambda: self._send_later(process)
            )

    def stop(self) -> None:
        """Send nothing more."""
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()
        for sending in self._sending:
            sending.close()
        self._sending.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _send_later(self, process: str) -> None:
        del self._waiting[process]
        self._send_now(process)

    def _send_now(self, process: str) -> None:
        self._sent.pop(process, None)
        self._sent[process] = self._clock.seconds()
        self._sending.append(self._send(process))
        if self._turn is None:
            self._send_some()

    def _send_some(self) -> None:
        self._turn = None
        for _ in range(STEPS):
            if not self._sending:
                return
            try:
                next(self._sending[0])
            except StopIteration:
                self._sending.popleft()
        if self._sending:
            self._turn = self._clock.call_later(0, self._send_some)

    def _forget_old(self) -> None:
        limit = self._clock.seconds() - SNAPSHOT_SECONDS
        while self._sent:
            process, sent = next(iter(self._sent.items()))
            if sent > limit or process in self._waiting:
                break
            del self._sent[process]
