"""Pushes that come one at a time: answered, held back in a pause, refused, counted."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from tests.edges.websocket.in_memory import MemoryNode, frames
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.ledger import Source
from wampush.edges.acknowledged_pushes import MAX_WAIT
from wampush.errors import PushRefused


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


def publish(node: MemoryNode, *parts: bytes) -> Deferred[int]:
    return node.node.acknowledged_pushes.publish(parts, "127.0.0.1")


def outcome(done: Deferred[int]) -> int | str | None:
    """The number of receivers, the code of the refusal, or None while neither is known."""
    seen: list[int | str] = []

    def refused(failure):
        failure.trap(PushRefused)
        seen.append(failure.value.refusal.code)

    done.addCallbacks(seen.append, refused)
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
