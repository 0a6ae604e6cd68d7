"""Frames of WAMP v1, plain and compressed."""

from __future__ import annotations

import zlib

import pytest

from wampush.broker.publication import Position
from wampush.edges.websocket.wamp_v1_formats import PLAIN, WampV1Format, WebSocketFormat, deflated

PAYLOAD = b'{"value": 1.0, "text": "again and again and again"}'
TEXT = b'[8,"http://shop/t",' + PAYLOAD + b"]"


def parts(frame: bytes) -> tuple[int, bytes]:
    """First byte and payload of a short frame, inflated if it is compressed."""
    assert frame[1] == len(frame) - 2 < 126
    if frame[0] & 0x40:
        return frame[0], zlib.decompress(frame[2:] + b"\x00\x00\xff\xff\x01\x00\x00\xff\xff", -15)
    return frame[0], frame[2:]


@pytest.mark.parametrize(
    ("wire_format", "compressed"), [(PLAIN, 0), (deflated(12, 10), 0x40), (deflated(15, 100), 0)]
)
def test_frames(wire_format: WebSocketFormat, compressed: int) -> None:
    position = Position("e", 7)
    assert parts(wire_format.event("http://shop/t", PAYLOAD, None)) == (0x81 | compressed, TEXT)
    # WAMP v1 has no place for it.
    assert parts(wire_format.event("http://shop/t", PAYLOAD, position))[1] == TEXT
    assert parts(wire_format.reply(TEXT)) == (0x81 | compressed, TEXT)
    assert parts(wire_format.binary(b"\x00" * 90)) == (0x82 | compressed, b"\x00" * 90)


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536])
def test_an_event_is_framed_like_a_reply_of_its_text(size: int) -> None:
    payload = b'"' + b"x" * (size - len('[8,"t",""]')) + b'"'
    text = b'[8,"t",' + payload + b"]"
    assert len(text) == size
    assert PLAIN.event("t", payload, None) == PLAIN.reply(text)


@pytest.mark.parametrize(("wire_format", "compressed"), [(PLAIN, 0), (deflated(12, 10), 0x40)])
def test_frames_with_positions(wire_format: WampV1Format, compressed: int) -> None:
    positions = wire_format.with_positions
    assert positions.with_positions is positions
    event = positions.event("http://shop/t", PAYLOAD, Position("e", 7))
    assert parts(event) == (0x81 | compressed, TEXT[:-1] + b",7]")
    assert parts(positions.event("http://shop/t", PAYLOAD, None))[1] == TEXT
    assert parts(positions.reply(TEXT)) == (0x81 | compressed, TEXT)
    assert parts(positions.binary(b"\x00" * 90)) == (0x82 | compressed, b"\x00" * 90)


@pytest.mark.parametrize("wire_format", [PLAIN, PLAIN.with_positions])
def test_a_client_that_catches_up_has_the_same_format(wire_format: WebSocketFormat) -> None:
    assert wire_format.for_catching_up("t", Position("e", 7)) is wire_format
    assert wire_format.caught_up(lambda _: None) is wire_format
    assert wire_format.is_shared
    assert wire_format.shows_gaps is (wire_format is not PLAIN)


def test_clients_with_the_same_parameters_share_one_format() -> None:
    assert deflated(13, 77) is deflated(13, 77)
    assert len({deflated(13, 77), deflated(12, 77), deflated(13, 78), PLAIN}) == 4
    assert isinstance(deflated(13, 77), WampV1Format)
