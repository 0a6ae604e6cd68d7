"""permessage-deflate: which offers are accepted, and what clients compress."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import Any

import pytest
from autobahn.websocket.compress_deflate import PerMessageDeflateOffer, PerMessageDeflateResponse

from tests.edges.websocket.decoder import decode
from tests.edges.websocket.in_memory import Frame, MemoryNode, Peer, masked, record, request
from wampush.broker.publication import Publication
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.websocket.compression import Agreement, agree
from wampush.errors import CloseReason


def test_equal_parameters_are_one_format() -> None:
    assert Agreement(12).format(512) is Agreement(12).format(512)
    assert len({Agreement(bits).format(512) for bits in (12, 12, 15)}) == 2
    assert Agreement(12).format(512) is not Agreement(12).format(64)


BASE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


OFFERS = {
    "permessage-deflate": BASE,
    "permessage-deflate; client_max_window_bits": BASE,
    "permessage-deflate; client_max_window_bits=8": BASE,
    "permessage-deflate; client_max_window_bits=15": BASE,
    "permessage-deflate; server_no_context_takeover": BASE,
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover": BASE,
    "permessage-deflate;client_max_window_bits": BASE,
    "Permessage-Deflate": BASE,
    "permessage-deflate; server_max_window_bits=15": BASE,
    "permessage-deflate; server_max_window_bits=9": f"{BASE}; server_max_window_bits=9",
    'permessage-deflate; server_max_window_bits="10"': f"{BASE}; server_max_window_bits=10",
    "permessage-deflate ; server_max_window_bits = 12": f"{BASE}; server_max_window_bits=12",
    "x-webkit-deflate-frame, permessage-deflate": BASE,
    "permessage-deflate; unknown, permessage-deflate": BASE,
    "permessage-deflate; server_max_window_bits=8, permessage-deflate": BASE,
    "permessage-deflate; server_max_window_bits=11, permessage-deflate": (
        f"{BASE}; server_max_window_bits=11"
    ),
    # To be declined (RFC 7692 sections 5.1 and 7.1).
    "": None,
    "permessage-bzip2": None,
    "permessage-deflate-x": None,
    "permessage-deflate; unknown": None,
    "permessage-deflate; unknown=1": None,
    "permessage-deflate; server_no_context_takeover=1": None,
    "permessage-deflate; client_no_context_takeover=true": None,
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover": None,
    "permessage-deflate; client_max_window_bits; client_max_window_bits=10": None,
    "permessage-deflate; server_max_window_bits": None,
    "permessage-deflate; server_max_window_bits=": None,
    "permessage-deflate; server_max_window_bits=7": None,
    "permessage-deflate; server_max_window_bits=8": None,
    "permessage-deflate; server_max_window_bits=16": None,
    "permessage-deflate; server_max_window_bits=09": None,
    "permessage-deflate; server_max_window_bits=1e1": None,
    "permessage-deflate; server_max_window_bits=+10": None,
    "permessage-deflate; server_max_window_bits=\xb2": None,
    "permessage-deflate; client_max_window_bits=7": None,
    "permessage-deflate; client_max_window_bits=16": None,
    "permessage-deflate; client_max_window_bits=": None,
    "permessage-deflate;;": None,
    ";": None,
    ",": None,
}


@pytest.mark.parametrize(("offer", "header"), OFFERS.items())
def test_offers(offer: str, header: str | None) -> None:
    agreement = agree(offer)
    assert (None if agreement is None else agreement.header) == header
    node = MemoryNode(WebSocketSettings(compression=True))
    peer = node.connect()
    peer.send(request(f"Sec-WebSocket-Extensions: {offer}"))
    head = peer.take().partition(b"\r\n\r\n")[0].decode()
    line = f"\r\nSec-WebSocket-Extensions: {header}"
    assert " 101 " in head
    assert (line in head) == (header is not None)
    if header is None:
        assert "Extensions" not in head


def test_another_implementation_accepts_the_answer() -> None:
    for offer in (
        PerMessageDeflateOffer(),
        PerMessageDeflateOffer(True, True, True, 10),
        PerMessageDeflateOffer(accept_max_window_bits=False, request_max_window_bits=9),
    ):
        agreement = agree(offer.get_extension_string())
        assert agreement is not None
        name, *given_parameters = (part.strip() for part in agreement.header.split(";"))
        assert name == "permessage-deflate"
        parameters: dict[str, list[Any]] = {}
        for parameter in given_parameters:
            key, equals, value = parameter.partition("=")
            parameters[key] = [value if equals else True]
        response = PerMessageDeflateResponse.parse(parameters)
        assert response.server_no_context_takeover
        assert response.client_no_context_takeover
        assert response.server_max_window_bits in (0, offer.request_max_window_bits)


def test_without_the_setting_nothing_is_agreed() -> None:
    node = MemoryNode()
    peer = node.connect()
    peer.send(request("Sec-WebSocket-Extensions: permessage-deflate"))
    assert b"Extensions" not in peer.take()
    # So a compressed frame is a breach.
    peer.send(masked(b"x", first=0xC1))
    assert node.ledger.ended == {CloseReason.PROTOCOL_VIOLATION: 1}


def deflated(text: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH)).removesuffix(
        b"\x00\x00\xff\xff"
    )


def test_compressed_messages_of_a_client_are_read() -> None:
    text = json.dumps([5, "t" * 400]).encode()
    data = deflated(text)
    half = len(data) // 2
    stream = (
        masked(data, first=0xC1)
        + masked(text)
        + masked(data[:half], first=0x41)
        + masked(b"ping", first=0x89)
        + masked(data[half:], first=0x80)
        + masked(data, first=0xC1)
    )
    for cut in (None, lambda each: [each[i : i + 1] for i in range(len(each))]):
        seen = record(stream, cut, extensions="permessage-deflate")
        assert seen.inputs == [("text", text)] * 4
        assert seen.output == [Frame(0x8A, b"ping")]
        assert seen.ended == {}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (masked(deflated(b"x" * 1_000_000), first=0xC1), "message-too-large"),
        # Up to 258 bytes over, zlib holds the rest back and Autobahn cuts the text: see below.
        (masked(deflated(b"x" * 65_536 + b"y" * 259), first=0xC1), "message-too-large"),
        (masked(b"\xff\xff\xff\xff", first=0xC1), "invalid-payload"),
        (masked(deflated(b"\xff\xfe"), first=0xC1), "invalid-payload"),
        (masked(deflated(b"\xc3"), first=0xC1), "invalid-payload"),
        (masked(b"x", first=0xC9), "protocol-violation"),
        (masked(b"x", first=0xE1), "protocol-violation"),
        (masked(deflated(b"a"), first=0x41) + masked(b"", first=0xC0), "protocol-violation"),
    ],
)
def test_bad_compressed_messages_end_the_connection(frame: bytes, code: str) -> None:
    seen = record(frame, extensions="permessage-deflate")
    assert seen.inputs == []
    assert seen.ended == {code: 1}
    assert seen.disconnecting


def test_a_compressed_message_of_the_longest_size_is_read() -> None:
    text = b'"' + b"x" * 65_534 + b'"'
    seen = record(masked(deflated(text), first=0xC1), extensions="permessage-deflate")
    assert seen.inputs == [("text", text)]


def test_a_compressed_message_is_never_longer_than_allowed() -> None:
    for size in (65_537, 65_600, 65_793, 65_794):
        seen = record(masked(deflated(b"x" * size), first=0xC1), extensions="permessage-deflate")
        assert all(len(text) <= 65_536 for _, text in seen.inputs)


def compressing(node: MemoryNode) -> Peer:
    peer = node.connect()
    peer.send(request("Sec-WebSocket-Extensions: permessage-deflate"))
    peer.take()
    return peer


@pytest.mark.parametrize(
    "first",
    [
        zlib.compress(b"x", wbits=-15),  # the stream ends; what follows inflates to nothing
        b"\0\0\0\xff\xff",  # an empty block
    ],
)
def test_what_inflates_to_nothing_does_not_pile_up(first: bytes) -> None:
    node = MemoryNode(WebSocketSettings(compression=True, max_message_bytes=1000))
    peer = compressing(node)
    peer.connection.dataReceived(masked(first, first=0x41))
    filling = masked(b"\0\0\0\xff\xff" * 100, first=0x00)
    peer.connection.dataReceived(filling)
    assert not peer.transport.disconnecting
    peer.connection.dataReceived(filling)
    assert peer.transport.disconnecting
    assert node.ledger.ended[CloseReason.MESSAGE_TOO_LARGE] == 1


def test_an_idle_connection_holds_no_inflater() -> None:
    peer = compressing(MemoryNode(WebSocketSettings(compression=True)))
    connection: Any = peer.connection
    for _ in range(2):
        peer.send(masked(deflated(b'[5,"news"]'), first=0xC1))
        assert connection._perMessageCompress._decompressor is None
    assert not peer.transport.disconnecting


def events(peer: Peer, extension: str = "") -> list[bytes]:
    return decode(peer.take(), extension)


def test_the_same_events_compressed_or_not() -> None:
    node = MemoryNode(replace(WebSocketSettings(), compression=True))
    plain = node.open()
    peers = {"": plain}
    for offer in (
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=10",
    ):
        peers[agree(offer).header] = node.open(f"Sec-WebSocket-Extensions: {offer}")  # type: ignore[union-attr]
    for peer in peers.values():
        peer.subscribe("t")
    payloads = [
        json.dumps({"n": number, "text": "äöü " * length}).encode()
        for number, length in enumerate((0, 10, 100, 127, 128, 1000, 20_000))
    ]
    for payload in payloads[:3]:
        node.publish("t", payload)
    for payload in payloads[3:]:
        # Several in one turn are joined.
        node.broker.publish(Publication("t", payload))
    node.turn()
    expected = [b'[8,"t",' + payload + b"]" for payload in payloads]
    sizes = {}
    for extension, peer in peers.items():
        sizes[extension] = len(peer.transport.value())
        assert events(peer, extension) == expected
    assert all(sizes[extension] < sizes[""] / 4 for extension in sizes if extension)


def test_clients_with_the_same_parameters_share_one_chunk() -> None:
    node = MemoryNode(replace(WebSocketSettings(), compression=True))
    offers = ["permessage-deflate"] * 3 + ["permessage-deflate; server_max_window_bits=9"] * 2
    peers = [node.open(f"Sec-WebSocket-Extensions: {offer}") for offer in offers]
    peers += [node.open(), node.open()]
    for peer in peers:
        peer.subscribe("t")
    node.broker.publish(Publication("t", b'"' + b"x" * 1000 + b'"'))
    node.broker.fanout.end_batch()
    chunks = []
    for peer in peers:
        assert peer.connection.outbox is not None
        (chunk,) = peer.connection.outbox.chunks
        chunks.append(chunk)
    assert len({id(chunk) for chunk in chunks}) == 3
    assert len({id(chunk) for chunk in chunks[:3]}) == 1
    assert len({id(chunk) for chunk in chunks[3:5]}) == 1
    assert len({id(chunk) for chunk in chunks[5:]}) == 1
