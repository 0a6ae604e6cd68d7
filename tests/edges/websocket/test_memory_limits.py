"""What connections make the node keep: handshakes and messages that have arrived in part."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred

from tests.edges.websocket.in_memory import (
    MemoryNode,
    Peer,
    change_rules,
    frames,
    masked,
    request,
)
from wampush.config.tables.websocket import WebSocketSettings
from wampush.errors import CloseReason


def node(per_address: int = 2**26) -> MemoryNode:
    limits = {
        "kept_bytes_per_session": min(per_address, 2**20),
        "kept_bytes_per_address": per_address,
    }
    return MemoryNode(WebSocketSettings(), most_per_address=1000, kept=limits)


def test_a_frame_in_pieces_takes_no_more_than_its_bytes() -> None:
    made = node()
    peer = made.open()
    whole = masked(b"[2," + b" " * 60_000 + b'"id","f"]')
    frame, last = whole[:-1], whole[-1:]
    for position in range(0, len(frame), 20):
        peer.connection.dataReceived(frame[position : position + 20])
        assert len(peer.connection.frame_data or ()) <= 65
    assert 60_000 < made.broker.memory.total < 130_000
    peer.send(last)
    assert made.broker.memory.total == 0
    (answer,) = frames(peer.take())
    assert answer.payload.startswith(b'[4,"id"')


def test_fragments_take_no_more_than_their_bytes() -> None:
    made = node()
    peer = made.open()
    peer.send(masked(b"[2,", first=0x01))
    for _ in range(1000):
        peer.connection.dataReceived(masked(b" ", first=0x00))
        assert len(peer.connection.message_data) <= 65
    assert 1000 < made.broker.memory.total < 4000
    peer.send(masked(b'"id","f"]', first=0x80))
    assert made.broker.memory.total == 0
    (answer,) = frames(peer.take())
    assert answer.payload.startswith(b'[4,"id"')


def test_unfinished_messages_of_one_address() -> None:
    made = node(per_address=240_000)
    peers = [made.open(address="192.0.2.1") for _ in range(4)]
    for peer in peers:
        peer.send(masked(b"x" * 60_000)[:-1])
    assert made.ledger.ended == {CloseReason.MEMORY_LIMIT: 2}
    assert made.broker.memory.total <= 300_000
    for peer in peers:
        peer.lose()
    assert made.broker.memory.total == 0


def test_half_open_handshakes_of_one_address() -> None:
    made = node(per_address=65_536)
    peers = [made.connect("192.0.2.1") for _ in range(6)]
    for peer in peers:
        peer.send(b"GET / HTTP/1.1\r\nCookie: " + b"x" * 8000)
    assert made.ledger.ended[CloseReason.HANDSHAKE_MEMORY] == 2
    assert peers[-1].take().startswith(b"HTTP/1.1 503 ")
    assert 0 < made.broker.memory.total <= 81_920
    for peer in peers:
        peer.lose()
    assert made.broker.memory.total == 0


def test_a_handshake_in_two_pieces_costs_nothing_once_it_is_open() -> None:
    made = node()
    peer = made.connect()
    whole = request()
    peer.send(whole[:20])
    assert made.broker.memory.total > 0
    peer.send(whole[20:])
    assert made.broker.memory.total == 0
    assert peer.take().startswith(b"HTTP/1.1 101 ")


def stalled_peers(made: MemoryNode, count: int) -> list[Peer]:
    """Clients of one address that read nothing."""
    peers = [made.open(address="192.0.2.1") for _ in range(count)]
    for number, peer in enumerate(peers):
        peer.subscribe("all")
        peer.subscribe(f"t{number}")
        outbox: Any = peer.connection.outbox
        outbox.pauseProducing()
    return peers


def test_queues_of_one_address() -> None:
    limits = {"queued_bytes_per_address": 100_000}
    made = MemoryNode(WebSocketSettings(), queue_bytes=80_000, most_per_address=1000, kept=limits)
    peers = stalled_peers(made, 5)
    for _ in range(2):
        for number in range(5):
            made.publish(f"t{number}", b'"' + b"x" * 15_000 + b'"')
            made.turn()
    assert made.ledger.ended == {CloseReason.SLOW_CLIENT: 2}
    assert sum(peer.connection.reason is None for peer in peers) == 3


def test_what_the_queues_of_an_address_share_counts_once() -> None:
    limits = {"queued_bytes_per_address": 100_000}
    made = MemoryNode(WebSocketSettings(), queue_bytes=80_000, most_per_address=1000, kept=limits)
    stalled_peers(made, 20)
    for _ in range(2):
        made.publish("all", b'"' + b"x" * 15_000 + b'"')
        made.turn()
        made.turn()
    assert made.pressure.total > 200_000
    assert not made.ledger.ended


def test_a_handshake_that_waits_for_the_application_counts_its_headers() -> None:
    made = node()
    waiting: Deferred[None] = Deferred()
    change_rules(made.edge, connect_hook=SimpleNamespace(connecting=lambda _: waiting))
    peer = made.connect("192.0.2.1")
    peer.send(request(*[f"X-{number}: 1" for number in range(100)]))
    assert made.broker.memory.of_address("192.0.2.1") > 25_000
    waiting.callback(None)
    assert made.broker.memory.total == 0
    assert peer.take().startswith(b"HTTP/1.1 101 ")
