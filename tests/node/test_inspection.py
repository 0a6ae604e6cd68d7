"""What operators see of a node and its sessions."""

from __future__ import annotations

from tests.edges.websocket.in_memory import MemoryNode, masked, request
from wampush.broker.identity import Identity


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
        "redis_sources": [],
        "webhooks": None,
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


def test_a_session_that_ended_is_not_known() -> None:
    memory = MemoryNode()
    peer = memory.open()
    subscriber = peer.subscriber
    peer.lose()
    assert memory.node.inspection.session(subscriber.session_id) is None
