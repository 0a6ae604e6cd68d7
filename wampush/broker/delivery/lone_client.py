"""The patience of sources with a client that is the only receiver of its topic.

Owns: whether sources wait for such a client, and for how long. Must not import: Twisted, the edges.
The timer is handed in.

It is not waited for until its queue grows by :data:`LONE_GROWTH` within :data:`LONE_PATIENCE`
seconds. If it grows more slowly, the client is stalled if it has taken nothing meanwhile, and
otherwise *proven*. So a client that reads nothing of a moderate topic holds up nobody.

If the queue grows fast, the client is waited for only as long as it reads fast: every
:data:`LONE_PATIENCE` seconds its queue must have become shorter by :data:`LONE_PROGRESS`. After a
pause in which it had not, there is none for such a client for :data:`LONE_REST` seconds. A single
client that reads nothing would otherwise hold up all pushes. One that has caught up once is proven.

A proven client gets the patience of a crowd, until its queue has been empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wampush.broker.delivery.backlog import Backlog, Timer

LONE_PATIENCE: Final = 0.1
#: A part of the queue; of half a queue of 4 MiB in this time, 0.7 MB per second.
LONE_PROGRESS: Final = 1 / 32
LONE_REST: Final = 10.0
#: A part of the queue; of half a queue of 4 MiB in that time, 2.6 MB per second.
LONE_GROWTH: Final = 1 / 8


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """A client alone whose queue is long, as it was when that was noticed.

    :param backlog: its outbox.
    :param head: the first chunk; None if there was none.
    :param most: bytes up to which the queue may grow without a pause.
    :param timer: ends the suspicion.
    """

    backlog: Backlog
    head: object
    most: float
    timer: Timer


class LoneClient:
    """Judges clients that are alone, one at a time.

    :param call_later: calls a function after a number of seconds.
    """

    def __init__(self, call_later: Callable[[float, Callable[[], None]], Timer]) -> None:
        self._call_later = call_later
        # Blocked clients that were alone and have caught up, or read a moderate topic.
        self._proven: set[Backlog] = set()
        self._suspicion: _Suspicion | None = None
        self._watch: Timer | None = None
        self._rest: Timer | None = None

    def is_proven(self, backlog: Backlog) -> bool:
        """Return whether a client gets the patience of a crowd."""
        return backlog in self._proven

    def may_hold(self, backlog: Backlog) -> bool:
        """Return whether sources may wait for a client; notice how long its queue is."""
        if self._rest is not None:
            return False
        return backlog in self._proven or self._grows_fast(backlog)

    def end_suspicion(self) -> None:
        """Judge nobody any more because of a queue that was long."""
        if self._suspicion is not None:
            self._suspicion.timer.cancel()
            self._suspicion = None

    def watch(self, backlog: Backlog, seconds: float, on_end: Callable[[], None]) -> None:
        """Wait for a client that is not proven, as long as it reads fast.

        :param seconds: at most.
        :param on_end: called when the client must not be waited for any longer.
        """
        renewals = round(seconds / LONE_PATIENCE) - 1
        # What this turn still queues does not show a lack of progress.
        self._watch = self._call_later(0, lambda: self._check(backlog, renewals, on_end))

    def end_watch(self) -> None:
        """Wait no longer."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def prove(self, backlog: Backlog) -> None:
        """Note that a client has caught up."""
        self._proven.add(backlog)

    def refute(self, backlog: Backlog) -> None:
        """Note that a client has not caught up."""
        self._proven.discard(backlog)

    def forget(self, backlog: Backlog) -> None:
        """Note that the queue of a client is empty, or closed."""
        self._proven.discard(backlog)
        if self._suspicion is not None and self._suspicion.backlog is backlog:
            self.end_suspicion()

    def rest(self) -> None:
        """Wait for no client alone for a while."""
        self._rest = self._call_later(LONE_REST, self._rested)

    def stop(self) -> None:
        """Cancel the timers; for the end of the process."""
        self.end_suspicion()
        self.end_watch()
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def _grows_fast(self, backlog: Backlog) -> bool:
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
        """Decide about a client whose queue did not grow fast."""
        suspicion, self._suspicion = self._suspicion, None
        if suspicion is None:
            return
        backlog = suspicion.backlog
        if backlog.chunks and backlog.chunks[0] is suspicion.head:
            backlog.stalled = True
        else:
            self._proven.add(backlog)

    def _check(self, backlog: Backlog, renewals: int, on_end: Callable[[], None]) -> None:
        before = backlog.queued

        def check() -> None:
            if renewals and before - backlog.queued >= before * LONE_PROGRESS:
                self._check(backlog, renewals - 1, on_end)
            else:
                self._watch = None
                on_end()

        self._watch = self._call_later(LONE_PATIENCE, check)

    def _rested(self) -> None:
        self._rest = None
