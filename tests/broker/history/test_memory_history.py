"""The history of all topics in memory, against a plain model."""

from __future__ import annotations

import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wampush.broker.history.journal import StoredRow, StoredTopic
from wampush.broker.history.memory_history import TOPIC_BYTES, MemoryHistory
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.broker.publication import EVERYONE, Audience, Position, Publication, Targets
from wampush.errors import PublicationRefused, Refusal

RULES = HistoryRules(
    [
        ("log.*", HistoryRule(events=3)),
        ("table", HistoryRule(last_by="id", version_by="rev", events=2)),
        ("aged", HistoryRule(events=9, max_age=10)),
    ]
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0


def history(max_bytes: int = 1_000_000, clock: Clock | None = None) -> MemoryHistory:
    clock = clock or Clock()
    return MemoryHistory(RULES, max_bytes, lambda: clock.now + 1e9, lambda: clock.now)


def publish(memory: MemoryHistory, topic: str, value: Any = 0) -> Position:
    position = memory.append(Publication(topic, orjson.dumps(value))).position
    assert position is not None
    return position


def test_a_topic_without_a_rule_costs_nothing() -> None:
    memory = history()
    publication = Publication("other", b"1")
    assert memory.append(publication) is publication
    assert memory.position("other") is None
    assert memory.missed("other", Position("e", 0)) is None
    assert (memory.size, memory.topic_count) == (0, 0)


def test_offsets_follow_each_other_by_topic() -> None:
    memory = history()
    before = memory.position("log.a")
    assert before is not None
    assert before.offset == 0
    assert [publish(memory, "log.a").offset for _ in range(4)] == [1, 2, 3, 4]
    assert publish(memory, "log.b") == Position(before.epoch, 1)
    assert memory.position("log.a") == Position(before.epoch, 4)
    log = memory.log("log.a")
    assert log is not None
    assert [(each.offset, each.time) for each in log.events] == [
        (number, 100.0 + 1e9) for number in (2, 3, 4)
    ]


def test_what_a_session_has_missed() -> None:
    memory = history()
    start = memory.position("log.a")
    assert start is not None
    nothing = memory.missed("log.a", start)
    assert nothing is not None
    assert nothing.is_complete
    for number in range(3):
        publish(memory, "log.a", number)
    missed = memory.missed("log.a", start)
    assert missed is not None
    assert [each.payload for each in missed.events] == [b"0", b"1", b"2"]
    assert missed.is_complete
    assert missed.position.offset == 3
    publish(memory, "log.a", 3)
    for since in (start, Position("another", 3), Position(start.epoch, 9)):
        lost = memory.missed("log.a", since)
        assert lost is not None
        assert (lost.events, lost.is_complete, lost.position.offset) == ((), False, 4)


def test_an_offset_of_a_topic_that_was_never_published_to_is_no_position() -> None:
    memory = history()
    epoch = publish(memory, "log.a").epoch
    missed = memory.missed("log.b", Position(epoch, 7))
    assert missed is not None
    assert not missed.is_complete


def test_an_older_version_is_refused_and_changes_nothing() -> None:
    memory = history()
    publish(memory, "table", {"id": 1, "rev": 5})
    publish(memory, "table", {"id": 2, "rev": 1})
    size = memory.size
    stale = Publication("table", b'{"id": 1, "rev": 4}')
    for attempt in (memory.check, memory.append):
        with pytest.raises(PublicationRefused) as caught:
            attempt(stale)
        assert caught.value.refusal is Refusal.STALE
        assert caught.value.detail == "rev is 4; 5 was published before."
    position = memory.position("table")
    assert (memory.size, position and position.offset) == (size, 2)
    memory.check(Publication("table", b'{"id": 1, "rev": 5}'))
    memory.check(Publication("never", b"1"))


@pytest.mark.parametrize(
    ("audience", "is_value"),
    [
        (Audience(exclude=frozenset("s")), True),
        (Audience(eligible=frozenset("s")), False),
        (Audience(to=Targets(users=frozenset("7"))), False),
    ],
)
def test_only_what_is_for_everyone_becomes_a_value(audience: Audience, *, is_value: bool) -> None:
    memory = history()
    publish(memory, "table", {"id": 1, "text": "for all"})
    memory.append(Publication("table", b'{"id":1,"text":"for a few"}', audience))
    log = memory.log("table")
    assert log is not None
    (value,) = log.values.values()
    assert (b"for a few" in value.payload) is is_value
    assert len(log.events) == 2


def test_age_counts_by_a_clock_that_never_goes_back() -> None:
    clock = Clock()
    memory = history(clock=clock)
    start = memory.position("aged")
    assert start is not None
    publish(memory, "aged")
    size = memory.size
    clock.now += 20
    missed = memory.missed("aged", start)
    assert missed is not None
    assert not missed.is_complete
    assert memory.size < size
    assert memory.size == TOPIC_BYTES + len("aged")


def test_the_topic_published_to_longest_ago_loses_its_oldest_events_first() -> None:
    memory = history(max_bytes=3 * TOPIC_BYTES + 2100)
    for topic in ("log.a", "log.b", "log.a", "log.c"):
        publish(memory, topic, "x" * 250)
    assert memory.evicted == 0
    # Only log.b has not been published to since.
    publish(memory, "log.c", "x" * 250)
    assert memory.evicted == 1
    log = memory.log("log.b")
    assert log is not None
    assert not log.events
    publish(memory, "log.c", "x" * 1500)
    assert memory.log("log.b") is None


def test_a_topic_that_is_gone_begins_another_epoch() -> None:
    memory = history(max_bytes=2 * TOPIC_BYTES)
    gone = publish(memory, "log.a")
    publish(memory, "log.b")
    publish(memory, "log.c")
    assert memory.log("log.a") is None
    again = publish(memory, "log.a")
    assert again.offset == gone.offset
    assert again.epoch != gone.epoch
    missed = memory.missed("log.a", gone)
    assert missed is not None
    assert not missed.is_complete


@pytest.mark.unwatched
@pytest.mark.parametrize("kind", ["audience", "key", "topic"])
def test_memory_keeps_to_the_limit_whatever_a_publisher_sends(kind: str) -> None:
    memory = history(max_bytes=400_000)
    wide = "\N{GRINNING FACE}"
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(200):
            topic, audience = "table", Audience()
            value: dict[str, object] = {"id": number, "rev": 1}
            if kind == "audience":
                audience = Audience(frozenset(f"{number}-{each}" for each in range(300)))
            elif kind == "key":
                value["id"] = f"{number}{wide * 5000}"
            else:
                topic = f"log.{number}{wide}{'x' * 1000}"
            # The bytes of a message; those of orjson have room for more.
            payload = bytes(memoryview(orjson.dumps(value)))
            memory.append(Publication(topic, payload, audience))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert memory.size <= 400_000
    assert taken <= 440_000


class AgainstAModel(RuleBasedStateMachine):
    """Whoever knows a position either gets exactly what came after it, or is told of the hole."""

    topics = st.sampled_from(["log.a", "log.b", "table", "aged"])

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.memory = history(max_bytes=3 * TOPIC_BYTES + 1500, clock=self.clock)
        self.published: dict[tuple[str, str], list[bytes]] = {}
        self.known: list[tuple[str, Position]] = []

    @rule(topic=topics, number=st.integers(0, 3), size=st.sampled_from([1, 50, 400]))
    def publish(self, topic: str, number: int, size: int) -> None:
        payload = orjson.dumps({"id": number, "text": "x" * size})
        position = self.memory.append(Publication(topic, payload)).position
        assert position is not None
        row = self.published.setdefault((topic, position.epoch), [])
        row.append(payload)
        assert position.offset == len(row)

    @rule(topic=topics)
    def remember(self, topic: str) -> None:
        position = self.memory.position(topic)
        assert position is not None
        self.known.append((topic, position))

    @rule(seconds=st.sampled_from([1, 11]))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @invariant()
    def nothing_is_missed_silently(self) -> None:
        for topic, since in self.known:
            missed = self.memory.missed(topic, since)
            assert missed is not None
            row = self.published.get((topic, missed.position.epoch), [])
            assert missed.position.offset == len(row)
            if missed.is_complete:
                assert since.epoch == missed.position.epoch
                assert [each.payload for each in missed.events] == row[since.offset :]
            else:
                assert missed.events == ()

    @invariant()
    def the_size_is_right_and_limited(self) -> None:
        logs = [self.memory.log(topic) for topic in ("log.a", "log.b", "table", "aged")]
        names = ("log.a", "log.b", "table", "aged")
        sizes = [
            TOPIC_BYTES + len(name) + log.size
            for name, log in zip(names, logs, strict=True)
            if log is not None
        ]
        assert self.memory.size == sum(sizes)
        assert self.memory.size <= 3 * TOPIC_BYTES + 1500


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


DURABLE = HistoryRules(
    [("d*", HistoryRule(events=3, durable=True, max_age=50)), ("log", HistoryRule(events=3))]
)


def test_stored_publications_keep_their_positions_and_go_on() -> None:
    clock = Clock()
    memory = MemoryHistory(DURABLE, 1_000_000, lambda: clock.now, lambda: clock.now)
    epoch = memory.epoch("d")
    kept = memory.append_stored(Publication("d", b"1"), Position(epoch, 1), 90.0)
    assert kept.position == memory.position("d") == Position(epoch, 1)
    memory.append_stored(Publication("d", b"2"), Position(epoch, 2), 91.0)
    log = memory.log("d")
    assert log is not None
    assert [(each.offset, each.time) for each in log.events] == [(1, 90.0), (2, 91.0)]
    # Another epoch, or a gap: what is known does not belong to it.
    memory.append_stored(Publication("d", b"3"), Position("new", 1), 92.0)
    assert memory.epoch("d") == "new"
    memory.append_stored(Publication("d", b"4"), Position("new", 3), 93.0)
    missed = memory.missed("d", Position("new", 1))
    assert missed is not None
    assert not missed.is_complete
    none = Publication("none", b"1")
    assert memory.append_stored(none, Position("new", 1), 92.0) is none


def test_what_was_stored_is_restored_with_its_age() -> None:
    clock = Clock()
    memory = MemoryHistory(DURABLE, 1_000_000, lambda: clock.now, lambda: clock.now)
    rows = [
        StoredRow(1, clock.now - 60, b"1", EVERYONE),
        StoredRow(2, clock.now - 40, b"2", EVERYONE),
        StoredRow(3, clock.now + 40, b"3", EVERYONE),
    ]
    assert memory.restore(StoredTopic("d", Position("e", 3), rows))
    assert not memory.restore(StoredTopic("log", Position("e", 3), rows))
    assert not memory.restore(StoredTopic("none", Position("e", 3), rows))
    log = memory.log("d")
    assert log is not None
    assert [each.offset for each in log.events] == [2, 3]
    assert memory.size == TOPIC_BYTES + len("d") + log.size
    clock.now += 11
    assert [each.offset for each in (memory.log("d") or log).events] == [3]


def test_durable_topics_that_are_evicted_are_reported() -> None:
    clock = Clock()
    forgotten: list[str] = []
    limit = TOPIC_BYTES + 100
    memory = MemoryHistory(DURABLE, limit, lambda: clock.now, lambda: clock.now, forgotten.append)
    rows = [StoredRow(1, clock.now, b"1" * 200, EVERYONE)]
    memory.restore(StoredTopic("d1", Position("e", 1), rows))
    assert memory.position("d1") == Position("e", 1)
    publish(memory, "log")
    assert forgotten == ["d1"]
    memory.append_stored(Publication("d2", b"1"), Position("f", 1), clock.now)
    assert memory.topic_count == 1


def test_another_process_goes_on_with_what_is_kept() -> None:
    memory, other = history(), history()
    for number in range(5):
        publish(memory, "log.a", number)
    for revision in (1, 2):
        publish(memory, "table", {"id": 7, "rev": revision})
    assert memory.topics == ["log.a", "table"]
    assert memory.snapshot("log.b") is None
    other.take_epoch(memory.next_epoch)
    for topic in memory.topics:
        kept = memory.snapshot(topic)
        assert kept is not None
        other.take(kept)
        assert other.snapshot(topic) == kept
        assert other.position(topic) == memory.position(topic)
    assert other.size == memory.size
    assert other.next_epoch == memory.next_epoch
    with pytest.raises(PublicationRefused):
        publish(other, "table", {"id": 7, "rev": 1})
    other.check(Publication("table", b'{"id":7,"rev":2}'))
    with pytest.raises(PublicationRefused):
        other.check(Publication("table", b'{"id":7,"rev":1}'))


def mirror(max_bytes: int = 1_000_000) -> MemoryHistory:
    rules = HistoryRules([("log*", HistoryRule(events=3))])
    return MemoryHistory(rules, max_bytes, lambda: 100.0, lambda: 7.0, is_mirror=True)


def stored(topic: str, offset: int, *payloads: bytes) -> StoredTopic:
    first = offset - len(payloads) + 1
    rows = [StoredRow(first + index, 40.0, each, EVERYONE) for index, each in enumerate(payloads)]
    return StoredTopic(topic, Position("e", offset), rows)


def test_a_mirror_has_no_position_before_it_is_loaded() -> None:
    memory = mirror()
    assert memory.position("log") is None
    assert memory.append(Publication("log", b"1")).position is None
    memory.load(stored("log", 5, b"4", b"5"), 50.0)
    assert memory.position("log") == Position("e", 5)
    log = memory.log("log")
    assert log is not None
    # Its age is that by the clock of where it is kept.
    assert [each.seen for each in log.events] == [-3.0, -3.0]
    memory.load(stored("plain", 5, b"5"), 50.0)
    assert memory.position("plain") is None
    memory.forget("log")
    memory.forget("log")
    assert memory.position("log") is None
    assert memory.size == 0


def test_what_was_made_of_a_mirror_does_not_pass_for_what_is_made_of_the_next() -> None:
    memory = mirror()
    revisions = set()
    for _ in range(3):
        memory.load(stored("log", 5, b"5"), 50.0)
        log = memory.log("log")
        assert log is not None
        revisions.add(log.revision)
    assert len(revisions) == 3


def test_a_mirror_loses_what_it_keeps_before_it_loses_its_position() -> None:
    memory = mirror(10_000)
    for number in range(4):
        memory.load(stored(f"log{number}", 5, b'"%b"' % (b"x" * 3000)), 50.0)
    assert memory.size <= 10_000
    assert memory.evicted
    assert [memory.position(f"log{number}") for number in range(4)] == [Position("e", 5)] * 4
