"""Publications to durable topics: the queues, the pauses, and a store that does not get on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from wampush.broker.backplane.contract import Accepted
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.durable_publishing import (
    HARD_LIMIT,
    MAX_BYTES,
    PATIENCE,
    SPARE_ROWS,
    SWEEP_INTERVAL,
    TURN_BYTES,
    DurablePublishing,
)
from wampush.broker.history.journal import Outcome, Record, StoredRow, StoredTopic
from wampush.broker.ledger import Source
from wampush.broker.publication import EVERYONE, Position, Publication
from wampush.config.settings import Settings
from wampush.config.tables.topics import TopicSettings
from wampush.errors import PublicationRefused, Refusal
from wampush.node.core import make_core
from wampush.testing.clock import ThreadedClock


class ManualJournal:
    """A journal whose store answers when a test says so."""

    def __init__(self, stored: Sequence[StoredTopic] = ()) -> None:
        self.stored = stored
        self.written: list[Sequence[Record]] = []
        self.forgotten: list[str] = []
        self.trimmed: list[tuple[str, int, Sequence[int]]] = []
        self.offset = 0
        self.on_written: Callable[[Sequence[Outcome]], None] | None = None

    def load(self) -> Iterator[StoredTopic]:
        return iter(self.stored)

    def start(self, on_written: Callable[[Sequence[Outcome]], None]) -> None:
        self.on_written = on_written

    def write(self, records: Sequence[Record]) -> None:
        self.written.append(records)

    def trim(self, topic: str, first: int, kept: Sequence[int]) -> None:
        self.trimmed.append((topic, first, kept))

    def forget(self, topic: str) -> None:
        self.forgotten.append(topic)

    def flush(self, seconds: float) -> None:
        pass

    def stop(self, seconds: float) -> None:
        pass

    def answer(self, count: int, problem: str = "") -> None:
        """Answer the first writes; each has one record."""
        outcomes = []
        for (record,) in self.written[:count]:
            if not problem:
                self.offset += 1
            positions = [] if problem else [Position(record.epoch, self.offset)]
            outcomes.append(Outcome(positions, problem))
        del self.written[:count]
        assert self.on_written is not None
        self.on_written(outcomes)


class World:
    def __init__(self, stored: Sequence[StoredTopic] = ()) -> None:
        self.clock = ThreadedClock()
        self.journal = ManualJournal(stored)
        topics = (
            TopicSettings("d", history=10_000, max_bytes=2**30, durable=True),
            TopicSettings("v", last=True, version_by="rev", durable=True),
            TopicSettings("memory", last=True, version_by="rev"),
        )
        core = make_core(
            Settings(topics=topics), self.clock, now=self.clock.now, journal=self.journal
        )
        self.broker = core.broker
        self.pressure = core.backpressure
        self.seen: list[bytes] = []
        self.topics: list[str] = []
        self.broker.watch(lambda publication: self.seen.append(publication.payload))
        self.broker.watch(lambda publication: self.topics.append(publication.topic))
        self.outcomes: list[int | Accepted | PublicationRefused] = []
        assert core.durable is not None
        self.durable: DurablePublishing = core.durable
        self.lines: list[str] = []
        core.broker.ledger._report = lambda message, **fields: self.lines.append(
            message.format(**fields)
        )

    def paused(self) -> bool:
        return self.pressure.paused

    def publish(self, topic: str, payload: bytes, *further: str) -> None:
        self.broker.publish(Publication(topic, payload, further_topics=further))

    def push(self, payload: bytes) -> None:
        publication = Publication("d", payload)
        assert self.broker.push(Source.ZEROMQ, publication, self.outcomes.append) is None

    def fill(self, count: int = 5) -> None:
        """Push as much as makes the sources pause."""
        for _ in range(count):
            self.push(b"x" * (MAX_BYTES // (count - 1)))


def test_much_in_flight_pauses_the_sources_and_is_delivered_in_slices() -> None:
    world = World()
    world.fill(40)
    assert world.paused()
    assert not world.pressure.clients_behind
    world.journal.answer(40)
    assert 0 < len(world.seen) <= TURN_BYTES // (MAX_BYTES // 39) + 1
    # A turn of the clock is any number of turns of a reactor.
    world.clock.advance(0)
    assert len(world.seen) == 40
    assert world.outcomes == [0] * 40
    assert not world.paused()
    assert world.durable.size == 0


def test_stored_events_wait_for_clients_and_not_for_the_pause_of_the_store() -> None:
    world = World()
    world.fill()
    world.pressure.hold(Hold.FLUSHING)
    world.journal.answer(5)
    world.clock.advance(0)
    assert world.seen == []
    world.pressure.release(Hold.FLUSHING)
    for _ in range(5):
        world.clock.advance(0)
    assert len(world.seen) == 5
    assert not world.paused()


def test_a_store_that_does_not_get_on_holds_up_nobody_and_refuses_what_exceeds_the_limit() -> None:
    world = World()
    world.fill()
    world.clock.advance(PATIENCE)
    assert not world.paused()
    with pytest.raises(PublicationRefused) as refused:
        world.push(b"1")
    assert refused.value.refusal is Refusal.NOT_STORED
    (line,) = world.lines
    assert line.startswith("could not store publications of durable topics (5): ")
    assert line.endswith(f"the database has stored nothing for {PATIENCE:g} s")
    world.journal.answer(5)
    for _ in range(10):
        world.clock.advance(0)
    assert len(world.seen) == 5
    world.push(b"1")
    assert not world.durable.is_stuck


def test_what_is_not_stored_is_refused_counted_and_logged_once() -> None:
    world = World()
    for _ in range(3):
        world.push(b"1")
    world.broker.publish(Publication("d", b"2"))
    world.journal.answer(4, "database or disk is full")
    assert [each.refusal for each in world.outcomes if isinstance(each, PublicationRefused)] == [
        Refusal.NOT_STORED
    ] * 3
    assert world.broker.ledger.refusals() == {"not-stored": 3}
    assert world.broker.ledger.received[Source.ZEROMQ] == 3
    assert world.durable.failed == 4
    assert world.lines[0] == (
        "could not store publications of durable topics (4): database or disk is full"
    )
    assert world.seen == []


def test_a_stop_refuses_what_the_store_does_not_take_in_time() -> None:
    world = World()
    world.push(b"1")
    world.broker.stop()
    world.broker.stop()
    (outcome,) = world.outcomes
    assert isinstance(outcome, PublicationRefused)
    assert "the process ends" in outcome.detail
    world.pressure.stop()
    assert world.clock.getDelayedCalls() == []


def test_a_topic_that_is_not_valid_text_is_refused() -> None:
    world = World()
    world.durable._rule = world.broker.replays.history.rules.of  # type: ignore[union-attr,assignment]
    with pytest.raises(PublicationRefused):
        world.durable.publish(Publication("\ud800", b"1"), world.outcomes.append)


def test_what_was_stored_is_loaded_and_what_is_too_old_is_removed() -> None:
    rows = [StoredRow(offset, 0.0, b"%d" % offset, EVERYONE) for offset in (1, 2, 4, 5)]
    gone = StoredTopic("other", Position("f", 3), rows)
    world = World([StoredTopic("d", Position("e", 5), rows), gone])
    history = world.broker.replays and world.broker.replays.history
    assert history
    log = history.log("d")
    assert log is not None
    assert [each.offset for each in log.events] == [4, 5]
    assert log.position == Position("e", 5)
    assert world.journal.forgotten == ["other"]
    assert world.durable.size == 0


def test_versions_in_flight_several_topics_and_the_limit_of_what_no_pause_reaches() -> None:
    world = World()
    versioned = b'{"rev":%d}'
    world.publish("v", versioned % 5)
    with pytest.raises(PublicationRefused) as refused:
        world.publish("v", versioned % 4)
    assert refused.value.refusal is Refusal.STALE
    world.publish("plain", b"1", "d")
    assert [len(each) for each in world.journal.written] == [1, 1]
    world.journal.answer(2)
    assert world.topics == ["v", "plain", "d"]
    world.durable.size = HARD_LIMIT + 1
    with pytest.raises(PublicationRefused, match="Too much waits"):
        world.publish("d", b"1")


def test_a_topic_that_is_overtaken_while_another_is_stored_is_left_out_with_a_line() -> None:
    world = World()
    world.publish("d", b'{"rev":1}', "memory")
    world.publish("memory", b'{"rev":2}')
    world.journal.answer(1)
    assert world.topics == ["memory", "d"]
    (line,) = world.lines
    assert line.startswith("left out topic 'memory' of a publication to several topics: ")
    assert "rev is 1; 2 was published before." in line


def test_rows_that_are_not_kept_are_trimmed_and_a_topic_that_is_gone_is_not() -> None:
    world = World()
    for _ in range(SPARE_ROWS + 5):
        world.publish("v", b"1")
    world.journal.answer(SPARE_ROWS + 5)
    world.clock.advance(0)
    assert world.journal.trimmed == [("v", SPARE_ROWS + 5, [SPARE_ROWS + 5])]
    assert world.broker.replays is not None
    world.broker.replays.history._logs.clear()
    world.clock.advance(SWEEP_INTERVAL)
    assert len(world.journal.trimmed) == 1


def test_a_push_is_timed_until_it_is_delivered() -> None:
    world = World()
    fanout = world.broker.fanout
    now = [100.0]
    fanout._seconds = lambda: now[0]
    fanout.defer_flush(99.0)
    world.push(b"1")
    fanout.flush()
    world.publish("d", b"2")
    now[0] += 2
    # Stands for receivers, whose sessions are not what this is about.
    world.broker.watch(lambda _: fanout.expect())
    world.journal.answer(2)
    fanout.flush()
    assert (fanout.push_timer.durations.count, fanout.push_timer.durations.total) == (2, 6.0)


def test_the_problem_is_known_until_something_is_stored_again() -> None:
    world = World()
    assert world.durable.problem == ""
    world.push(b"1")
    world.clock.advance(PATIENCE)
    assert world.durable.problem == "the database has stored nothing for 1 s"
    world.journal.answer(1, "disk full")
    assert world.durable.problem == "disk full"
    world.push(b"2")
    world.journal.answer(1)
    assert world.durable.problem == ""
