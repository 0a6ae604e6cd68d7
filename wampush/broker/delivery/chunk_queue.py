"""The chunks that wait for one client, and what they count.

Owns: how chunks leave a queue, and which of their bytes count for this client alone.
Must not import: Twisted, the edges.

Chunks leave in the order in which they came. A shared chunk counts once for all blocked queues that
hold it; what the transport of a client has got of it is a copy, which counts for that client.
"""

from __future__ import annotations

from collections.abc import Sequence

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.chunks import (
    LARGE_BYTES,
    NO_CHUNKS,
    Chunk,
    SharedChunk,
    own_bytes,
    shared_of,
    take_front,
)
from wampush.broker.delivery.waiting import Replaceable


class ChunkQueue:
    """What waits for one client, here and in its transport.

    :param backpressure: counts every byte that waits in a blocked queue.
    """

    __slots__ = ("_backpressure", "_latest", "chunks", "in_flight", "queued", "shared")

    def __init__(self, backpressure: Backpressure) -> None:
        self._backpressure = backpressure
        #: Bytes that wait, in ``chunks`` and, while blocked, in the transport.
        self.queued = 0
        self.chunks: list[Chunk] = NO_CHUNKS
        #: Those of them that are in shared chunks; 0 unless blocked.
        self.shared = 0
        #: Bytes that the transport got and has not reported as sent.
        self.in_flight = 0
        self._latest: Replaceable | None = None

    @property
    def own_queued(self) -> int:
        """Bytes that wait for this client alone, which is what its limit is about."""
        return self.queued - self.shared

    def own_bytes(self, samples: int) -> int:
        """Return an estimate of what only this outbox keeps in memory; see :func:`own_bytes`."""
        return self.in_flight + own_bytes(self.chunks, samples)

    def take_whole(self) -> bytes | None:
        """Remove and return all that is queued, joined; called only while free and not empty.

        :returns: None if that would copy much; nothing is removed then.
        """
        chunks = self.chunks
        first = chunks[0]
        if len(chunks) > 1:
            if self.queued > LARGE_BYTES:
                return None
            first = b"".join(chunks)
        elif isinstance(first, memoryview):
            return None
        self.chunks = NO_CHUNKS
        self.queued = 0
        return first

    def take(self, size: int) -> bytes:
        """Remove and return chunks from the front, joined; of a large one only a slice.

        :param size: in bytes; see :func:`take_front`.
        """
        before = self.chunks[:] if self.shared else self.chunks
        data, count = take_front(self.chunks, size)
        if self.shared:
            self._copied(before[:count] or before[:1], data, count)
        latest = self._latest
        if latest is not None:
            latest.gone += count
            if not count:
                # The rest of this chunk is the rest of a frame, so no newer event may replace it.
                latest.places = {
                    topic: index for topic, index in latest.places.items() if index != latest.gone
                }
        return data

    def _hold(self, chunk: Chunk) -> int:
        """Count a shared chunk once for all blocked queues; return its bytes, 0 for another one."""
        whole = shared_of(chunk)
        if whole is None:
            return 0
        self.shared += len(chunk)
        whole.holders += 1
        if whole.holders == 1:
            self._backpressure.on_queued(len(whole))
        return len(chunk)

    def _copied(self, chunks: Sequence[Chunk], data: bytes, count: int) -> None:
        """Count what the transport has got of shared chunks: it is a copy for this client alone.

        :param chunks: of which it has got something.
        :param data: what it has got.
        :param count: how many chunks it has got as a whole.
        """
        for chunk in chunks:
            whole = shared_of(chunk)
            if whole is not None:
                size = len(chunk) if count else len(data)
                self.shared -= size
                self._backpressure.on_queued(size)
                if count:
                    self._release(whole)

    def _release(self, whole: SharedChunk) -> None:
        whole.holders -= 1
        if not whole.holders:
            self._backpressure.on_dequeued(len(whole))

    def _let_go(self) -> int:
        """Let the shared chunks count for other queues only; return their bytes that wait here."""
        size, self.shared = self.shared, 0
        if size:
            for chunk in self.chunks:
                whole = shared_of(chunk)
                if whole is not None:
                    self._release(whole)
        return size
