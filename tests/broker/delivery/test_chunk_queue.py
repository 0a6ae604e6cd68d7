"""What waits for one client: in which order it leaves, and what counts."""

from __future__ import annotations

import pytest

from tests.broker.world import BufferedOutbox, DirectOutbox, FakeClock, RecordingFormat, Wire
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.chunk_queue import ChunkQueue
from wampush.broker.delivery.chunks import LARGE_BYTES, SLICE_BYTES, SharedChunk

LIMIT = 100


@pytest.fixture
def pressure():
    return Backpressure(1_000_000, FakeClock().call_later)


@pytest.fixture
def queue(pressure):
    return ChunkQueue(pressure)


def fill(queue, *chunks):
    queue.chunks = [*queue.chunks, *chunks]
    queue.queued += sum(map(len, chunks))


def test_take(queue):
    fill(queue, b"x" * 10, b"y" * 20, b"z" * 30)
    assert queue.take(1) == b"x" * 10
    assert queue.take(21) == b"y" * 20 + b"z" * 30
    fill(queue, b"a")
    assert queue.take(1000) == b"a"


def test_all_is_taken_as_one(queue):
    fill(queue, b"one")
    assert (queue.take_whole(), queue.queued, queue.chunks) == (b"one", 0, [])
    fill(queue, b"one", b"two")
    assert (queue.take_whole(), queue.queued, queue.chunks) == (b"onetwo", 0, [])


@pytest.mark.parametrize("chunks", [[memoryview(b"one")], [b"x" * LARGE_BYTES, b"y"]])
def test_what_would_be_copied_is_left(queue, chunks):
    fill(queue, *chunks)
    assert queue.take_whole() is None
    assert (queue.chunks, queue.queued) == (chunks, sum(map(len, chunks)))


def test_what_only_this_queue_keeps(queue):
    queue.in_flight = 7
    fill(queue, memoryview(bytes(40)))
    assert queue.own_bytes(10) == 47


def shared_by(pressure: Backpressure, whole: SharedChunk, count: int) -> list[DirectOutbox]:
    """Blocked outboxes with a few bytes of their own and all of a shared chunk."""
    outboxes = []
    for _ in range(count):
        outbox = DirectOutbox(LIMIT, pressure, Wire(room=0), RecordingFormat("", []))
        outbox.append(b"x" * 5)
        outbox.flush()
        outbox.append(whole)
        outboxes.append(outbox)
    return outboxes


@pytest.mark.parametrize("size", [40, 2 * LARGE_BYTES + 7])
def test_a_shared_chunk_counts_once_and_not_for_the_limit(pressure, size):
    whole = SharedChunk(b"y" * size)
    outboxes = shared_by(pressure, whole, 3)
    assert pressure.total == 15 + size
    for outbox in outboxes:
        assert (outbox.queued, outbox.own_queued) == (5 + size, 5)
        assert outbox.room_for(LIMIT - 5)
        assert not outbox.room_for(LIMIT - 4)
    first, second, third = outboxes
    first.wire.room = None
    while first.blocked:
        first.drain(1_000_000)
        # What the transport has got is a copy.
        assert pressure.total == 10 + size + first.own_queued * first.blocked
    assert first.wire.received == b"xxxxx" + whole
    second.close()
    assert pressure.total == 5 + size
    chunks, in_flight = third.hand_over()
    assert pressure.total == in_flight + sum(map(len, chunks)) == 5 + size
    assert whole.holders == 0


def test_what_is_left_of_a_shared_chunk_after_a_send_counts_once(pressure):
    whole = SharedChunk(b"y" * (LARGE_BYTES + 99))
    outboxes = [BufferedOutbox(LIMIT, pressure, Wire(), RecordingFormat("", [])) for _ in range(3)]
    for outbox in outboxes:
        outbox.append(memoryview(whole)[9:])
        outbox.block(0)
    assert pressure.total == len(whole)
    assert outboxes[0].take(1) == whole[:SLICE_BYTES]
    assert pressure.total == len(whole) + SLICE_BYTES
    for outbox in outboxes:
        outbox.unblock()
    # That slice still counted as queued.
    assert (pressure.total, whole.holders) == (0, 0)


def test_outboxes_without_chunks_share_the_empty_list(pressure):
    first, second = (
        BufferedOutbox(LIMIT, pressure, Wire(), RecordingFormat("", [])) for _ in range(2)
    )
    assert first.chunks is second.chunks
    first.append(b"x")
    assert (first.chunks, second.chunks) == ([b"x"], [])
    assert first.take_whole() == b"x"
    assert first.chunks is second.chunks
    with pytest.raises(TypeError, match="5 bytes"):
        second.chunks.append(b"12345")
