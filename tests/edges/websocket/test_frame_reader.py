"""The two parsers of frames: the fast path for the usual ones, Autobahn's for all others.

Both must give the same result for any bytes, in whatever pieces these arrive.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.edges.websocket.in_memory import Frame, MemoryNode, Recorded, masked, record
from wampush.config.tables.websocket import WebSocketSettings

SETTINGS = WebSocketSettings(max_message_bytes=300)
PONG = masked(b"", first=0x8A)
TEXT = masked(b'[5,"t"]')


def close(code: int, reason: bytes = b"") -> bytes:
    return masked(struct.pack("!H", code) + reason, first=0x88)


def texts(*payloads: bytes) -> list[tuple[str, bytes]]:
    return [("text", payload) for payload in payloads]


#: Stream, the inputs it holds, the frames that answer it, and how the connection ends, if it does.
STREAMS: dict[str, tuple[bytes, list[tuple[str, bytes]], list[Frame], str]] = {
    "nothing": (b"", [], [], ""),
    "text": (TEXT, texts(b'[5,"t"]'), [], ""),
    "empty text": (masked(b""), texts(b""), [], ""),
    "empty text and more": (masked(b"") + TEXT, texts(b"", b'[5,"t"]'), [], ""),
    "mask of zeros": (masked(b"abc", key=b"\0\0\0\0"), texts(b"abc"), [], ""),
    "texts": (TEXT * 3, texts(*[b'[5,"t"]'] * 3), [], ""),
    "beyond ASCII": (masked("aü€𝄞".encode()), texts("aü€𝄞".encode()), [], ""),
    "pongs": (PONG * 3 + TEXT + PONG, texts(b'[5,"t"]'), [], ""),
    "pong with payload": (masked(b"x", first=0x8A) + TEXT, texts(b'[5,"t"]'), [], ""),
    "ping": (masked(b"p", first=0x89) + TEXT, texts(b'[5,"t"]'), [Frame(0x8A, b"p")], ""),
    "empty ping": (masked(b"", first=0x89), [], [Frame(0x8A, b"")], ""),
    "longest ping": (masked(b"p" * 125, first=0x89), [], [Frame(0x8A, b"p" * 125)], ""),
    "binary": (masked(b"\xff", first=0x82) + TEXT, [("binary-frame", b"\xff"), *texts(b'[5,"t"]')],
               [], ""),
    "fragments": (masked(b"ab", first=0x01) + masked(b"cd", first=0x00) + masked(b"e", first=0x80),
                  texts(b"abcde"), [], ""),
    "fragments with a ping between": (
        masked(b"ab", first=0x01) + masked(b"p", first=0x89) + PONG + masked(b"c", first=0x80)
        + TEXT, texts(b"abc", b'[5,"t"]'), [Frame(0x8A, b"p")], ""),
    "a character cut by fragments": (
        masked(b"\xe2", first=0x01) + masked(b"\x82", first=0x00) + masked(b"\xac", first=0x80),
        texts("€".encode()), [], ""),
    "empty fragments": (masked(b"", first=0x01) + masked(b"", first=0x00) + masked(b"", first=0x80),
                        texts(b""), [], ""),
    "binary fragments": (masked(b"a", first=0x02) + masked(b"b", first=0x80),
                         [("binary-frame", b"ab")], [], ""),
    "invalid UTF-8": (masked(b"a\xff") + TEXT, [], [], "invalid-payload"),
    "UTF-8 that ends too soon": (masked(b"a\xe2\x82") + TEXT, [], [], "invalid-payload"),
    "overlong UTF-8": (masked(b"\xc0\x80"), [], [], "invalid-payload"),
    "a surrogate": (masked(b"\xed\xa0\x80"), [], [], "invalid-payload"),
    "beyond Unicode": (masked(b"\xf4\x90\x80\x80"), [], [], "invalid-payload"),
    "invalid after valid": (TEXT + masked(b"\xff"), texts(b'[5,"t"]'), [], "invalid-payload"),
    "invalid in fragments": (masked(b"a", first=0x01) + masked(b"\xff", first=0x80), [], [],
                             "invalid-payload"),
    "unmasked text": (masked(b"abcdef", key=None), [], [], "protocol-violation"),
    "unmasked text and more": (
        masked(b"abcdef", key=None) + TEXT * 2,
        [],
        [],
        "protocol-violation",
    ),
    "unmasked long text and more": (
        masked(b"a" * 126, key=None) + TEXT * 2,
        [],
        [],
        "protocol-violation",
    ),
    "unmasked long text": (masked(b"a" * 126, key=None), [], [], "protocol-violation"),
    "unmasked pong": (masked(b"abcdef", first=0x8A, key=None), [], [], "protocol-violation"),
    "continuation of nothing": (masked(b"a", first=0x80), [], [], "protocol-violation"),
    "text within fragments": (masked(b"a", first=0x01) + TEXT, [], [], "protocol-violation"),
    "over-size": (masked(b"x" * 301) + TEXT, [], [], "message-too-large"),
    "over-size by far": (masked(b"x", length=2**40), [], [], "message-too-large"),
    "over-size at the end": (TEXT + masked(b"x" * 301), texts(b'[5,"t"]'), [],
                             "message-too-large"),
    "over-size in fragments": (masked(b"x" * 200, first=0x01) + masked(b"x" * 101, first=0x80),
                               [], [], "message-too-large"),
    "length of 126 for less": (masked(b"a" * 125, form=126), [], [], "protocol-violation"),
    "length of 126 for nothing": (masked(b"", form=126), [], [], "protocol-violation"),
    "length of 127 for less": (masked(b"a" * 126, form=127), [], [], "protocol-violation"),
    "length with the high bit": (masked(b"", length=2**63, form=127), [], [],
                                 "protocol-violation"),
    "long ping": (masked(b"p" * 126, first=0x89), [], [], "protocol-violation"),
    "long pong": (masked(b"p" * 126, first=0x8A), [], [], "protocol-violation"),
    "long close": (masked(b"p" * 126, first=0x88), [], [], "protocol-violation"),
    "fragmented ping": (masked(b"p", first=0x09), [], [], "protocol-violation"),
    "fragmented close": (masked(b"", first=0x08), [], [], "protocol-violation"),
    "close of one byte": (masked(b"\x03", first=0x88), [], [], "protocol-violation"),
    "close": (TEXT + masked(b"", first=0x88) + TEXT, texts(b'[5,"t"]'), [], "peer-closed"),
    "close with code": (close(1001) + TEXT, [], [], "peer-closed"),
    "close with reason": (close(3000, "aü".encode()), [], [], "peer-closed"),
    "close with bad reason": (close(1000, b"\xff"), [], [], "invalid-payload"),
    "close with half a character": (close(1000, b"\xe2\x82"), [], [], "invalid-payload"),
    "close within fragments": (masked(b"a", first=0x01) + close(1000), [], [], "peer-closed"),
}  # fmt: skip
STREAMS |= {
    f"text of {size}": (
        masked(b"x" * size) + TEXT,
        texts(b"x" * size, b'[5,"t"]'),
        [],
        "",
    )
    for size in (1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 299, 300)
}
STREAMS |= {
    f"reserved bits {bits:#x}": (masked(b"a", first=0x81 | bits), [], [], "protocol-violation")
    for bits in (0x10, 0x20, 0x40, 0x70)
}
STREAMS |= {
    f"opcode {code}": (masked(b"a", first=0x80 | code), [], [], "protocol-violation")
    for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
}
VALID_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
STREAMS |= {
    f"close {code}": (
        close(code),
        [],
        [],
        "peer-closed" if valid else "protocol-violation",
    )
    for valid, codes in (
        (True, VALID_CODES),
        (False, (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)),
    )
    for code in codes
}
#: The codes of clients, which the server answers with.
ECHOED = {"close with code": 1001, "close with reason": 3000} | {
    f"close {code}": code for code in VALID_CODES
}

CLOSE_CODES = {
    "peer-closed": 1000,
    "protocol-violation": 1002,
    "invalid-payload": 1007,
    "message-too-large": 1009,
}


def expected(name: str) -> Recorded:
    _, inputs, output, reason = STREAMS[name]
    if not reason:
        return Recorded(inputs, output, {}, disconnecting=False)
    told = Frame(0x88, struct.pack("!H", ECHOED.get(name, CLOSE_CODES[reason])))
    return Recorded(inputs, [*output, told], {reason: 1}, disconnecting=True)


def at(*positions: int) -> Callable[[bytes], list[bytes]]:
    """Cut at these positions."""

    def cut(data: bytes) -> list[bytes]:
        ends = [*sorted(each for each in positions if each <= len(data)), len(data)]
        return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    return cut


def every_byte(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


@pytest.mark.parametrize("name", STREAMS)
def test_both_parsers_give_the_expected_result(name: str) -> None:
    stream = STREAMS[name][0]
    right = expected(name)
    assert record(stream, settings=SETTINGS) == right
    assert record(stream, settings=SETTINGS, autobahn=True) == right
    assert record(stream, every_byte, settings=SETTINGS) == right
    assert record(stream, every_byte, settings=SETTINGS, autobahn=True) == right


@pytest.mark.parametrize("name", STREAMS)
def test_a_cut_changes_nothing(name: str) -> None:
    stream = STREAMS[name][0]
    right = expected(name)
    positions = range(len(stream)) if len(stream) < 60 else (*range(12), *range(120, 145, 3), 300)
    for position in positions:
        assert record(stream, at(position), settings=SETTINGS) == right, position


@pytest.mark.parametrize("name", STREAMS)
def test_frames_before_a_stream_change_nothing(name: str) -> None:
    stream = STREAMS[name][0]
    right = expected(name)
    for before, inputs, output in (
        (TEXT, texts(b'[5,"t"]'), []),
        (PONG, [], []),
        (masked(b"p", first=0x89), [], [Frame(0x8A, b"p")]),
        (masked(b"a", first=0x01) + masked(b"b", first=0x80), texts(b"ab"), []),
    ):
        both = Recorded(
            inputs + right.inputs, output + right.output, right.ended, right.disconnecting
        )
        assert record(before + stream, settings=SETTINGS) == both
        assert record(before + stream, at(len(before) + 1), settings=SETTINGS) == both


@pytest.mark.parametrize("size", [65_535, 65_536])
def test_the_longest_messages(size: int) -> None:
    text = b"x" * size
    for autobahn in (False, True):
        seen = record(TEXT + masked(text) + TEXT, at(40_000), autobahn=autobahn)
        assert seen.inputs == texts(b'[5,"t"]', text, b'[5,"t"]')
        seen = record(masked(text) + TEXT, autobahn=autobahn)
        assert seen.inputs == texts(text, b'[5,"t"]')


FRAMES = st.one_of(
    st.builds(masked, st.text(max_size=150).map(str.encode), key=st.binary(min_size=4, max_size=4)),
    st.builds(masked, st.binary(max_size=20), first=st.sampled_from([0x01, 0x00, 0x80, 0x81])),
    st.builds(masked, st.binary(max_size=6), first=st.sampled_from([0x89, 0x8A, 0x82, 0x02])),
    st.builds(close, st.integers(900, 5100), st.binary(max_size=5)),
    st.just(PONG),
    st.just(TEXT),
    st.binary(max_size=12),
    st.builds(
        masked,
        st.binary(max_size=5),
        first=st.integers(0, 255),
        length=st.none() | st.integers(0, 125),
    ),
)


@given(
    st.lists(FRAMES, max_size=8).map(b"".join),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_both_parsers_agree_on_any_stream(stream: bytes, cuts: list[int]) -> None:
    ours = record(stream, at(*cuts), settings=SETTINGS)
    theirs = record(stream, autobahn=True, settings=SETTINGS)
    assert ours == theirs
    assert sum(ours.ended.values()) <= 1
    assert ours.disconnecting == bool(ours.ended)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=4))
def test_arbitrary_bytes_raise_nothing(stream: bytes, cuts: list[int]) -> None:
    seen = record(stream, at(*cuts), settings=SETTINGS, extensions="permessage-deflate")
    assert set(seen.ended) <= set(CLOSE_CODES)


@given(
    st.binary(min_size=1, max_size=200),
    st.lists(st.integers(1, 50), max_size=4),
    st.integers(0, 400),
    st.booleans(),
)
def test_what_has_come_of_a_message_can_be_read_again(
    payload: bytes, sizes: list[int], cut: int, ping: bool
) -> None:
    parts, rest = [], payload
    for size in sizes:
        parts.append(rest[:size])
        rest = rest[size:]
    parts.append(rest)
    stream = b""
    for number, part in enumerate(parts):
        first = (0 if number else 2) | (0x80 if number == len(parts) - 1 else 0)
        stream += masked(part, first=first)
        if ping and number == 0 and len(parts) > 1:
            stream += masked(b"ping", first=0x89)
    cut = min(cut, len(stream) - 1)
    nodes = [MemoryNode(), MemoryNode()]
    one, other = (node.open() for node in nodes)
    seen: list[bytes] = []
    requests: Any = nodes[1].node.requests
    requests.refuse = lambda *refused: seen.append(refused[2])
    one.send(stream[:cut])
    unread = one.connection.unread()
    assert unread is not None
    other.send(unread)
    other.send(stream[cut:])
    assert seen == [payload]
