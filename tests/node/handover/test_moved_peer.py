"""What the broker asks of a connection that another node has goes there as a record."""

from __future__ import annotations

from typing import Any

from wampush.broker.identity import Identity
from wampush.errors import CloseReason
from wampush.node.handover.moved_peer import MovedPeer
from wampush.node.handover.records import Kind
from wampush.testing.wire import MemoryPeer


def moved(peer: Any) -> tuple[MovedPeer, list[tuple[Kind, Any]]]:
    sent: list[tuple[Kind, Any]] = []
    return MovedPeer(peer, "s1", lambda kind, values: sent.append((kind, values))), sent


def test_it_looks_like_the_connection_before() -> None:
    peer, _ = moved(MemoryPeer("192.0.2.1", True, lambda: None))
    assert (peer.address, peer.address_name, peer.is_local) == ("192.0.2.1", None, True)
    assert peer.ended is None
    nobody, _ = moved(None)
    assert (nobody.address, nobody.is_local, nobody.answers_pings) == ("", False, False)


def test_an_end_is_told_once() -> None:
    peer, sent = moved(None)
    peer.end(CloseReason.ENDED_BY_OPERATOR, "bye")
    peer.end(CloseReason.ENDED_BY_APPLICATION)
    assert peer.ended is CloseReason.ENDED_BY_OPERATOR
    assert sent == [
        (Kind.END_SESSION, {"session": "s1", "reason": "ended-by-operator", "detail": "bye"})
    ]


def test_an_identity_is_told_and_does_not_change_here() -> None:
    peer, sent = moved(None)
    assert peer.accept_identity(Identity("7", frozenset({"b", "a"}))) is False
    ((kind, values),) = sent
    assert kind is Kind.IDENTITY
    assert (values["session"], values["identity"]["user"]) == ("s1", "7")
    assert values["identity"]["groups"] == ["a", "b"]
