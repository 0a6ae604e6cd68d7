"""What topics keep, as the settings say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.edges.websocket.in_memory import MemoryNode, Peer, frames, masked
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.history.rule import HistoryRule
from wampush.choices import CatchUpGap
from wampush.config.settings import Settings
from wampush.config.tables.topics import HistorySettings, TopicSettings
from wampush.edges.storage.sqlite_database import SqliteDatabase
from wampush.errors import Refusal
from wampush.node.history import database_files, history_rules, memory_history


def test_the_rules() -> None:
    rules = history_rules(
        [
            TopicSettings("a", last=True, max_age=5),
            TopicSettings("b*", last_by="id", tombstone="gone", max_keys=7, version_by="rev"),
            TopicSettings("b2", history=1),
            TopicSettings("c", history=9, replay=3, max_bytes=5000),
            TopicSettings("d", presence=True),
            TopicSettings("e", history=9, gap_replay=True),
            TopicSettings("f", history=9, catch_up_gap=CatchUpGap.SKIP),
        ]
    )
    assert rules.any_gap_replay
    assert rules.of("e") == HistoryRule(events=9, gap_replay=True)
    assert rules.of("a") == HistoryRule(last=True, events=1, max_age=5)
    assert rules.of("b2") == HistoryRule(last_by="id", tombstone="gone", keys=7, version_by="rev")
    assert rules.of("c") == HistoryRule(events=9, replay=3, max_bytes=5000)
    assert rules.of("d") is None
    assert rules.of("f") == HistoryRule(events=9, skips_gaps=True)


def test_without_a_topic_that_keeps_anything_there_is_no_history() -> None:
    settings = Settings(topics=(TopicSettings("d", presence=True),))
    assert memory_history(settings, lambda: 0.0, lambda: 0.0) is None
    answer = call(MemoryNode().open(), "wampush.last", "t")
    assert answer[2].endswith("#NoSuchRPCEndpoint")


def call(peer: Peer, *words: object) -> list[Any]:
    peer.send(masked(json.dumps([2, "c", *words]).encode()))
    answer = json.loads(frames(peer.take())[-1].payload)
    assert isinstance(answer, list)
    return answer


def test_a_page_gets_values_positions_and_what_it_missed() -> None:
    node = MemoryNode(topics=(TopicSettings("t", last=True, history=5),))
    for number in range(3):
        node.publish("t", b"%d" % number)
    peer = node.open()
    assert call(peer, "wampush.positions") == [3, "c", True]
    peer.subscribe("t")
    assert [each.payload for each in frames(peer.take())] == [b'[8,"t",2,3]']
    answer = call(peer, "wampush.last", "t")[2]
    assert [each["data"] for each in answer["events"]] == [2]
    other = node.open()
    since = {"epoch": answer["epoch"], "offset": 1}
    result = call(other, "wampush.subscribe", "t", {"since": since})
    assert result == [3, "c", {"recovered": True, "epoch": answer["epoch"], "offset": 3}]


def test_stale_publications_of_backends_and_clients_are_refused_and_counted() -> None:
    node = MemoryNode(topics=(TopicSettings("t", last=True, version_by="rev"),))
    publishing = node.node.acknowledged_pushes
    outcomes: list[Any] = []
    for rev in (2, 1):
        done = publishing.publish((b"t", b'{"rev":%d}' % rev), "127.0.0.1")
        done.addCallbacks(outcomes.append, lambda failure: outcomes.append(failure.value.refusal))
    assert outcomes[0].receivers == 0
    assert outcomes[1] is Refusal.STALE
    peer = node.open()
    peer.send(masked(b'[7,"t",{"rev":1}]'))
    peer.subscribe("t")
    assert [each.payload for each in frames(peer.take())] == [b'[8,"t",{"rev":2}]']
    assert node.ledger.refusals() == {"stale": 2}


def test_a_push_to_several_topics_is_refused_as_a_whole() -> None:
    node = MemoryNode(topics=(TopicSettings("t*", last=True, version_by="rev"),))
    node.publish("t2", b'{"rev":5}')
    outcomes: list[Any] = []
    parts = (b"t1", b'{"rev":4}', b'{"topics":["t2"]}')
    done = node.node.acknowledged_pushes.publish(parts, "127.0.0.1")
    done.addCallbacks(outcomes.append, lambda failure: outcomes.append(failure.value.refusal))
    assert outcomes == [Refusal.STALE]
    history = node.node.broker.replays
    assert history is not None
    assert history.history.log("t1") is None


def test_a_stale_push_that_waited_is_refused_and_the_next_goes_on() -> None:
    node = MemoryNode(topics=(TopicSettings("t", last=True, version_by="rev"),))
    node.publish("t", b'{"rev":5}')
    node.pressure.hold(Hold.FLUSHING)
    outcomes: list[Any] = []
    for rev in (4, 6):
        done = node.node.acknowledged_pushes.publish((b"t", b'{"rev":%d}' % rev), "127.0.0.1")
        done.addCallbacks(outcomes.append, lambda failure: outcomes.append(failure.value.refusal))
    assert outcomes == []
    node.pressure.release(Hold.FLUSHING)
    node.turn()
    assert outcomes[0] is Refusal.STALE
    assert outcomes[1].receivers == 0


def test_the_files_of_the_database(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    keeping = HistorySettings(database=str(path))
    durable = (TopicSettings("d", last=True, durable=True),)
    assert database_files(Settings(topics=durable, history=keeping)) == []
    database = SqliteDatabase(path)
    assert database_files(Settings(topics=durable, history=keeping)) == [
        str(path),
        f"{path}-wal",
    ]
    assert database_files(Settings(history=keeping)) == []
    database.close()


def test_users_without_positions_get_what_they_missed_where_a_topic_says_so() -> None:
    assert MemoryNode(topics=(TopicSettings("t", history=5),)).node.broker.gaps is None
    node = MemoryNode(topics=(TopicSettings("t", history=5, gap_replay=True),)).node
    assert node.broker.gaps is not None
