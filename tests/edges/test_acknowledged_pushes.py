"""Pushes that come one at a time: answered, held back in a pause, refused, counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from tests.edges.websocket.in_memory import MemoryNode, frames
from wampush.broker.backplane.contract import Accepted
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.ledger import Source
from wampush.broker.publication import Position, Publication
from wampush.config.tables.topics import TopicSettings
from wampush.edges.acknowledged_pushes import MAX_WAIT, Published
from wampush.errors import PublicationRefused, PushRefused, Refusal
from wampush.net.turn_budget import TurnBudget


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


def publish(node: MemoryNode, *parts: bytes, push_id: str = "") -> Deferred[Published]:
    return node.node.acknowledged_pushes.publish(parts, "127.0.0.1", push_id)


def publish_list(node: MemoryNode, *pushes: object, push_id: str = "") -> list[Any]:
    """What becomes of each element; empty while that is not known."""
    body = json.dumps(pushes).encode()
    outcomes: list[Any] = []
    done = node.node.acknowledged_pushes.publish_list(body, "127.0.0.1", push_id)
    done.addCallbacks(outcomes.extend, lambda failure: outcomes.append(failure.value))
    return outcomes


def outcome(done: Deferred[Published]) -> int | str | None:
    """The number of receivers, the code of the refusal, or None while neither is known."""
    seen: list[int | str] = []

    def refused(failure):
        failure.trap(PushRefused)
        seen.append(failure.value.refusal.code)

    done.addCallbacks(lambda published: seen.append(published.receivers), refused)
    return seen[0] if seen else None


def counts(node: MemoryNode) -> tuple[int, int, dict[str, int]]:
    ledger = node.ledger
    refused = {
        refusal.code: count
        for (source, refusal), count in ledger.refused.items()
        if source is Source.HTTP
    }
    return ledger.received[Source.HTTP], ledger.accepted[Source.HTTP], refused


def test_a_push_is_published_at_once(node: MemoryNode) -> None:
    peers = [node.open(), node.open()]
    for peer in peers:
        peer.subscribe("t")
    assert outcome(publish(node, b"t", b'{"n": 1.0}')) == 2
    assert outcome(publish(node, b'{"category":"t"}')) == 2
    assert outcome(publish(node, b"nobody", b"1")) == 0
    for peer in peers:
        assert [each.payload for each in frames(peer.take())] == [
            b'[8,"t",{"n": 1.0}]',
            b'[8,"t",{"category":"t"}]',
        ]
    assert counts(node) == (3, 3, {})


def test_a_refusal_is_counted_and_told(node: MemoryNode) -> None:
    assert outcome(publish(node, b"t", b"{")) == "not-json"
    assert outcome(publish(node, b"t", b"1", b"[]")) == "bad-options"
    assert counts(node) == (2, 0, {"not-json": 1, "bad-options": 1})
    first, second = node.ledger.recent
    assert (first.source, first.origin, first.excerpt) == (Source.HTTP, "127.0.0.1", b"t|{")
    assert second.excerpt == b"t|1|[]"
    assert "refused HTTP request from 127.0.0.1: not-json" in node.lines[0]


def test_in_a_pause_pushes_wait_and_keep_their_order(node: MemoryNode) -> None:
    peer = node.open()
    peer.subscribe("t")
    node.pressure.hold(Hold.CROWD)
    waiting = [publish(node, b"t", b"%d" % number) for number in range(3)]
    assert outcome(publish(node, b"t", b"{")) == "not-json"
    node.turn()
    assert peer.take() == b""
    assert [outcome(each) for each in waiting] == [None, None, None]
    node.pressure.release(Hold.CROWD)
    # One that comes before those that wait have had their turn goes behind them.
    waiting.append(publish(node, b"t", b"3"))
    node.turn()
    assert [each.payload for each in frames(peer.take())] == [
        b'[8,"t",%d]' % number for number in range(4)
    ]
    assert counts(node) == (5, 4, {"not-json": 1})
    node.clock.advance(MAX_WAIT)
    assert counts(node) == (5, 4, {"not-json": 1})


def test_a_pause_that_begins_again_is_kept_to(node: MemoryNode) -> None:
    node.pressure.hold(Hold.CROWD)
    waiting = publish(node, b"t", b"1")
    node.pressure.release(Hold.CROWD)
    node.pressure.hold(Hold.TOTAL)
    node.turn()
    assert outcome(waiting) is None
    node.pressure.release(Hold.TOTAL)
    node.turn()
    assert counts(node) == (1, 1, {})


def test_who_waits_too_long_is_told(node: MemoryNode) -> None:
    node.pressure.hold(Hold.CROWD)
    first = publish(node, b"t", b"1")
    node.clock.advance(MAX_WAIT / 2)
    second = publish(node, b"t", b"2")
    node.clock.advance(MAX_WAIT / 2)
    assert outcome(first) == "clients-behind"
    assert outcome(second) is None
    node.pressure.release(Hold.CROWD)
    node.turn()
    assert counts(node) == (2, 1, {"clients-behind": 1})


def test_a_sender_that_goes_away_takes_nothing_back(node: MemoryNode) -> None:
    peer = node.open()
    peer.subscribe("t")
    node.pressure.hold(Hold.CROWD)
    waiting = publish(node, b"t", b"1")
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    node.pressure.release(Hold.CROWD)
    node.turn()
    assert [each.payload for each in frames(peer.take())] == [b'[8,"t",1]']
    assert counts(node) == (1, 1, {})


def test_at_the_end_nothing_is_left_waiting(node: MemoryNode) -> None:
    node.pressure.hold(Hold.CROWD)
    waiting = [publish(node, b"t", b"1"), publish(node, b"t", b"2")]
    node.node.acknowledged_pushes.stop()
    waiting.append(publish(node, b"t", b"3"))
    assert [outcome(each) for each in waiting] == ["stopping"] * 3
    assert counts(node) == (3, 0, {"stopping": 3})
    node.pressure.release(Hold.CROWD)
    node.clock.advance(MAX_WAIT)
    assert counts(node) == (3, 0, {"stopping": 3})


def test_the_sender_learns_the_position(node: MemoryNode) -> None:
    assert published(publish(node, b"t", b"1")).as_json() == {"receivers": 0}
    node = MemoryNode(topics=(TopicSettings("t*", history=5),))
    first, second = (published(publish(node, b"t", b"1")).as_json() for _ in range(2))
    assert (first["offset"], second["offset"]) == (1, 2)
    assert first["epoch"] == second["epoch"]
    several = published(publish(node, b"t", b"1", b'{"topics":["t2","other"]}')).as_json()
    assert several["positions"] == {
        "t": {"epoch": first["epoch"], "offset": 3},
        "t2": {"epoch": first["epoch"], "offset": 1},
    }


def published(done: Deferred[Published]) -> Published:
    seen: list[Published] = []
    done.addCallback(seen.append)
    return seen[0]


def test_a_push_with_an_id_is_published_once(node: MemoryNode) -> None:
    peer = node.open()
    peer.subscribe("t")
    assert outcome(publish(node, b"t", b"1", push_id="a")) == 1
    again = published(publish(node, b"t", b"1", push_id="a"))
    assert again.as_json() == {"receivers": 1, "repeated": True}
    assert outcome(publish(node, b"t", b"2", push_id="a")) == "id-reused"
    assert len(frames(peer.take())) == 1
    assert counts(node) == (2, 1, {"id-reused": 1})


def test_a_list_is_published_in_its_order(node: MemoryNode) -> None:
    peer = node.open()
    for topic in ("t", "u"):
        peer.subscribe(topic)
    outcomes = publish_list(
        node,
        {"topic": "t", "data": 1},
        {"topic": "u", "data": 2, "to": {"users": ["7"]}},
        {"topic": "t", "data": 3, "topics": ["u"]},
    )
    assert [each.receivers for each in outcomes] == [1, 0, 2]
    node.turn()
    assert [each.payload for each in frames(peer.take())] == [
        b'[8,"t",1]',
        b'[8,"t",3]',
        b'[8,"u",3]',
    ]
    assert counts(node) == (3, 3, {})


def test_a_list_with_a_mistake_is_refused_as_a_whole(node: MemoryNode) -> None:
    (error,) = publish_list(node, {"topic": "t", "data": 1}, {"topic": "", "data": 1})
    assert error.refusal is Refusal.TOPIC_EMPTY
    assert error.detail.startswith("Publication 2: ")
    assert counts(node) == (1, 0, {"topic-empty": 1})


def test_a_stale_element_does_not_stop_the_others() -> None:
    node = MemoryNode(topics=(TopicSettings("t", last=True, version_by="rev"),))
    pushes = [{"topic": "t", "data": {"rev": rev}} for rev in (2, 1, 3)]
    first, second, third = publish_list(node, *pushes)
    assert (first.positions[0][1].offset, third.positions[0][1].offset) == (1, 2)
    assert second.refusal is Refusal.STALE
    assert counts(node) == (3, 2, {"stale": 1})


@pytest.mark.parametrize("ids", [{"push_id": "batch"}, {}])
def test_a_list_that_is_sent_again(node: MemoryNode, ids: Any) -> None:
    pushes = [{"topic": "t", "data": n, **({} if ids else {"id": f"n{n}"})} for n in range(3)]
    assert [each.is_repeated for each in publish_list(node, *pushes, **ids)] == [False] * 3
    assert [each.is_repeated for each in publish_list(node, *pushes, **ids)] == [True] * 3
    assert counts(node) == (3, 3, {})


def test_a_list_waits_for_the_end_of_a_pause(node: MemoryNode) -> None:
    node.pressure.hold(Hold.CROWD)
    outcomes = publish_list(node, *[{"topic": "t", "data": n} for n in range(3)])
    node.turn()
    assert outcomes == []
    node.pressure.release(Hold.CROWD)
    node.turn()
    assert len(outcomes) == 3


def test_a_list_that_takes_long_is_published_in_several_turns(
    node: MemoryNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushing = node.node.acknowledged_pushes
    late = iter([False, True, False, True, False])
    monkeypatch.setattr(pushing._budget.__class__, "is_late", lambda _: next(late, False))
    outcomes = publish_list(node, *[{"topic": "t", "data": n} for n in range(4)])
    assert counts(node)[1] == 1
    assert outcomes == []
    for _ in range(3):
        node.turn()
    assert len(outcomes) == 4
    assert counts(node) == (4, 4, {})


def test_lists_that_wait_share_the_time_of_a_turn(
    node: MemoryNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.pressure.hold(Hold.CROWD)
    pushes = [{"topic": "t", "data": number} for number in range(4)]
    outcomes = [publish_list(node, *pushes) for _ in range(5)]
    shares: list[TurnBudget] = []

    def begin(budget: TurnBudget) -> None:
        shares.append(budget)

    monkeypatch.setattr(TurnBudget, "begin", begin)
    node.pressure.release(Hold.CROWD)
    node.turn()
    assert [len(each) for each in outcomes] == [4] * 5
    assert len(shares) == 1


def test_a_list_is_refused_while_the_server_stops(node: MemoryNode) -> None:
    node.node.acknowledged_pushes.stop()
    (error,) = publish_list(node, {"topic": "t", "data": 1})
    assert error.refusal is Refusal.STOPPING


def test_a_sender_of_a_list_that_goes_away_takes_nothing_back(node: MemoryNode) -> None:
    node.pressure.hold(Hold.CROWD)
    body = b'[{"topic":"t","data":1},{"topic":"t","data":2}]'
    done = node.node.acknowledged_pushes.publish_list(body, "127.0.0.1")
    done.addErrback(lambda failure: failure.trap(CancelledError))
    done.cancel()
    node.pressure.release(Hold.CROWD)
    node.turn()
    assert counts(node) == (2, 2, {})


def test_ids_that_are_too_long_are_refused_before_anything_is_published(node: MemoryNode) -> None:
    most = "x" * 200
    assert outcome(publish(node, b"t", b"1", push_id=f"{most}x")) == "bad-id"
    pushes = [{"topic": "t", "data": n} for n in range(2)]
    for refused in (
        publish_list(node, *pushes, push_id=f"{most}x"),
        publish_list(node, *pushes, {"topic": "t", "data": 2, "id": f"{most}x"}),
    ):
        assert [each.refusal for each in refused] == [Refusal.BAD_ID]
    assert len(publish_list(node, *pushes, push_id=most)) == 2
    assert counts(node) == (5, 2, {"bad-id": 3})


def test_a_push_is_timed_from_its_arrival_whether_it_is_held_or_not(node: MemoryNode) -> None:
    node.open().subscribe("t")
    fanout, pushes = node.broker.fanout, node.node.acknowledged_pushes
    now = [100.0]
    fanout._seconds = lambda: now[0]
    publish(node, b"t", b"1")
    now[0] += 0.25
    node.turn()
    assert (fanout.push_timer.durations.count, fanout.push_timer.durations.total) == (1, 0.25)
    node.pressure.hold(Hold.TOTAL)
    publish(node, b"t", b"2")
    node.turn()
    assert (pushes.held, fanout.push_timer.durations.count) == (1, 1)
    now[0] += 5
    node.pressure.release(Hold.TOTAL)
    node.turn()
    assert pushes.held == 0
    assert (fanout.push_timer.durations.count, fanout.push_timer.durations.total) == (2, 5.25)


def test_a_push_whose_turn_is_over_comes_with_the_next(
    node: MemoryNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = iter([True])
    monkeypatch.setattr(TurnBudget, "is_late", lambda _: next(late, False))
    waiting = [publish(node, b"t", b"1"), publish(node, b"t", b"2")]
    assert node.node.acknowledged_pushes.held == 2
    # No pause ends that would bring them on.
    node.turn()
    assert [outcome(each) for each in waiting] == [0, 0]


def test_an_outcome_with_positions_is_the_answer(
    node: MemoryNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes: list[Any] = []
    taken: list[Publication] = []

    def push(_: object, publication: Publication, on_done: Any) -> None:
        taken.append(publication)
        outcomes.append(on_done)

    monkeypatch.setattr(node.broker, "push", push)
    monkeypatch.setattr(node.broker, "mirrors", object())
    done = publish(node, b"log", b"1", push_id="p")
    plain = publish(node, b"log", b"1")
    # Other nodes need the id and what tells pushes apart.
    assert [each.push and each.push.push_id for each in taken] == ["p", None]
    outcomes[0](Accepted(None, [("log", Position("e", 7))], is_repeated=True))
    assert published(done).as_json() == {
        "receivers": 0,
        "epoch": "e",
        "offset": 7,
        "repeated": True,
    }
    outcomes[1](PublicationRefused(Refusal.BACKPLANE_AWAY))
    assert outcome(plain) == "backplane-away"


def test_pushes_with_an_answer_go_on_while_the_shared_store_is_away(node: MemoryNode) -> None:
    node.node.backpressure.hold(Hold.SHARED_STORE)
    assert outcome(publish(node, b"t", b"1")) == 0
    node.node.backpressure.hold(Hold.CROWD)
    waiting = publish(node, b"t", b"2")
    assert not waiting.called
    # The other reason does not keep it waiting.
    node.node.backpressure.release(Hold.CROWD)
    node.turn()
    node.clock.advance(0)
    assert outcome(waiting) == 0


def test_a_process_that_has_handed_over_says_no_position() -> None:
    node = MemoryNode(topics=(TopicSettings(match="log", history=10),))
    answers: list[Published] = []
    publish(node, b"log", b"1").addCallback(answers.append)
    passed_on: list[Publication] = []
    node.broker.divert(lambda _, publication: passed_on.append(publication))
    publish(node, b"log", b"2").addCallback(answers.append)
    node.broker.divert(None)
    publish(node, b"log", b"3").addCallback(answers.append)
    assert [[at.offset for _, at in each.positions] for each in answers] == [[1], [], [2]]
    assert [each.payload for each in passed_on] == [b"2"]
