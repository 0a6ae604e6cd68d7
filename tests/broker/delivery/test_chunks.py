"""Chunks leave in order, large ones in slices and without copies of the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.broker.delivery.chunks import (
    LARGE_BYTES,
    SLICE_BYTES,
    Chunk,
    SharedChunk,
    own_bytes,
    rest_of,
    shared_of,
    take_front,
)

LARGE = bytes(range(256)) * (LARGE_BYTES // 256 * 2)


@given(
    st.lists(
        st.sampled_from([b"", b"a", b"bc" * 1000, LARGE, LARGE[:LARGE_BYTES], LARGE[3:]]),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([1, 1500, SLICE_BYTES, 4 * SLICE_BYTES]),
)
def test_all_bytes_leave_in_order_and_in_bounded_slices(pieces, size):
    chunks: list[Chunk] = list(pieces)
    taken = bytearray()
    while chunks:
        before = len(chunks)
        data, count = take_front(chunks, size)
        assert isinstance(data, bytes)
        assert len(data) <= size + LARGE_BYTES
        assert len(chunks) == before - count
        taken += data
    assert taken == b"".join(pieces)


def test_a_chunk_that_is_not_large_is_not_copied():
    chunk = bytes(LARGE_BYTES)
    assert take_front([chunk], 1)[0] is chunk


def test_the_rest_of_a_large_chunk_is_a_view_of_it():
    chunks: list[Chunk] = [LARGE]
    assert take_front(chunks, 4 * LARGE_BYTES) == (LARGE[:SLICE_BYTES], 0)
    (rest,) = chunks
    assert isinstance(rest, memoryview)
    assert rest.obj is LARGE
    assert rest == LARGE[SLICE_BYTES:]


def test_what_a_partial_send_leaves():
    left = rest_of(LARGE, 5)
    assert isinstance(left, memoryview)
    assert left == LARGE[5:]
    assert rest_of(LARGE, 0) is LARGE
    assert rest_of(b"abc", 1) == b"bc"


def test_chunks_that_queues_share_count_in_part() -> None:
    shared, own = bytes(1000), bytes(500)
    queues = [[shared], [shared, own], [shared], [shared]]
    del shared, own
    assert [own_bytes(each, 10) for each in queues] == [250, 750, 250, 250]
    assert own_bytes([], 10) == 0


def test_a_sample_stands_for_the_whole_queue() -> None:
    chunks = [b"%d" % number * 100 for number in range(100, 200)]
    assert own_bytes(chunks, 10) == 30_000
    assert own_bytes(chunks, 3) == 30_000


@pytest.mark.parametrize("sent", [0, 1])
def test_the_rest_of_a_large_chunk_is_shared_too(sent: int) -> None:
    # Made at run time: the compiler would keep a reference to a constant.
    shared = bytes(bytearray(8 * SLICE_BYTES))
    queues: list[list[Chunk]] = [[rest_of(shared, sent)] for _ in range(8)]
    del shared
    for queue in queues:
        if sent:
            take_front(queue, 1)
    assert sum(own_bytes(queue, 10) for queue in queues) <= 8 * SLICE_BYTES


def test_what_is_left_of_a_shared_chunk_is_a_view_of_it() -> None:
    whole = SharedChunk(b"abcdef")
    rest = rest_of(whole, 2)
    assert shared_of(whole) is shared_of(rest) is whole
    assert rest == b"cdef"
    assert rest_of(whole, 0) is whole
    assert shared_of(b"abc") is shared_of(memoryview(b"abc")) is None
    data, count = take_front([whole], 10)
    assert (type(data), data, count) == (bytes, b"abcdef", 1)
