"""Chunks of bytes for the wire, and how they are handed over in slices.

Owns: how much of a queue is handed over at a time. Must not import: anything of wampush.

A chunk is shared by all receivers, and one large event may be a chunk of megabytes. The transport
reports progress only when all that it has is sent, so it must not get such a chunk in one piece: a
client that reads it would look like one that reads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from typing import Final

Chunk = bytes | memoryview
"""Whole frames, or what is left of some; a view keeps the shared bytes instead of a copy."""


class _NoChunks(list[Chunk]):
    """A list that stays empty."""

    def append(self, chunk: Chunk) -> None:
        """Refuse: all empty queues have this list."""
        raise TypeError(f"a queue needs a list of its own for {len(chunk)} bytes")


#: The chunks of every queue without any; an idle client needs no list of its own.
NO_CHUNKS: Final[list[Chunk]] = _NoChunks()


class SharedChunk(bytes):
    """A chunk that many queues hold for long, and that is to count once for all of them.

    What is left of it is always a view.

    :ivar holders: how often blocked queues have it, or what is left of it.
    """

    holders: int = 0


def shared_of(chunk: Chunk) -> SharedChunk | None:
    """Return the shared chunk that a chunk is, or is left of; None for any other."""
    whole = chunk.obj if isinstance(chunk, memoryview) else chunk
    return whole if isinstance(whole, SharedChunk) else None


def shared_indexes(chunks: Sequence[Chunk]) -> list[int]:
    """Return the indexes of the chunks that are shared, or left of shared ones."""
    return [index for index, each in enumerate(chunks) if shared_of(each) is not None]


#: Bytes of a large chunk that are handed over at a time.
SLICE_BYTES: Final = 128 * 1024
#: A chunk with more bytes is large. Chunks of usual events do not reach this size.
LARGE_BYTES: Final = 2 * SLICE_BYTES


def take_front(chunks: list[Chunk], size: int) -> tuple[bytes, int]:
    """Remove bytes from the front of a list of chunks and return them, joined.

    Of a large chunk, only a slice is taken, and nothing else.

    :param chunks: at least one.
    :param size: in bytes; the fewest chunks that have as much are taken, or all up to a large one.
    :returns: the bytes, and how many chunks have been removed; 0 when the first one has a rest.
    """
    first = chunks[0]
    if len(first) > LARGE_BYTES:
        view = memoryview(first)
        chunks[0] = view[SLICE_BYTES:]
        return bytes(view[:SLICE_BYTES]), 0
    total = 0
    count = 0
    for chunk in chunks:
        length = len(chunk)
        if length > LARGE_BYTES:
            break
        total += length
        count += 1
        if total >= size:
            break
    data = bytes(first) if count == 1 else b"".join(chunks[:count])
    del chunks[:count]
    return data, count


def rest_of(chunk: Chunk, sent: int) -> Chunk:
    """Return what is left of a chunk; of a large or shared one a view, because copies add up.

    :param sent: bytes that have left.
    """
    if not sent:
        return chunk
    if len(chunk) > LARGE_BYTES or isinstance(chunk, SharedChunk):
        return memoryview(chunk)[sent:]
    return chunk[sent:]


def _references_of_a_loop() -> int:
    """Return how many references :func:`own_bytes` has to a chunk while it counts them.

    Those of the samples, of the loop, and of the call, which is without one from Python 3.14 on.
    """
    queue = [bytes(bytearray(2))]
    counted = 0
    for chunk in queue[::1]:
        counted = getrefcount(chunk) - len(queue)
    return counted


_REFERENCES_OF_A_LOOP: Final = _references_of_a_loop()


def own_bytes(chunks: Sequence[Chunk], samples: int) -> int:
    """Return an estimate of what only one queue keeps in memory, in bytes.

    A chunk that several queues share counts in part for each: CPython knows how many refer to it.

    :param chunks: of the queue.
    :param samples: chunks to look at, at equal distances.
    """
    if not chunks:
        return 0
    sampled = chunks[:: -(-len(chunks) // samples)]
    own = 0.0
    for chunk in sampled:
        if isinstance(chunk, memoryview):
            # Every queue has a view of its own; the bytes are shared. Not counted is the call.
            keepers = getrefcount(chunk.obj) - 1
        else:
            keepers = getrefcount(chunk) - _REFERENCES_OF_A_LOOP
        own += len(chunk) / max(1, keepers)
    return round(own * len(chunks) / len(sampled))
