"""The reasons for which the sources of pushes must pause.

Owns: the total of bytes that wait for slow clients, the reasons to pause, the wake-up afterwards.
Must not import: Twisted, the edges. The timer is handed in.

Eight things pause the sources, and each ends by an event:

* Clients that a flush has not reached yet are published to again. It ends when the flush is
  finished.
* ``limits.queued_bytes`` wait in total. It ends when :data:`TOTAL_FREE` of that is free again.
  Clients that read nothing for :data:`PATIENCE` seconds meanwhile are dropped, so that dead
  connections do not hold up live ones.
* Most receivers of a publication are close to their own limits. It ends when all of them have room
  for the largest event again, or after :data:`CROWD_PATIENCE` seconds. Those that have not caught
  up by then are stalled until their queues have been empty: they no longer count here, and are
  dropped when their queues are full. If they were half of the crowd, there is no other such pause
  for :data:`CROWD_REST` seconds, so that clients that deliberately read a trickle cannot keep the
  backends waiting.
* Much waits for the process that takes the sessions over, see ``node.handover``.
* The process before this one still has pushes that came before those that come here; likewise.
* Much waits to be stored, see ``durable_publishing``, or to be sent to all nodes, see
  ``backplane``.
* Much waits for the store that several nodes share, see ``mirrors``. Senders that wait for an
  answer do not pause for that: they are refused what would go there, and other topics are served.

The last four do not pause the delivery of what is stored or sent already.

A client that is the only receiver of its topic is not a crowd; see :mod:`.lone_client`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, unique
from typing import Final

from wampush.broker.delivery.address_shares import LOOKS, queues_to_drop
from wampush.broker.delivery.backlog import TURN_BYTES, Backlog, Timer
from wampush.broker.delivery.lone_client import LoneClient

PATIENCE: Final = 1.0
#: A small part, so that the pauses are short and publications to other topics wait hardly at all.
TOTAL_FREE: Final = 1 / 128
CROWD_PATIENCE: Final = 0.5
CROWD_REST: Final = 2.0


@unique
class Hold(Enum):
    """A reason for which the sources pause."""

    FLUSHING = "flushing"
    TOTAL = "total"
    CROWD = "crowd"
    STORING = "storing"
    HANDING_OVER = "handing over"
    TAKING_OVER = "taking over"
    BACKPLANE = "backplane"
    SHARED_STORE = "shared store"


#: Reasons that do not pause the delivery of what is stored or sent already.
_BEFORE_DELIVERY: Final = frozenset(
    {Hold.TAKING_OVER, Hold.STORING, Hold.BACKPLANE, Hold.SHARED_STORE}
)


class Backpressure:
    """Pauses and resumes the sources of pushes.

    :param limit: bytes that may wait in all blocked outboxes in total.
    :param call_later: calls a function after a number of seconds.
    :param per_address: bytes of memory that the outboxes for one address may keep; see
        ``address_shares``.
    """

    def __init__(
        self,
        limit: int,
        call_later: Callable[[float, Callable[[], None]], Timer],
        per_address: int = sys.maxsize,
    ) -> None:
        self._limit = limit
        self._resume_at = limit - int(limit * TOTAL_FREE)
        self._call_later = call_later
        self._holds: set[Hold] = set()
        self._release_callbacks: list[Callable[[], None]] = []
        self._ready_callbacks: list[Callable[[], None]] = []
        self._awaited: set[Backlog] = set()
        self._half = 0.0
        self._deadline: Timer | None = None
        # Runs while there is no pause for a crowd.
        self._rest: Timer | None = None
        self._is_lone = False
        self._lone = LoneClient(call_later)
        self._blocked: set[Backlog] = set()
        self._total_deadline: Timer | None = None
        self._per_address = per_address
        self._look_step = max(1, per_address // LOOKS)
        # The total at which the queues are looked at by address.
        self._look_at = self._look_step
        self._look: Timer | None = None
        #: Whether sources must wait for their release callback before they read on. Not a property,
        #: because each turn of each source asks.
        self.paused = False
        #: Bytes that wait in blocked outboxes.
        self.total = 0
        #: How often the sources have paused because clients could not keep up.
        self.pauses = 0

    @property
    def paused_for_all(self) -> bool:
        """Whether senders that wait for an answer must pause as well."""
        return bool(self._holds - {Hold.SHARED_STORE})

    @property
    def clients_behind(self) -> bool:
        """Whether sources pause because of clients."""
        return bool(self._holds) and not self._holds <= _BEFORE_DELIVERY

    @property
    def blocked_clients(self) -> int:
        """The number of clients whose connections take nothing for now."""
        return len(self._blocked)

    @property
    def queued_chunks(self) -> int:
        """The number of chunks that wait for these clients; added up at each call."""
        return sum([len(backlog.chunks) for backlog in self._blocked])

    def call_on_release(self, callback: Callable[[], None]) -> None:
        """Call a function whenever the last reason to pause has ended."""
        self._release_callbacks.append(callback)

    def call_when_ready(self, callback: Callable[[], None]) -> None:
        """Call a function whenever :attr:`clients_behind` may have ended."""
        self._ready_callbacks.append(callback)

    def on_queued(self, size: int) -> None:
        """Count bytes that a blocked outbox has queued."""
        self.total += size
        if self.total > self._look_at:
            self._look_soon()
        if self.total > self._limit and Hold.TOTAL not in self._holds:
            self.pauses += 1
            self.hold(Hold.TOTAL)
            self._watch_total()

    def on_dequeued(self, size: int) -> None:
        """Count bytes that no longer wait in a blocked outbox."""
        self.total -= size
        if self.total + self.total // LOOKS + 2 * self._look_step < self._look_at:
            self._look_at = self.total + self._look_step
        if Hold.TOTAL in self._holds and self.total <= self._resume_at:
            if self._total_deadline is not None:
                self._total_deadline.cancel()
                self._total_deadline = None
            self.release(Hold.TOTAL)

    def on_blocked(self, backlog: Backlog) -> None:
        """Note that an outbox cannot send for now."""
        self._blocked.add(backlog)

    def on_unblocked(self, backlog: Backlog) -> None:
        """Note that an outbox can send again, or is closed."""
        self._blocked.discard(backlog)
        self.on_relieved(backlog)
        self._lone.forget(backlog)

    def hold(self, reason: Hold) -> None:
        """Pause the sources for a reason until it is released."""
        self._holds.add(reason)
        self.paused = True

    def release(self, reason: Hold) -> None:
        """End a reason to pause; wakes the sources if it was the last."""
        if reason in self._holds:
            self._holds.discard(reason)
            self.paused = bool(self._holds)
            if not self.clients_behind:
                for callback in self._ready_callbacks:
                    callback()
            if not self._holds:
                for callback in self._release_callbacks:
                    callback()

    def hold_for(self, crowd: Iterable[Backlog]) -> None:
        """Pause until the whole crowd has caught up, or patience ends."""
        awaited = set(crowd)
        alone = next(iter(awaited)) if len(awaited) == 1 else None
        if Hold.CROWD in self._holds:
            return
        if alone is not None:
            if not self._lone.may_hold(alone):
                return
        elif self._rest is not None:
            return
        self._lone.end_suspicion()
        self.pauses += 1
        self._awaited = set(awaited)
        self._half = len(awaited) / 2
        self._is_lone = alone is not None
        if alone is not None and not self._lone.is_proven(alone):
            self._lone.watch(alone, CROWD_PATIENCE, self._patience_ended)
        else:
            self._deadline = self._call_later(CROWD_PATIENCE, self._patience_ended)
        self.hold(Hold.CROWD)

    def on_relieved(self, backlog: Backlog) -> None:
        """Note that an outbox has room again, or is closed."""
        if backlog not in self._awaited:
            return
        self._awaited.discard(backlog)
        if self._is_lone:
            self._lone.prove(backlog)
        if not self._awaited:
            if self._deadline is not None:
                self._deadline.cancel()
            self._lone.end_watch()
            self._end_crowd()

    def stop(self) -> None:
        """Cancel the timers; for the end of the process."""
        for timer in (self._deadline, self._total_deadline, self._look, self._rest):
            if timer is not None:
                timer.cancel()
        self._deadline = self._total_deadline = self._look = self._rest = None
        self._lone.stop()

    def _look_soon(self) -> None:
        """Look at the queues at the end of the turn, or now if this turn queues too much."""
        if self.total > self._look_at + 2 * max(self._look_step, self._look_at // LOOKS):
            self._limit_addresses()
        elif self._look is None:
            self._look = self._call_later(0, self._look_now)

    def _look_now(self) -> None:
        self._look = None
        if self.total > self._look_at:
            self._limit_addresses()

    def _limit_addresses(self) -> None:
        for backlog in queues_to_drop(self._blocked, self._per_address, self._limit):
            backlog.overflow()
        self._look_at = self.total + max(self._look_step, self.total // LOOKS)

    def _watch_total(self) -> None:
        before = {backlog: backlog.queued for backlog in self._blocked}
        self._total_deadline = self._call_later(PATIENCE, lambda: self._drop_dead(before))

    def _drop_dead(self, before: Mapping[Backlog, int]) -> None:
        self._total_deadline = None
        for backlog, queued in before.items():
            if backlog in self._blocked and backlog.queued >= queued > TURN_BYTES:
                backlog.overflow()
        if Hold.TOTAL in self._holds and self._total_deadline is None:
            self._watch_total()

    def _patience_ended(self) -> None:
        for backlog in self._awaited:
            backlog.stalled = True
            self._lone.refute(backlog)
        if len(self._awaited) >= self._half:
            if self._is_lone:
                self._lone.rest()
            else:
                self._rest = self._call_later(CROWD_REST, self._rested)
        self._end_crowd()

    def _rested(self) -> None:
        self._rest = None

    def _end_crowd(self) -> None:
        self._deadline = None
        self._awaited = set()
        self.release(Hold.CROWD)
