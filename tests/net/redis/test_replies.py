"""Replies of Redis are read whole, however they are cut, and what is too long is never kept."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wampush.net.redis.replies import (
    HEAD_BYTES,
    LINE_BYTES,
    MAX_ELEMENTS,
    BrokenReply,
    ErrorReply,
    NeedData,
    Oversized,
    Reply,
    ReplyReader,
)

unhurried = settings(database=None, deadline=None)
ROOM = 300


def written(reply: Reply) -> bytes:
    """A reply as Redis writes it."""
    if isinstance(reply, list):
        return b"*%d\r\n" % len(reply) + b"".join(map(written, reply))
    if isinstance(reply, ErrorReply):
        return b"-%s\r\n" % reply.text.encode()
    if isinstance(reply, bytes):
        return b"$%d\r\n%s\r\n" % (len(reply), reply)
    if reply is None:
        return b"$-1\r\n"
    assert isinstance(reply, int)
    return b":%d\r\n" % reply


def read(reader: ReplyReader, *pieces: bytes) -> Iterator[Reply]:
    for piece in pieces:
        reader.feed(piece)
        while (reply := reader.next_reply()) is not NeedData.NEED_DATA:
            yield reply


texts = st.binary(max_size=20) | st.sampled_from([b"\r\n", b"$3\r\n", b"*1\r\n", b"x" * 90])
elements = texts | st.integers(-(10**17), 10**17) | st.none()
errors = st.text("ABC abc", max_size=20).map(ErrorReply)
replies = st.lists(elements, min_size=1, max_size=4) | elements | errors


@unhurried
@given(st.lists(replies, max_size=8), st.data())
def test_replies_are_the_same_however_they_are_cut(
    expected: list[Reply], data: st.DataObject
) -> None:
    stream = b"".join(map(written, expected))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    bounds = [0, *cuts, len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(bounds)]
    reader = ReplyReader(ROOM)
    assert list(read(reader, *pieces)) == expected
    assert reader.waiting == 0


def test_a_status_is_text() -> None:
    assert list(read(ReplyReader(ROOM), b"+OK\r\n+\r\n")) == [b"OK", b""]


def test_a_list_that_is_none_is_none() -> None:
    assert list(read(ReplyReader(ROOM), b"*-1\r\n$-1\r\n")) == [None, None]


def test_an_error_that_is_no_text_is_shown_as_far_as_it_goes() -> None:
    (reply,) = read(ReplyReader(ROOM), b"-ERR \xff\r\n")
    assert reply == ErrorReply("ERR \\xff")


def message(payload: bytes, channel: bytes = b"c") -> list[Reply]:
    return list(read(ReplyReader(ROOM), written([b"message", channel, payload])))


def test_the_strings_of_a_reply_share_its_room() -> None:
    most = b"x" * (ROOM - 8)
    assert message(most) == [[b"message", b"c", most]]
    assert message(most + b"y") == [[b"message", b"c", Oversized(ROOM - 7, most[:HEAD_BYTES])]]


def test_every_reply_has_all_of_the_room() -> None:
    one = written([b"message", b"c", b"x" * (ROOM - 8)])
    reader = ReplyReader(ROOM)
    whole = [b"message", b"c", b"x" * (ROOM - 8)]
    assert list(read(reader, one, written(b"y" * ROOM), one)) == [whole, b"y" * ROOM, whole]


@unhurried
@given(st.integers(1, 5000))
def test_what_follows_a_string_that_is_too_long_is_read(piece: int) -> None:
    long = bytes(range(256)) * 8
    stream = written([b"message", b"c", long]) + written([b"message", b"c", b"{}"])
    pieces = [stream[at : at + piece] for at in range(0, len(stream), piece)]
    assert list(read(ReplyReader(ROOM), *pieces)) == [
        [b"message", b"c", Oversized(2048, long[:HEAD_BYTES])],
        [b"message", b"c", b"{}"],
    ]


def test_the_head_of_a_string_ends_where_the_string_does() -> None:
    reader = ReplyReader(2)
    assert list(read(reader, b"$5\r\nabc", b"de\r\n")) == [Oversized(5, b"abcde")]


def test_what_is_too_long_takes_no_memory() -> None:
    reader = ReplyReader(ROOM)
    piece = b"x" * 65_536
    tracemalloc.start()
    try:
        reader.feed(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$%d\r\n" % (1600 * len(piece)))
        assert reader.next_reply() is NeedData.NEED_DATA
        for _ in range(1600):
            reader.feed(piece)
            assert reader.next_reply() is NeedData.NEED_DATA
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * len(piece)
    reader.feed(b"\r\n")
    assert reader.next_reply() == [
        b"message",
        b"c",
        Oversized(1600 * len(piece), b"x" * HEAD_BYTES),
    ]


@pytest.mark.parametrize(
    "stream",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46\r\n",
        b"x" * LINE_BYTES,
        b"$5\r\nabcdeXY",
        b"$-2\r\n",
        b"$\r\n",
        b"$ 1\r\n",
        b"$1_0\r\n",
        b"$" + b"9" * 19 + b"\r\n",
        b":one\r\n",
        b"*0\r\n",
        b"*-2\r\n",
        b"*%d\r\n" % (MAX_ELEMENTS + 1),
        b"*1000000000\r\n",
        b"*1\r\n*1\r\n",
        b"*1\r\n*-1\r\n",
        b"*2\r\n-ERR no\r\n",
        b"%1\r\n",
        b"_\r\n",
    ],
)
def test_anything_else_is_no_reply(stream: bytes) -> None:
    with pytest.raises(BrokenReply):
        list(read(ReplyReader(ROOM), stream))


@unhurried
@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\r\n", b"*3\r\n", b"$7\r\n"])))
def test_random_bytes_give_replies_or_the_one_error(pieces: list[bytes]) -> None:
    reader = ReplyReader(ROOM)
    try:
        found = list(read(reader, *pieces))
    except BrokenReply:
        return
    for reply in found:
        parts = reply if isinstance(reply, list) else [reply]
        assert sum(len(part) for part in parts if isinstance(part, bytes)) <= max(ROOM, LINE_BYTES)
