"""What one topic keeps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from wampush.broker.history.rule import HistoryRule
from wampush.broker.history.stored_event import StoredEvent, fields_of
from wampush.broker.history.topic_log import TopicLog
from wampush.broker.memory_costs import named_bytes
from wampush.broker.publication import EVERYONE, Audience, Position, Targets


def append(log: TopicLog, value: Any, *, seen: float = 0.0, audience: Audience = EVERYONE) -> None:
    payload = orjson.dumps(value)
    event = StoredEvent(log.offset + 1, 0.0, payload, audience, seen)
    log.append(event, log.fields(payload))


def kept(log: TopicLog) -> tuple[list[Any], list[Any]]:
    """The events and the values."""
    events = [orjson.loads(each.payload) for each in log.events]
    values = [orjson.loads(each.payload) for each in log.values.values()]
    keys = sum(map(named_bytes, [*log.values, *log._versions]))
    assert log.size == keys + sum(each.size for each in [*log.events, *log.values.values()])
    return events, values


def test_the_newest_events_are_kept() -> None:
    log = TopicLog(HistoryRule(events=3), "e")
    assert log.position == Position("e", 0)
    for number in range(5):
        append(log, number)
    assert kept(log) == ([2, 3, 4], [])
    assert log.position == Position("e", 5)
    assert [each.offset for each in log.newest(2)] == [4, 5]
    assert log.newest(9) == tuple(log.events)


@pytest.mark.parametrize(
    ("since", "offsets"), [(5, []), (4, [5]), (2, [3, 4, 5]), (1, None), (0, None), (6, None)]
)
def test_what_came_since(since: int, offsets: list[int]) -> None:
    log = TopicLog(HistoryRule(events=3), "e")
    for number in range(5):
        append(log, number)
    found = log.since(since)
    assert (None if found is None else [each.offset for each in found]) == offsets


@pytest.mark.parametrize(
    ("after", "count", "size", "offsets"),
    [
        (2, 9, 99, [3, 4, 5]),
        (2, 2, 99, [3, 4]),
        (2, 9, 2, [3, 4]),
        (3, 9, 0, [4]),
        (4, 9, 99, [5]),
    ],
)
def test_the_next_slice(after: int, count: int, size: int, offsets: list[int]) -> None:
    log = TopicLog(HistoryRule(events=3), "e")
    for number in range(5):
        append(log, number)
    assert log.keeps_after(after)
    assert not log.keeps_after(1)
    assert [each.offset for each in log.slice_after(after, count, size)] == offsets


def test_a_log_without_events_keeps_nothing() -> None:
    log = TopicLog(HistoryRule(events=3, max_age=10), "e")
    append(log, 1, seen=0.0)
    log.expire(100.0)
    assert not log.keeps_after(0)


def test_the_newest_value_of_each_key_is_kept_in_order() -> None:
    log = TopicLog(HistoryRule(last_by="id", tombstone="gone", keys=3), "e")
    for value in ({"id": 1}, {"id": 2}, {"id": 1, "n": 2}, {"id": 3}, {"no": "key"}):
        append(log, value)
    assert kept(log) == ([], [{"id": 2}, {"id": 1, "n": 2}, {"id": 3}])
    append(log, {"id": 4})
    assert kept(log)[1] == [{"id": 1, "n": 2}, {"id": 3}, {"id": 4}]
    append(log, {"id": 3, "gone": True})
    append(log, {"id": 9, "gone": True})
    assert kept(log)[1] == [{"id": 1, "n": 2}, {"id": 4}]
    append(log, None)
    assert kept(log) == ([], [])
    assert log.offset == 9


def test_the_last_value() -> None:
    log = TopicLog(HistoryRule(last=True, events=1), "e")
    append(log, 1)
    append(log, 2)
    append(log, "for some", audience=Audience(exclude=frozenset("s")))
    for limited in (Audience(eligible=frozenset("s")), Audience(to=Targets(users=frozenset("u")))):
        append(log, "for a few", audience=limited)
        assert kept(log) == (["for a few"], ["for some"])
    append(log, None)
    assert kept(log) == ([None], [])


def test_versions_go_up() -> None:
    log = TopicLog(HistoryRule(last_by="id", tombstone="gone", version_by="rev", keys=2), "e")

    def newer(value: Any) -> int | float | None:
        return log.newer_version(fields_of(orjson.dumps(value), log.rule))

    append(log, {"id": 1, "rev": 5})
    assert newer({"id": 1, "rev": 4}) == 5
    assert newer({"id": 1, "rev": 5}) is None
    assert newer({"id": 2, "rev": 4}) is None
    assert newer({"id": 1}) is None
    # What is removed does not come back by an older event.
    append(log, {"id": 1, "rev": 6, "gone": True})
    assert newer({"id": 1, "rev": 5}) == 6
    # As many versions are known as keys may be.
    assert kept(log) == ([], [])
    append(log, {"id": 2, "rev": 1})
    append(log, {"id": 3, "rev": 1})
    assert newer({"id": 1, "rev": 1}) is None


def test_what_is_too_old_goes() -> None:
    log = TopicLog(HistoryRule(last_by="id", events=9, max_age=10), "e")
    for second in range(4):
        append(log, {"id": second}, seen=second)
    append(log, {"id": 0, "again": True}, seen=4)
    log.expire(12.5)
    assert kept(log) == (
        [{"id": 3}, {"id": 0, "again": True}],
        [{"id": 3}, {"id": 0, "again": True}],
    )
    log.expire(99)
    assert kept(log) == ([], [])
    assert log.since(4) is None
    assert log.since(5) == ()
    untimed = TopicLog(HistoryRule(events=1), "e")
    append(untimed, 1)
    untimed.expire(1e9)
    assert kept(untimed) == ([1], [])


def test_the_limit_in_bytes_takes_the_oldest_events_first() -> None:
    log = TopicLog(HistoryRule(last_by="id", events=100, max_bytes=2000), "e")
    for number in range(6):
        append(log, {"id": number % 2, "text": "x" * 200})
    events, values = kept(log)
    assert log.size <= 2000
    assert 0 < len(events) < 6
    assert len(values) == 2
    assert log.drop_oldest()
    for _ in range(len(events) - 1 + 2):
        assert log.drop_oldest()
    assert not log.drop_oldest()
    assert log.size == 0


def test_versions_count_and_take_a_part_of_the_bytes_at_most() -> None:
    log = TopicLog(HistoryRule(last_by="id", version_by="rev", max_bytes=8000), "e")
    for number in range(100):
        append(log, {"id": f"{number:060}", "rev": 1})
    assert 0 < sum(map(named_bytes, log._versions)) <= 2000
    assert kept(log)[1]
    assert log.size <= 8000
    while log.drop_oldest():
        pass
    assert (log.size, log._versions) == (0, {})


class Walked(deque[StoredEvent]):
    """Counts the steps of those who walk through it from its end; nobody may from its beginning."""

    steps = 0

    def __iter__(self) -> Iterator[StoredEvent]:
        raise AssertionError("all events are looked at")

    def __reversed__(self) -> Iterator[StoredEvent]:
        for each in super().__reversed__():
            self.steps += 1
            yield each


def test_the_newest_are_found_without_a_look_at_the_others() -> None:
    log = TopicLog(HistoryRule(events=1000), "e")
    log.events = events = Walked()
    events.extend([StoredEvent(n + 1, 0.0, b"1", EVERYONE, 0.0) for n in range(1000)])
    log.offset = 1000
    assert [each.offset for each in log.since(998) or ()] == [999, 1000]
    assert [each.offset for each in log.newest(2)] == [999, 1000]
    assert events.steps == 4


def test_each_change_is_a_revision() -> None:
    log = TopicLog(HistoryRule(last_by="id", events=1, max_age=1), "e")
    revisions = [log.revision]
    for _ in range(2):
        append(log, {"id": 1})
        revisions.append(log.revision)
    log.expire(50)
    revisions.append(log.revision)
    assert revisions == sorted(set(revisions))


def test_only_the_newest_events_without_a_gap_are_restored_as_events() -> None:
    def entries(*offsets: int) -> list[StoredEvent]:
        return [
            StoredEvent(each, 0.0, orjson.dumps({"id": each}), EVERYONE, 0.0) for each in offsets
        ]

    rule = HistoryRule(last_by="id", events=3)
    log = TopicLog(rule, "e")
    log.restore(7, entries(1, 2, 4, 6, 7))
    assert kept(log) == (
        [{"id": 6}, {"id": 7}],
        [{"id": each} for each in (1, 2, 4, 6, 7)],
    )
    assert log.position == Position("e", 7)
    # The newest events are gone.
    log = TopicLog(rule, "e")
    log.restore(9, entries(6, 7))
    assert kept(log) == ([], [{"id": 6}, {"id": 7}])
    assert log.since(8) is None
    append(log, {"id": 1})
    assert log.events[0].offset == 10
