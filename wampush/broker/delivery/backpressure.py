"""The reasons for which the sources of pushes must pause.

Owns: the total of bytes that wait for slow clients, the reasons to pause, the wake-up afterwards.
Must not import: Twisted, the edges. The timer is handed in.

Four things pause the sources, and each ends by an event:

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
* Much waits to be stored, see ``durable_publishing``. Only this does not pause the delivery of what
  is stored already.

A client that is the only receiver of its topic is not waited for until its queue grows by
:data:`LONE_GROWTH` within :data:`LONE_PATIENCE` seconds. If it grows more slowly, the client is
stalled if it has taken nothing meanwhile, and otherwise gets the patience of a crowd. So a client
that reads nothing of a moderate topic holds up nobody.

If the queue of such a client grows fast, it is a crowd only as long as it reads fast: every
:data:`LONE_PATIENCE` seconds its queue must have become shorter by :data:`LONE_PROGRESS`. After a
pause in which it had not, there is none for a crowd of one for :data:`LONE_REST` seconds. A single
client that reads nothing would otherwise hold up all pushes. One that has caught up once gets the
patience of a crowd, until its queue has been empty.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final, Protocol

from wampush.broker.delivery.address_shares import LOOKS, queues_to_drop

PATIENCE: Final = 1.0
#: A small part, so that the pauses are short and publications to other topics wait hardly at all.
TOTAL_FREE: Final = 1 / 128
CROWD_PATIENCE: Final = 0.5
CROWD_REST: Final = 2.0
LONE_PATIENCE: Final = 0.1
#: A part of the queue; of half a queue of 4 MiB in this time, 0.7 MB per second.
LONE_PROGRESS: Final = 1 / 32
LONE_REST: Final = 10.0
#: A part of the queue; of half a queue of 4 MiB in that time, 2.6 MB per second.
LONE_GROWTH: Final = 1 / 8


class Backlog(Protocol):
    """An outbox, as far as backpressure needs it."""

    queued: int
    stalled: bool

    @property
    def address_name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""

    def own_bytes(self, samples: int) -> int:
        """Return an estimate of what only this outbox keeps in memory, in bytes.

        :param samples: chunks to look at.
        """

    def overflow(self) -> None:
        """End the connection of this client: it is too slow."""


class Timer(Protocol):
    """A scheduled call that can be cancelled."""

    def cancel(self) -> None:
        """Cancel the call."""


class Awaitable(Backlog, Protocol):
    """An outbox that sources may wait for."""

    @property
    def chunks(self) -> Sequence[object]:
        """What waits; the first one is another object once something has been sent."""


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """A client alone whose queue is long, as it was when that was noticed.

    :param backlog: its outbox.
    :param head: the first chunk; None if there was none.
    :param most: bytes up to which the queue may grow without a pause.
    :param timer: ends the suspicion.
    """

    backlog: Awaitable
    head: object
    most: float
    timer: Timer


@unique
class Hold(Enum):
    """A reason for which the sources pause."""

    FLUSHING = "flushing"
    TOTAL = "total"
    CROWD = "crowd"
    STORING = "storing"


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
        # Running rests from pauses for crowds, by whether it was a crowd of one.
        self._rests: dict[bool, Timer] = {}
        self._is_lone = False
        # Blocked clients that were alone and have caught up.
        self._proven: set[Backlog] = set()
        self._suspicion: _Suspicion | None = None
        self._blocked: set[Backlog] = set()
        self._total_deadline: Timer | None = None
        self._per_address = per_address
        self._look_step = max(1, per_address // LOOKS)
        # The total at which the queues are looked at by address.
        self._look_at = self._look_step
        self._look: Timer | None = None
        #: Bytes that wait in blocked outboxes.
        self.total = 0
        #: How often the sources have paused because clients could not keep up.
        self.pauses = 0

    @property
    def paused(self) -> bool:
        """Whether sources must wait for their release callback before they read on."""
        return bool(self._holds)

    @property
    def clients_behind(self) -> bool:
        """Whether sources pause because of clients."""
        return bool(self._holds) and self._holds != {Hold.STORING}

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
        self._proven.discard(backlog)
        if self._suspicion is not None and self._suspicion.backlog is backlog:
            self._end_suspicion()

    def hold(self, reason: Hold) -> None:
        """Pause the sources for a reason until it is released."""
        self._holds.add(reason)

    def release(self, reason: Hold) -> None:
        """End a reason to pause; wakes the sources if it was the last."""
        if reason in self._holds:
            self._holds.discard(reason)
            if not self.clients_behind:
                for callback in self._ready_callbacks:
                    callback()
            if not self._holds:
                for callback in self._release_callbacks:
                    callback()

    def hold_for(self, crowd: Iterable[Awaitable]) -> None:
        """Pause until the whole crowd has caught up, or patience ends."""
        awaited = set(crowd)
        is_lone = len(awaited) == 1
        if Hold.CROWD in self._holds or is_lone in self._rests:
            return
        if is_lone and awaited.isdisjoint(self._proven) and not self._grows_fast(*awaited):
            return
        self._end_suspicion()
        self.pauses += 1
        self._awaited = set(awaited)
        self._half = len(awaited) / 2
        self._is_lone = is_lone
        if is_lone and awaited.isdisjoint(self._proven):
            (backlog,) = awaited
            renewals = round(CROWD_PATIENCE / LONE_PATIENCE) - 1
            # What this turn still queues is no lack of progress.
            self._deadline = self._call_later(0, lambda: self._watch_lone(backlog, renewals))
        else:
            self._deadline = self._call_later(CROWD_PATIENCE, self._patience_ended)
        self.hold(Hold.CROWD)

    def on_relieved(self, backlog: Backlog) -> None:
        """Note that an outbox has room again, or is closed."""
        if backlog not in self._awaited:
            return
        self._awaited.discard(backlog)
        if self._is_lone:
            self._proven.add(backlog)
        if not self._awaited:
            if self._deadline is not None:
                self._deadline.cancel()
            self._end_crowd()

    def stop(self) -> None:
        """Cancel the timers; for the end of the process."""
        for timer in (self._deadline, self._total_deadline, self._look, *self._rests.values()):
            if timer is not None:
                timer.cancel()
        self._deadline = self._total_deadline = self._look = None
        self._rests.clear()
        self._end_suspicion()

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
            if backlog in self._blocked and backlog.queued >= queued:
                backlog.overflow()
        if Hold.TOTAL in self._holds and self._total_deadline is None:
            self._watch_total()

    def _patience_ended(self) -> None:
        for backlog in self._awaited:
            backlog.stalled = True
            self._proven.discard(backlog)
        if len(self._awaited) >= self._half:
            is_lone = self._is_lone
            rest = LONE_REST if is_lone else CROWD_REST
            self._rests[is_lone] = self._call_later(rest, lambda: self._rested(is_lone))
        self._end_crowd()

    def _grows_fast(self, backlog: Awaitable) -> bool:
        """Return whether a queue has grown much since it was noticed; notice it if it is new."""
        suspicion = self._suspicion
        if suspicion is None:
            head = backlog.chunks[0] if backlog.chunks else None
            most = backlog.queued * (1 + LONE_GROWTH)
            timer = self._call_later(LONE_PATIENCE, self._judge)
            self._suspicion = _Suspicion(backlog, head, most, timer)
            return False
        return suspicion.backlog is backlog and backlog.queued > suspicion.most

    def _judge(self) -> None:
        """Decide about a client alone whose queue did not grow fast."""
        suspicion, self._suspicion = self._suspicion, None
        if suspicion is None:
            return
        backlog = suspicion.backlog
        if backlog.chunks and backlog.chunks[0] is suspicion.head:
            backlog.stalled = True
        else:
            self._proven.add(backlog)

    def _end_suspicion(self) -> None:
        if self._suspicion is not None:
            self._suspicion.timer.cancel()
            self._suspicion = None

    def _rested(self, is_lone: bool) -> None:
        del self._rests[is_lone]

    def _watch_lone(self, backlog: Backlog, renewals: int) -> None:
        """Wait for a client that is alone as long as it reads fast."""
        before = backlog.queued

        def check() -> None:
            if renewals and before - backlog.queued >= before * LONE_PROGRESS:
                self._watch_lone(backlog, renewals - 1)
            else:
                self._patience_ended()

        self._deadline = self._call_later(LONE_PATIENCE, check)

    def _end_crowd(self) -> None:
        self._deadline = None
        self._awaited = set()
        self.release(Hold.CROWD)
