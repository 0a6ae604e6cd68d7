"""Publications to durable topics, from the publisher to the receivers.

Owns: the queue of publications that are not stored yet, and of those that are stored and not
delivered yet. Must not import: Twisted, the edges.

A publication is stored first, and then becomes visible and is delivered, in the same order; so
nobody ever gets an event that the end of the process can take back. A publication to several topics
is stored and delivered as a whole once one of them is durable.

Much in flight pauses the sources. If the store does not get on for :data:`PATIENCE` seconds, the
sources go on, so that other topics are served, and what exceeds the limit is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from wampush.broker.delivery.backlog import Timer
from wampush.broker.delivery.backpressure import Backpressure, Hold
from wampush.broker.history.journal import Journal, Outcome, Record
from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.history.pending_versions import PendingVersions
from wampush.broker.history.stored_audience import check_storable
from wampush.broker.ledger import Ledger
from wampush.broker.memory_costs import audience_bytes
from wampush.broker.publication import EVERYONE, Position, Publication
from wampush.broker.router import Router
from wampush.errors import PublicationRefused, Refusal
from wampush.excerpts import shown
from wampush.log_limit import LogLimiter

#: Bytes of payloads in flight at which the sources pause.
MAX_BYTES: Final = 4 * 1024 * 1024
#: Bytes of payloads in flight of publishers that no pause reaches, such as apps.
HARD_LIMIT: Final = 16 * MAX_BYTES
#: What a publication in flight counts besides its payload.
OVERHEAD_BYTES: Final = 512
#: Seconds without progress after which the sources no longer wait for the store.
PATIENCE: Final = 1.0
#: Bytes of payloads that are delivered in a reactor turn; more could make clients slow at once.
TURN_BYTES: Final = 256 * 1024
#: Seconds that the end of the process waits for the store.
STOP_PATIENCE: Final = 3.0
#: Rows of one topic that may be stored besides those that are kept.
SPARE_ROWS: Final = 256
#: Seconds between two looks for stored rows that are too old.
SWEEP_INTERVAL: Final = 60.0
_REMEMBERED_TOPICS: Final = 4096
#: The indexes of the only part of a publication to one topic.
_FIRST: Final = (0,)

#: Gets the number of receivers, or why nobody got the publication.
OnDone = Callable[[int | PublicationRefused], None]


@dataclass(slots=True)
class _InFlight:
    """A publication on its way.

    :param parts: one publication for each topic.
    :param time: when it was published, in seconds since 1970.
    :param durable: the indexes of the parts that are stored.
    :param size: what it counts in the queue, in bytes.
    :param on_done: learns the outcome.
    :param arrived: when its push has arrived, by the clock of the fan-out; 0 without one.
    :param outcome: of storing; None until it is known.
    """

    parts: Sequence[Publication]
    time: float
    durable: Sequence[int]
    size: int
    on_done: OnDone
    arrived: float
    outcome: Outcome | None = None


class DurablePublishing:
    """Stores publications to durable topics, then delivers them.

    :param journal: stores them.
    :param history: takes them once they are stored.
    :param router: delivers them.
    :param backpressure: pauses the sources, and says when clients are behind.
    :param ledger: has the clock and the logger.
    :param call_later: calls a function after a number of seconds.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        history: MemoryHistory,
        router: Router,
        backpressure: Backpressure,
        ledger: Ledger,
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self._journal = journal
        self._history = history
        self._router = router
        self._backpressure = backpressure
        self._ledger = ledger
        self._call_later = call_later
        self._limiter = LogLimiter(ledger.time)
        self._rule = lru_cache(_REMEMBERED_TOPICS)(history.rules.of)
        self._writing: deque[_InFlight] = deque()
        self._written: deque[_InFlight] = deque()
        self._versions: dict[str, PendingVersions] = {}
        self._rows: dict[str, int] = {}
        self._timer: Timer | None = None
        self._delivery: Timer | None = None
        self._next_sweep: Timer | None = None
        self._is_stopped = False
        #: Whether the store has not got on for :data:`PATIENCE` seconds.
        self.is_stuck = False
        #: Bytes of publications that are not delivered yet.
        self.size = 0
        #: Publications that could not be stored, and why the last ones could not; "" if they could.
        self.failed, self.problem = 0, ""
        backpressure.call_when_ready(self._deliver_soon)

    def start(self) -> None:
        """Load what is stored, and begin to store.

        :raises OperatorError: the store cannot be read.
        """
        for stored in self._journal.load():
            if self._history.restore(stored):
                self._rows[stored.topic] = len(stored.rows)
                self._trim(stored.topic)
            else:
                # Its offsets would go on after a gap that nobody sees.
                self._journal.forget(stored.topic)
        self._journal.start(self._on_written)
        self._sweep()

    def takes(self, publication: Publication) -> bool:
        """Return whether any topic of a publication is durable."""
        rule = self._rule(publication.topic)
        if rule is not None and rule.durable:
            return True
        return any(map(self._is_durable, publication.further_topics))

    def publish(
        self,
        publication: Publication,
        on_done: OnDone,
        *,
        is_awaited: bool = False,  # noqa: ARG002 - the limits are the same for all
    ) -> None:
        """Store a publication, then deliver it.

        :param on_done: called once, after this call.
        :param is_awaited: whether its publisher waits for the outcome.
        :raises PublicationRefused: STALE, as by the history; NOT_STORED, when too much waits.
        """
        self._check_going_on()
        parts: Sequence[Publication] = (publication,)
        durable: Sequence[int] = _FIRST
        if publication.further_topics:
            parts = tuple(publication.by_topic())
            durable = [index for index, each in enumerate(parts) if self._is_durable(each.topic)]
        for each in parts:
            self._check(each)
        size = len(publication.payload) + OVERHEAD_BYTES
        if publication.audience is not EVERYONE:
            size += audience_bytes(publication.audience)
        arrived = self._router.fanout.push_timer.arrived
        entry = _InFlight(parts, self._ledger.time(), durable, size, on_done, arrived)
        self._writing.append(entry)
        self.size += size
        for each in parts:
            self._note_version(each)
        if self.size > MAX_BYTES and not self.is_stuck:
            self._backpressure.hold(Hold.STORING)
        if self._timer is None:
            self._timer = self._call_later(PATIENCE, self._on_no_progress)
        self._journal.write([self._record(parts[index], entry.time) for index in durable])

    def flush(self) -> None:
        """Store and deliver everything that is in flight; for the end of the process."""
        self._journal.flush(STOP_PATIENCE)
        while self._written:
            self._deliver(self._written.popleft())

    def stop(self) -> None:
        """Store and deliver everything that is in flight, and end.

        What could not be stored in time is refused.
        """
        self._is_stopped = True
        self._journal.stop(STOP_PATIENCE)
        while self._written:
            self._deliver(self._written.popleft())
        for timer in (self._timer, self._delivery, self._next_sweep):
            if timer is not None:
                timer.cancel()
        self._timer = self._delivery = self._next_sweep = None
        while self._writing:
            entry = self._writing.popleft()
            entry.outcome = Outcome((), "the process ends")
            self._deliver(entry)

    # Before the store.

    def _record(self, publication: Publication, time: float) -> Record:
        topic = publication.topic
        epoch = self._history.epoch(topic)
        return Record(topic, epoch, time, publication.payload, publication.audience)

    def _check_going_on(self) -> None:
        detail = ""
        if self._is_stopped:
            detail = "The process ends."
        elif self.is_stuck and self.size > MAX_BYTES:
            detail = f"It has stored nothing for {PATIENCE:g} s."
        elif self.size > HARD_LIMIT:
            detail = "Too much waits for it."
        if detail:
            self.failed += 1
            raise PublicationRefused(Refusal.NOT_STORED, detail)

    def _check(self, publication: Publication) -> None:
        check_storable(publication)
        self._history.check(publication)
        pending = self._versions.get(publication.topic)
        if pending is not None:
            pending.check(publication)

    def _is_durable(self, topic: str) -> bool:
        rule = self._rule(topic)
        return rule is not None and rule.durable

    def _note_version(self, publication: Publication) -> None:
        rule = self._rule(publication.topic)
        if rule is not None and rule.version_by:
            self._versions.setdefault(publication.topic, PendingVersions(rule)).add(publication)

    # After the store.

    def _on_written(self, outcomes: Sequence[Outcome]) -> None:
        self.problem, failed = "", 0
        for outcome in outcomes:
            entry = self._writing.popleft()
            entry.outcome = outcome
            self._written.append(entry)
            if outcome.problem:
                self.problem = outcome.problem
                failed += 1
        if failed:
            self.failed += failed
            self._report(self.problem, failed)
        self._note_progress()
        self._deliver_ready()

    def _report(self, problem: str, count: int) -> None:
        suffix = self._limiter.suffix()
        if suffix is not None:
            self._ledger.warn(
                "could not store publications of durable topics ({count}): {problem}{suffix}",
                count=count,
                problem=problem,
                suffix=suffix,
            )

    def _note_progress(self) -> None:
        self.is_stuck = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing:
            self._timer = self._call_later(PATIENCE, self._on_no_progress)

    def _on_no_progress(self) -> None:
        self._timer = None
        self.is_stuck = True
        self.problem = f"the database has stored nothing for {PATIENCE:g} s"
        self._report(self.problem, len(self._writing))
        self._backpressure.release(Hold.STORING)

    def _deliver_soon(self) -> None:
        # In a turn of its own: clients may have caught up in the middle of a flush.
        if self._written and self._delivery is None:
            self._delivery = self._call_later(0, self._deliver_in_turn)

    def _deliver_in_turn(self) -> None:
        self._delivery = None
        self._deliver_ready()

    def _deliver_ready(self) -> None:
        room = TURN_BYTES
        while self._written and room > 0 and not self._backpressure.clients_behind:
            entry = self._written.popleft()
            room -= entry.size * len(entry.parts)
            self._deliver(entry)
        if self.size <= MAX_BYTES // 2:
            self._backpressure.release(Hold.STORING)
        if not self._backpressure.clients_behind:
            self._deliver_soon()

    def _deliver(self, entry: _InFlight) -> None:
        self.size -= entry.size
        for each in entry.parts:
            pending = self._versions.get(each.topic)
            if pending is not None and pending.remove():
                del self._versions[each.topic]
        outcome = entry.outcome
        if outcome is None or outcome.problem:
            detail = "" if outcome is None else f"{outcome.problem}."
            entry.on_done(PublicationRefused(Refusal.NOT_STORED, detail))
            return
        positions: list[Position | None] = [None] * len(entry.parts)
        for index, stored_at in zip(entry.durable, outcome.positions, strict=True):
            positions[index] = stored_at
        if entry.arrived:
            self._router.fanout.note_pushes(entry.arrived)
        receivers = 0
        for each, position in zip(entry.parts, positions, strict=True):
            receivers += self._deliver_part(each, position, entry.time)
        entry.on_done(receivers)

    def _deliver_part(
        self, publication: Publication, position: Position | None, time: float
    ) -> int:
        if position is not None:
            topic = publication.topic
            stored = self._history.append_stored(publication, position, time)
            self._rows[topic] = self._rows.get(topic, 0) + 1
            if self._rows[topic] > SPARE_ROWS:
                self._trim(topic)
            return self._router.deliver(stored)
        try:
            return self._router.deliver(publication)
        except PublicationRefused as error:
            # A newer version of a topic that is not durable has overtaken it meanwhile. The push as
            # a whole is accepted, so that the ledger cannot count this part as refused.
            suffix = self._limiter.suffix(error.refusal)
            if suffix is not None:
                self._ledger.warn(
                    "left out topic {topic} of a publication to several topics: {problem}{suffix}",
                    topic=shown(publication.topic),
                    problem=str(error),
                    suffix=suffix,
                )
            return 0

    def _trim(self, topic: str) -> None:
        """Remove stored rows that are not kept any longer, if they are many."""
        log = self._history.log(topic)
        if log is None:
            del self._rows[topic]
            return
        kept = len(log.events) + len(log.values)
        if kept and self._rows[topic] <= 2 * kept + SPARE_ROWS:
            return
        first = log.events[0].offset if log.events else log.offset + 1
        self._journal.trim(topic, first, [each.offset for each in log.values.values()])
        self._rows[topic] = kept

    def _sweep(self) -> None:
        """Remove stored rows of topics that nobody publishes to any longer."""
        for topic in [topic for topic, rows in self._rows.items() if rows]:
            self._trim(topic)
        self._next_sweep = self._call_later(SWEEP_INTERVAL, self._sweep)
