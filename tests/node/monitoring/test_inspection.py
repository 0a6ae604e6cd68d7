"""What operators see of a node and its sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.edges.websocket.in_memory import MemoryNode, masked, request
from wampush.broker.identity import Identity
from wampush.errors import CloseReason
from wampush.speedups import ACTIVE


def test_counts_of_a_node() -> None:
    memory = MemoryNode()
    memory.connect()
    peer = memory.open()
    peer.subscribe("news")
    peer.send(masked(b"{"))
    memory.open().lose()
    assert memory.node.inspection.status() == {
        "sessions": 1,
        "topics": 1,
        "connections": 2,
        "refusals": {"message-not-json": 1},
        "ends": {"peer-lost": 1},
        "backplane": None,
        "redis_sources": [],
        "webhooks": None,
        "speedups": ACTIVE,
        "send_threads": 1,
    }


def test_refused_inputs_and_handshakes_are_shown_together_newest_first() -> None:
    memory = MemoryNode()
    peer = memory.open()
    for number in range(2):
        peer.send(masked(b"no json"))
        memory.clock.advance(1)
        memory.connect().send(request(f"Origin: http://{number}.example"))
        memory.clock.advance(1)
    shown = memory.node.inspection.refusals()
    assert [each["reason"] for each in shown] == ["origin-forbidden", "message-not-json"] * 2
    assert "http://1.example" in str(shown[0]["detail"])
    assert shown[0]["origin"] == "127.0.0.1"


def test_an_address_finds_out_why_its_handshake_was_refused() -> None:
    memory = MemoryNode()
    inspection = memory.node.inspection
    assert inspection.refused_handshake("127.0.0.1") is None
    memory.connect().send(request("Origin: http://shop.example"))
    sentence = CloseReason.ORIGIN_FORBIDDEN.sentence
    expected = {"reason": "origin-forbidden", "sentence": sentence}
    assert inspection.refused_handshake("127.0.0.1") == expected
    assert inspection.refused_handshake("192.0.2.7") is None
    memory.clock.advance(11)
    assert inspection.refused_handshake("127.0.0.1") is None


def test_one_session_can_be_looked_at() -> None:
    memory = MemoryNode()
    peer, other = memory.open(), memory.open()
    peer.subscribe("b")
    peer.subscribe("a")
    peer.send(masked(b'[1,"p","http://example.com/"]'))
    peer.send(masked(b"no json"))
    other.send(masked(b"[]"))
    subscriber = peer.subscriber
    peer.become(Identity("7", frozenset({"staff", "beta"}), language="de", source="token"))
    found = memory.node.inspection.session(subscriber.session_id)
    assert found is not None
    refusals = found["refusals"]
    assert isinstance(refusals, list)
    assert [each["reason"] for each in refusals] == ["message-not-json"]
    assert {key: value for key, value in found.items() if key != "refusals"} == {
        "session": subscriber.session_id,
        "user": "7",
        "groups": ["beta", "staff"],
        "language": "de",
        "source": "token",
        "expires": None,
        "topics": ["a", "b"],
        "prefixes": {"p": "http://example.com/"},
        "waiting_bytes": 0,
    }


def pages(read: Callable[[str], Mapping[str, Any]], key: str) -> list[list[Any]]:
    """All pages of a listing."""
    found, after = [], ""
    while True:
        page = read(after)
        found.append(page[key])
        if page["next"] is None:
            return found
        after = page["next"]


def test_topics_are_listed_page_by_page() -> None:
    memory = MemoryNode()
    first, second = memory.open(), memory.open()
    for topic in ("news", "orders.2", "orders.1", "orders.3"):
        first.subscribe(topic)
    second.subscribe("orders.1")
    inspection = memory.node.inspection
    one, two, three = (
        {"topic": f"orders.{number}", "subscribers": count}
        for number, count in ((1, 2), (2, 1), (3, 1))
    )
    assert pages(lambda after: inspection.topics("orders.", after, 2), "topics") == [
        [one, two],
        [three],
    ]
    assert pages(lambda after: inspection.topics("orders.", after, 3), "topics") == [
        [one, two, three]
    ]
    assert inspection.topics("", "", 1)["topics"] == [{"topic": "news", "subscribers": 1}]
    assert inspection.topics("none", "", 9) == {"topics": [], "next": None}


def test_sessions_are_listed_page_by_page() -> None:
    memory = MemoryNode()
    peers = [memory.open() for _ in range(3)]
    peers[1].become(Identity("7", source="token"))
    peers[1].subscribe("a")
    inspection = memory.node.inspection
    peer = peers[1].subscriber.peer
    assert peer is not None
    mine = {
        "session": peers[1].subscriber.session_id,
        "user": "7",
        "address": peer.address,
        "topics": 1,
        "waiting_bytes": 0,
    }
    assert inspection.sessions("7", "", 10) == {"sessions": [mine], "next": None}
    found = pages(lambda after: inspection.sessions(None, after, 2), "sessions")
    assert [len(page) for page in found] == [2, 1]
    ids = [each["session"] for page in found for each in page]
    assert ids == sorted(peer.subscriber.session_id for peer in peers)
    assert inspection.sessions("8", "", 10) == {"sessions": [], "next": None}


def test_a_session_that_ended_is_not_known() -> None:
    memory = MemoryNode()
    peer = memory.open()
    subscriber = peer.subscriber
    peer.lose()
    assert memory.node.inspection.session(subscriber.session_id) is None
