"""What a reader learns of a topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest

from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.history.reading import HistoryReader, TopicUnavailable, position_as_json
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.broker.history.stored_event import StoredEvent
from wampush.broker.publication import Position, Publication

RULES = HistoryRules([("table", HistoryRule(last_by="id")), ("log", HistoryRule(events=5))])


def history() -> MemoryHistory:
    return MemoryHistory(RULES, 1_000_000, lambda: 7.5, lambda: 1.0)


def everything(events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
    return events


def decoded(answer: Mapping[str, object] | None) -> Any:
    return orjson.loads(orjson.dumps(answer))


def test_values_have_the_position_of_their_topic() -> None:
    kept = history()
    reader = HistoryReader(kept, 1000)
    assert decoded(reader.values("table", everything))["events"] == []
    kept.append(Publication("table", b'{"id":1}'))
    kept.append(Publication("table", b'"no key"'))
    answer = decoded(reader.values("table", everything))
    assert answer["events"] == [{"offset": 1, "time": 7.5, "data": {"id": 1}}]
    assert answer["offset"] == 2


def test_a_topic_without_history_is_unknown() -> None:
    reader = HistoryReader(history(), 1000)
    assert reader.values("other", everything) is None
    assert reader.events("other", everything, None, 5) is None


def test_of_the_newest_events_the_oldest_are_left_out() -> None:
    kept = history()
    for number in range(4):
        kept.append(Publication("log", b'"%d%s"' % (number, b"x" * 400)))
    reader = HistoryReader(kept, 1000)
    answer = decoded(reader.events("log", everything, None, 3))
    assert [each["offset"] for each in answer["events"]] == [3, 4]
    assert answer["complete"] is False
    assert len(decoded(HistoryReader(kept, 10).events("log", everything, None, 3))["events"]) == 1


def test_of_missed_events_the_newest_are_left_out() -> None:
    kept = history()
    for number in range(4):
        kept.append(Publication("log", b'"%d%s"' % (number, b"x" * 400)))
    position = kept.position("log")
    assert position is not None
    since = Position(position.epoch, 1)
    answer = decoded(HistoryReader(kept, 1000).events("log", everything, since, 9))
    assert [each["offset"] for each in answer["events"]] == [2, 3]
    assert answer["complete"] is False
    answer = decoded(HistoryReader(kept, 10_000).events("log", everything, since, 9))
    assert (len(answer["events"]), answer["complete"]) == (3, True)


def test_a_position_as_clients_get_it() -> None:
    assert position_as_json(Position("e", 7)) == {"epoch": "e", "offset": 7}


def test_what_is_not_up_to_date_cannot_be_read() -> None:
    reader = HistoryReader(history(), 1000, is_current=lambda topic: topic != "log")
    for read in (
        lambda: reader.version("log"),
        lambda: reader.values("log", everything),
        lambda: reader.events("log", everything, None, 5),
    ):
        with pytest.raises(TopicUnavailable, match="'log' keeps cannot be read now"):
            read()
    assert reader.version("other") is None
