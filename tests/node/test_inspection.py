"""What operators see of a node and its sessions."""

from __future__ import annotations

from tests.edges.websocket.in_memory import MemoryNode, masked
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
