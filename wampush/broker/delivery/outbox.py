"""The bounded outgoing queue of a client.

Owns: the chunks that wait for one client, their size, and what a slow client does not get.
Must not import: Twisted, sockets, the edges; they subclass :class:`Outbox` and implement
:meth:`Outbox.flush`.

A chunk is bytes ready for the wire, whole frames only, shared by all receivers. Chunks leave in the
order in which they came. An outbox is in one of three states:

free
    The wire takes data. What is queued leaves with one send at the end of the reactor turn.
blocked
    The wire is full. What is queued waits for the wire's own signal; ``queued`` counts it and the
    part that the transport holds.
closed
    Nothing is accepted any more, and nothing is held.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import Final

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.chunks import Chunk, own_bytes, take_front
from wampush.broker.delivery.format import Format

_COUNT_EVERY: Final = 64


class Outbox(ABC):
    """The queue of one client.

    :param limit: bytes that may wait while the client does not read; one chunk more than the limit
        is accepted if nothing else waits.
    :param backpressure: counts every byte that waits in a blocked outbox.
    :param wire_format: how frames for this client are written; ``format`` may become another one
        as long as the client has got no frame.
    """

    __slots__ = (
        "_backpressure",
        "_gone",
        "_latest",
        "blocked",
        "chunks",
        "closed",
        "format",
        "in_flight",
        "limit",
        "queued",
        "stalled",
    )

    def __init__(self, limit: int, backpressure: Backpressure, wire_format: Format) -> None:
        self.limit = limit
        self.format = wire_format
        #: Bytes that wait, in ``chunks`` and, while blocked, in the transport.
        self.queued = 0
        self.chunks: list[Chunk] = []
        #: Bytes that the transport got and has not reported as sent.
        self.in_flight = 0
        self.blocked = False
        self.closed = False
        #: Whether the client did not catch up during a pause of the sources, and has not since.
        self.stalled = False
        self._backpressure = backpressure
        self._latest: dict[str, int] | None = None
        # The number of chunks that have left; makes the indexes in _latest absolute.
        self._gone = 0

    @property
    def address_name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""
        return None

    def own_bytes(self, samples: int) -> int:
        """Return an estimate of what only this outbox keeps in memory, in bytes.

        :param samples: chunks to look at.
        """
        return self.in_flight + own_bytes(self.chunks, samples)

    @abstractmethod
    def flush(self) -> None:
        """Send what is queued; called only while free and not empty."""

    def send(self, chunk: bytes) -> None:
        """Send a chunk without queueing it first; called only while free and empty."""
        self.append(chunk)
        self.flush()

    @abstractmethod
    def overflow(self) -> None:
        """End the connection of a client that is too slow; calls :meth:`close`."""

    def room_for(self, size: int) -> bool:
        """Return whether a chunk may be queued; may send what waits to make room.

        :param size: of the chunk, in bytes.
        """
        if self.queued + size <= self.limit or not self.queued:
            return True
        if not self.blocked:
            # Exceeding the limit within one turn says nothing about the client; the wire decides.
            self.flush()
        return not self.closed and (self.queued + size <= self.limit or not self.queued)

    def append(self, chunk: Chunk) -> None:
        """Queue a chunk that there is room for."""
        self.chunks.append(chunk)
        self.queued += len(chunk)
        if self.blocked:
            self._backpressure.on_queued(len(chunk))

    def replace_latest(self, topic: str, chunk: bytes) -> bool:
        """Queue an event in place of the one of the same topic that waits; only while blocked.

        The newer event goes to the end, so that the client gets a subsequence of the deliveries.

        :returns: whether an older event was removed.
        """
        if self._latest is None:
            self._latest = {}
        replaced = False
        position = self._latest.get(topic, -1) - self._gone
        if position >= 0:
            old = self.chunks[position]
            self.chunks[position] = b""
            self.queued -= len(old)
            self._backpressure.on_dequeued(len(old))
            replaced = True
            size = len(self.chunks)
            # Counting takes time proportional to the queue, so it is done only now and then.
            if not size % _COUNT_EVERY and self.chunks.count(b"") * 2 > size:
                self._compact()
        self._latest[topic] = self._gone + len(self.chunks)
        self.append(chunk)
        return replaced

    def take(self, size: int) -> bytes:
        """Remove and return chunks from the front, joined; of a large one only a slice.

        :param size: in bytes; see :func:`take_front`.
        """
        data, count = take_front(self.chunks, size)
        self._gone += count
        if not count and self._latest:
            # The rest of this chunk is the rest of a frame, so no newer event may replace it.
            self._latest = {
                topic: index for topic, index in self._latest.items() if index != self._gone
            }
        return data

    def block(self, in_flight: int) -> None:
        """Note that the wire takes nothing for now.

        :param in_flight: bytes in the transport; they count as queued.
        """
        self.blocked = True
        self.in_flight = in_flight
        self.queued = in_flight + sum(map(len, self.chunks))
        self._backpressure.on_blocked(self)
        self._backpressure.on_queued(self.queued)

    def on_progress(self, in_flight: int) -> None:
        """Note that the transport has sent what it had.

        :param in_flight: bytes that it got since.
        """
        self.queued -= self.in_flight
        self._backpressure.on_dequeued(self.in_flight)
        self.in_flight = in_flight
        if self.queued * 2 <= self.limit:
            self._backpressure.on_relieved(self)

    def unblock(self) -> None:
        """Note that the wire takes data again and nothing waits in the transport."""
        self.blocked = False
        self.stalled = False
        self._latest = None
        self._gone = 0
        # From now on the queue is sent at the end of the turn, and does not count as waiting.
        self._backpressure.on_unblocked(self)
        self._backpressure.on_dequeued(self.queued)

    def hand_over(self) -> tuple[list[Chunk], int]:
        """Close, and return what waits in a blocked outbox, which stays counted as waiting.

        :returns: the chunks, and the bytes that the transport has.
        """
        if self.closed or not self.blocked:
            self.close()
            return [], 0
        chunks, self.chunks = self.chunks, []
        # Keeps close() from counting these bytes as gone.
        self.blocked = False
        self.close()
        return chunks, self.in_flight

    def close(self) -> None:
        """Free the queue at once; nothing is accepted any more."""
        if self.closed:
            return
        self._backpressure.on_unblocked(self)
        if self.blocked:
            self._backpressure.on_dequeued(self.queued)
        self.closed = True
        self.blocked = True
        self.chunks.clear()
        self._latest = None
        # Keeps a closed outbox off the fast path, which tests for an empty queue.
        self.queued = sys.maxsize

    def _compact(self) -> None:
        latest = {index: topic for topic, index in (self._latest or {}).items()}
        kept: list[Chunk] = []
        moved: dict[str, int] = {}
        for index, chunk in enumerate(self.chunks, self._gone):
            if chunk:
                if index in latest:
                    moved[latest[index]] = len(kept)
                kept.append(chunk)
        self.chunks = kept
        self._latest = moved
        self._gone = 0
