"""Publications on their way to the store, until their outcomes are known.

Owns: their order, what is sent again after a loss of the link, the limits, and the reasons to
refuse one. Must not import: Twisted, the edges. Clock and timers are handed in.

While the store is away, publications wait, so that a short failure costs nothing. What waits is
bounded: at :data:`MAX_BYTES` the sources pause, which keeps pushes over ZeroMQ in the queues of the
backends, and from then on publishers that wait for an answer are refused. These do not wait longer
than :data:`PATIENCE` seconds in any case. If the answer of the store is lost with the link, or it
cannot carry out a publication now, that is sent again under the same number. The store knows which
numbers it has carried out, so it does that once, whatever has become of those before and after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from wampush.broker.delivery.backlog import Timer
from wampush.broker.delivery.backpressure import Backpressure, Hold
from wampush.broker.history.stored_audience import check_storable
from wampush.broker.ledger import Ledger
from wampush.broker.memory_costs import audience_bytes
from wampush.broker.mirrors.contract import Entry, NotCarriedOut, Stored, TakesEntries
from wampush.broker.publication import EVERYONE, Publication
from wampush.errors import PublicationRefused, Refusal
from wampush.log_limit import LogLimiter

#: Bytes of payloads that wait at which the sources pause.
MAX_BYTES: Final = 4 * 1024 * 1024
#: Bytes of payloads that wait of publishers that no pause reaches, such as clients.
HARD_LIMIT: Final = 16 * 1024 * 1024
#: What a publication that waits counts besides its payload.
OVERHEAD_BYTES: Final = 512
#: Seconds after which a publisher that waits for an answer gets one.
PATIENCE: Final = 10.0
#: Seconds by which a timer may be late. If it is later, this process was not running, and answers
#: that have arrived meanwhile are not read yet: they get this time once more.
LATE_SECONDS: Final = 1.0

OnStored = Callable[[Stored | PublicationRefused], None]
"""Gets what has become of a publication."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A publication on its way.

    :param entry: for the store.
    :param size: what it counts, in bytes.
    :param on_stored: learns the outcome.
    :param waits_until: when its publisher gets an answer at the latest; None where nobody waits.
    :param is_sent: whether the store may have carried it out.
    """

    entry: Entry
    size: int
    on_stored: OnStored
    waits_until: float | None
    is_sent: bool = False


class StorePublishing:
    """Takes publications to the store.

    :param store: keeps them and sends them to all nodes.
    :param backpressure: pauses the sources.
    :param ledger: has the clock and the logger.
    :param seconds: the time in seconds of a clock that never goes back.
    :param call_later: calls a function after a number of seconds.
    """

    def __init__(
        self,
        store: TakesEntries,
        *,
        backpressure: Backpressure,
        ledger: Ledger,
        seconds: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self._store = store
        self._backpressure = backpressure
        self._ledger = ledger
        self._seconds = seconds
        self._call_later = call_later
        self._limiter = LogLimiter(ledger.time)
        # In the order of their numbers.
        self._waiting: dict[int, _Waiting] = {}
        self._number = 0
        # Everything up to this number has an outcome.
        self._settled = 0
        self._timer: Timer | None = None
        self._due = 0.0
        self._is_stopped = False
        #: Bytes of publications that have no outcome yet.
        self.size = 0
        #: Publications that were refused because the store was away or could not take them.
        self.failed = 0

    def __len__(self) -> int:
        """Return how many publications have no outcome yet."""
        return len(self._waiting)

    def publish(self, publication: Publication, on_stored: OnStored, *, is_awaited: bool) -> None:
        """Take a publication to the store.

        :param on_stored: called once, after this call.
        :param is_awaited: whether its publisher waits for the outcome.
        :raises PublicationRefused: too much waits, or it names something that is not text.
        """
        self._check_room(is_awaited=is_awaited)
        check_storable(publication)
        self._number += 1
        size = len(publication.payload) + OVERHEAD_BYTES
        if publication.audience is not EVERYONE:
            size += audience_bytes(publication.audience)
        push_id, digest = publication.push or ("", "")
        until = self._seconds() + PATIENCE if is_awaited else None
        waiting = _Waiting(
            Entry(self._number, publication, push_id, digest), size, on_stored, until
        )
        self._waiting[self._number] = waiting
        self.size += size
        if self.size > MAX_BYTES:
            self._backpressure.hold(Hold.SHARED_STORE)
        if is_awaited and self._timer is None:
            self._wait(PATIENCE)
        if self._store.is_joined:
            self._send(waiting)

    def on_joined(self) -> None:
        """Send everything that has no outcome, in its order."""
        for waiting in list(self._waiting.values()):
            self._send(waiting)

    def stop(self) -> None:
        """Refuse everything that has no outcome, and take no more."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiting in list(self._waiting.values()):
            self._refuse(waiting, "The process ends")

    def _check_room(self, *, is_awaited: bool) -> None:
        if self._is_stopped:
            raise PublicationRefused(Refusal.STOPPING)
        limit = MAX_BYTES if is_awaited and not self._store.is_joined else HARD_LIMIT
        if self.size > limit:
            self.failed += 1
            raise PublicationRefused(
                Refusal.BACKPLANE_AWAY, f"{self.size} bytes wait for it{self._why}."
            )

    @property
    def _why(self) -> str:
        problem = self._store.problem
        return f": {problem}" if problem else ""

    def _send(self, waiting: _Waiting) -> None:
        waiting.is_sent = True
        while self._settled < self._number and self._settled + 1 not in self._waiting:
            self._settled += 1
        entry = waiting.entry._replace(settled=self._settled)
        self._store.publish(entry, partial(self._on_outcome, waiting))

    def _on_outcome(
        self, waiting: _Waiting, outcome: Stored | PublicationRefused | NotCarriedOut | None
    ) -> None:
        if outcome is None:
            # It is sent again when the link is back.
            return
        if self._waiting.get(waiting.entry.number) is not waiting:
            # It was refused because that took too long, or was sent twice.
            return
        if isinstance(outcome, NotCarriedOut):
            if self._store.is_joined:
                self._send(waiting)
            return
        if isinstance(outcome, PublicationRefused) and outcome.refusal is Refusal.BACKPLANE_AWAY:
            self.failed += 1
            self._report(str(outcome))
        self._end(waiting, outcome)

    def _end(self, waiting: _Waiting, outcome: Stored | PublicationRefused) -> None:
        del self._waiting[waiting.entry.number]
        self.size -= waiting.size
        if self.size <= MAX_BYTES // 2:
            self._backpressure.release(Hold.SHARED_STORE)
        waiting.on_stored(outcome)

    def _wait(self, seconds: float) -> None:
        self._due = self._seconds() + seconds
        self._timer = self._call_later(seconds, self._refuse_late)

    def _refuse_late(self) -> None:
        self._timer = None
        now = self._seconds()
        if now - self._due > LATE_SECONDS:
            self._wait(LATE_SECONDS)
            return
        for waiting in list(self._waiting.values()):
            if waiting.waits_until is None:
                continue
            if waiting.waits_until > now:
                self._wait(waiting.waits_until - now)
                return
            self._refuse(waiting, f"It has not answered for {PATIENCE:g} s{self._why}")

    def _refuse(self, waiting: _Waiting, why: str) -> None:
        self.failed += 1
        # Nobody knows what has become of it; with an id, it can be sent again without doubt.
        detail = "; it may have been published" if waiting.is_sent else ""
        refused = PublicationRefused(Refusal.BACKPLANE_AWAY, f"{why}{detail}.")
        self._report(str(refused))
        self._end(waiting, refused)

    def _report(self, problem: str) -> None:
        suffix = self._limiter.suffix()
        if suffix is not None:
            self._ledger.warn(
                "a publication to a topic with history was refused: {problem}{suffix}",
                problem=problem,
                suffix=suffix,
            )
