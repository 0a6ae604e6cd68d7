"""Frames of the server, plain and compressed, against an independent decoder; answers to Close."""

from __future__ import annotations

import json
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.edges.websocket.decoder import decode, decoder
from tests.edges.websocket.in_memory import Frame, frames, masked
from wampush.edges.websocket.compression import Agreement
from wampush.edges.websocket.framing import (
    MOST_FRAMES,
    PING,
    CloseAnswer,
    Deflate,
    binary_frame,
    close_frame,
    reason_of,
    text_frame,
    unmask,
)
from wampush.edges.websocket.wamp_v1_formats import PLAIN
from wampush.errors import CloseReason

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 65537, 300_000)


@pytest.mark.parametrize("size", SIZES)
def test_a_text_frame_is_read_by_another_implementation(size: int) -> None:
    text = ("ü" * (size // 2) + "x" * (size % 2)).encode()
    assert len(text) == size
    frame = text_frame(text)
    assert decode(frame) == [text]
    assert frames(frame) == [Frame(0x81, text)]
    assert PLAIN.reply(text) == frame


def test_frames_follow_each_other() -> None:
    texts = [b"x" * size for size in SIZES]
    assert decode(b"".join(map(text_frame, texts))) == texts


def test_a_ping_has_no_payload() -> None:
    client = decoder()
    client.dataReceived(PING)
    assert client.pings == [b""]


@pytest.mark.parametrize("code", [1000, 1002, 1007, 1009, 3000, 4999])
@pytest.mark.parametrize("reason", ["", "why", "ü" * 200, "x" * 123, "x" * 124, "€" * 41 + "x"])
def test_a_close_frame_is_valid_whatever_the_reason(code: int, reason: str) -> None:
    (frame,) = frames(close_frame(code, reason))
    assert frame.first == 0x88
    assert len(frame.payload) <= 125
    client = decoder()
    client.dataReceived(close_frame(code, reason))
    assert client.remoteCloseCode == code
    assert reason.startswith(client.remoteCloseReason or "")
    assert len((client.remoteCloseReason or "").encode()) >= min(len(reason.encode()), 121)


def inflate(payload: bytes, window_bits: int) -> bytes:
    """RFC 7692 section 7.2.2, with a fresh window."""
    inflater = zlib.decompressobj(-window_bits)
    return inflater.decompress(payload + b"\x00\x00\xff\xff")


@pytest.mark.parametrize("window_bits", range(9, 16))
@pytest.mark.parametrize("size", SIZES)
def test_deflate_inflates_to_the_text(size: int, window_bits: int) -> None:
    text = json.dumps([8, "t", "äö€ " * 100_000]).encode()[:size].decode(errors="ignore").encode()
    frame = Deflate(window_bits, 0).text_frame(text)
    ((first, payload),) = [(each.first, each.payload) for each in frames(frame)]
    assert first == 0xC1
    assert not payload.endswith(b"\x00\x00\xff\xff")
    assert inflate(payload, window_bits) == text
    assert decode(frame, Agreement(window_bits).header) == [text]


def test_each_frame_inflates_by_itself() -> None:
    deflate = Deflate(15, 0)
    text = b'[8,"t",{"value":"the same words again and again"}]'
    frame = deflate.text_frame(text)
    assert decode(frame * 3 + deflate.text_frame(b"other") + frame, Agreement(15).header) == [
        text,
        text,
        text,
        b"other",
        text,
    ]


def test_short_texts_go_out_plain() -> None:
    deflate = Deflate(15, 512)
    assert deflate.text_frame(b"x" * 511) == text_frame(b"x" * 511)
    assert deflate.text_frame(b"x" * 512)[0] == 0xC1
    assert Agreement(15).format(512).reply(b"x" * 512) == deflate.text_frame(b"x" * 512)


@given(st.text(), st.integers(9, 15), st.integers(0, 40))
def test_any_text_comes_back(text: str, window_bits: int, min_bytes: int) -> None:
    data = text.encode()
    (frame,) = frames(Deflate(window_bits, min_bytes).text_frame(data))
    if frame.first == 0x81:
        assert frame.payload == data
        assert len(data) < min_bytes
    else:
        assert inflate(frame.payload, window_bits) == data


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=300))
def test_unmask_is_the_exclusive_or_of_the_rfc(key: bytes, data: bytes) -> None:
    assert unmask(key, data) == bytes(byte ^ key[index % 4] for index, byte in enumerate(data))


@pytest.mark.parametrize("size", SIZES)
def test_a_binary_frame_is_read_by_another_implementation(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"\xff" * (size % 256)
    client = decoder()
    client.dataReceived(binary_frame(data))
    assert client.messages == [(data, True)]
    (frame,) = frames(Deflate(15, 1).binary_frame(data))
    if data:
        assert frame.first == 0xC2
        assert inflate(frame.payload, 15) == data
    else:
        assert frame == Frame(0x82, b"")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1002, CloseReason.PROTOCOL_VIOLATION),
        (1003, CloseReason.PROTOCOL_VIOLATION),
        (1007, CloseReason.INVALID_PAYLOAD),
        (1009, CloseReason.MESSAGE_TOO_LARGE),
    ],
)
def test_the_reason_that_a_violation_ends_a_connection_for(code, reason):
    assert reason_of(code) is reason


# The client's Close frame.

CLOSE = masked(struct.pack("!H", 1000) + b"bye", first=0x88)
CLIENT_FRAMES = st.sampled_from(
    (
        masked(b"[7]"),
        masked(b"x" * 126),
        masked(b"x" * 65_536, first=0x82),
        masked(b"", first=0x89),
        masked(b"x" * 125, first=0x8A),
        # The bytes of a Close frame within a payload are not one.
        masked(CLOSE, key=bytes(4)),
    )
)


def feed(answer: CloseAnswer, data: bytes, size: int) -> list[bool]:
    return [answer.feed(data[at : at + size]) for at in range(0, len(data), size)]


# Single bytes of long frames take a while.
@settings(database=None, deadline=None, max_examples=50)
@given(st.lists(CLIENT_FRAMES, max_size=4), st.integers(0, 200), st.integers(1, 70_000))
def test_the_last_byte_of_the_close_frame_ends_the_wait(
    frames: list[bytes], rest: int, size: int
) -> None:
    before = bytes(rest) + b"".join(frames)
    answer = CloseAnswer(rest)
    assert not any(feed(answer, before, size))
    assert not any(feed(answer, CLOSE[:-1], size))
    assert answer.feed(CLOSE[-1:])


def test_a_close_frame_without_a_code() -> None:
    answer = CloseAnswer()
    assert feed(answer, masked(b"", first=0x88), 1) == [False] * 5 + [True]


def test_in_the_middle_of_the_close_frame() -> None:
    assert feed(CloseAnswer(2, is_close=True), b"xx", 1) == [False, True]


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x01" + bytes(4),
        b"\x83\x81" + bytes(4),
        b"\x8b\x81" + bytes(4),
        b"\x88\xfe\x00\x80" + bytes(4),
        b"GET / HTTP/1.1\r\n",
    ],
    ids=["no mask", "reserved data", "reserved control", "long control", "HTTP"],
)
def test_what_is_not_a_frame_ends_the_wait(data: bytes) -> None:
    assert CloseAnswer().feed(data)


def test_too_many_frames_end_the_wait() -> None:
    assert not CloseAnswer().feed(masked(b"", first=0x89) * MOST_FRAMES)
    assert CloseAnswer().feed(masked(b"", first=0x89) * (MOST_FRAMES + 1))
