"""When the sources of pushes must pause.

Owns: how many bytes wait for slow clients in total, the reasons to pause, the wake-up afterwards.
Must not import: Twisted, the edges. The timer is handed in.

Three things pause the sources, and each ends by an event:

* a turn's flush is not finished: ends when it is;
* ``limits.queued_bytes`` wait in total: ends when a quarter of it is free again; who took nothing
  for :data:`PATIENCE` seconds meanwhile is dropped, so that the dead do not hold up the living;
* most receivers of a publication are close to their own limits: ends when half of those have
  caught up, or after :data:`CROWD_PATIENCE` seconds. Who has not caught up by then is stalled until
  its queue has been empty: it no longer counts here and is dropped when its queue is full. After a
  hold that ended so there is none for :data:`CROWD_REST` seconds, so that clients that read a
  trickle on purpose can not keep the backends waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, unique
from typing import Final, Protocol

PATIENCE: Final = 1.0
CROWD_PATIENCE: Final = 0.5
CROWD_REST: Final = 2.0


class Backlog(Protocol):
    """What this module needs to know of an outbox."""

    queued: int
    stalled: bool

    def overflow(self) -> None:
        """End the connection of this client: it is too slow."""


class Timer(Protocol):
    """A call in the future that can be taken back."""

    def cancel(self) -> None:
        """Take it back."""


@unique
class Hold(Enum):
    """Why the sources pause."""

    FLUSHING = "flushing"
    TOTAL = "total"
    CROWD = "crowd"


class Backpressure:
    """Pauses and resumes the sources of pushes.

    :param limit: bytes that may wait in all blocked outboxes together.
    :param call_later: calls a function after so many seconds.
    """

    def __init__(
        self, limit: int, call_later: Callable[[float, Callable[[], None]], Timer]
    ) -> None:
        self._limit = limit
        self._call_later = call_later
        self._holds: set[Hold] = set()
        self._on_release: list[Callable[[], None]] = []
        self._awaited: set[Backlog] = set()
        self._enough = 0
        self._deadline: Timer | None = None
        self._rest: Timer | None = None
        self._waiting: set[Backlog] = set()
        self._total_deadline: Timer | None = None
        #: Bytes that wait in blocked outboxes.
        self.total = 0
        #: How often the sources were paused because clients could not keep up.
        self.pauses = 0

    @property
    def paused(self) -> bool:
        """Whether sources must wait for their release callback before they read on."""
        return bool(self._holds)

    def on_release(self, callback: Callable[[], None]) -> None:
        """Call this whenever the last reason to pause is gone."""
        self._on_release.append(callback)

    def grew(self, size: int) -> None:
        """So many more bytes wait."""
        self.total += size
        if self.total > self._limit and Hold.TOTAL not in self._holds:
            self.pauses += 1
            self.hold(Hold.TOTAL)
            self._watch_total()

    def shrank(self, size: int) -> None:
        """So many bytes no longer wait."""
        self.total -= size
        if self.total * 4 <= self._limit * 3 and Hold.TOTAL in self._holds:
            if self._total_deadline is not None:
                self._total_deadline.cancel()
                self._total_deadline = None
            self.release(Hold.TOTAL)

    def blocked(self, backlog: Backlog) -> None:
        """An outbox can not send for now."""
        self._waiting.add(backlog)

    def unblocked(self, backlog: Backlog) -> None:
        """An outbox can send again, or is gone."""
        self._waiting.discard(backlog)
        self.relieved(backlog)

    def hold(self, reason: Hold) -> None:
        """Pause the sources for a reason until it is released."""
        self._holds.add(reason)

    def release(self, reason: Hold) -> None:
        """A reason is gone; wakes the sources when it was the last."""
        if reason in self._holds:
            self._holds.discard(reason)
            if not self._holds:
                for callback in self._on_release:
                    callback()

    def hold_for(self, crowd: Iterable[Backlog]) -> None:
        """Pause until half of these have caught up, or patience ends."""
        if Hold.CROWD in self._holds or self._rest is not None:
            return
        self.pauses += 1
        self._awaited = set(crowd)
        self._enough = len(self._awaited) // 2
        self._deadline = self._call_later(CROWD_PATIENCE, self._patience_ended)
        self.hold(Hold.CROWD)

    def relieved(self, backlog: Backlog) -> None:
        """An outbox has room again, or is gone."""
        if backlog not in self._awaited:
            return
        self._awaited.discard(backlog)
        if len(self._awaited) <= self._enough:
            if self._deadline is not None:
                self._deadline.cancel()
            self._end_crowd()

    def stop(self) -> None:
        """Take back the timers; for the end of the process."""
        for timer in (self._deadline, self._total_deadline, self._rest):
            if timer is not None:
                timer.cancel()
        self._deadline = self._total_deadline = self._rest = None

    def _watch_total(self) -> None:
        before = {backlog: backlog.queued for backlog in self._waiting}
        self._total_deadline = self._call_later(PATIENCE, lambda: self._drop_dead(before))

    def _drop_dead(self, before: Mapping[Backlog, int]) -> None:
        self._total_deadline = None
        for backlog, queued in before.items():
            if backlog in self._waiting and backlog.queued >= queued:
                backlog.overflow()
        if Hold.TOTAL in self._holds and self._total_deadline is None:
            self._watch_total()

    def _patience_ended(self) -> None:
        for backlog in self._awaited:
            backlog.stalled = True
        self._rest = self._call_later(CROWD_REST, self._rested)
        self._end_crowd()

    def _rested(self) -> None:
        self._rest = None

    def _end_crowd(self) -> None:
        self._deadline = None
        self._awaited = set()
        self.release(Hold.CROWD)
