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
    part that the transport holds. A client that is behind on topics with a history stays blocked
    until it has caught up, so that nothing overtakes what is still to be read from there.
closed
    Nothing is accepted any more, and nothing is held.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.catch_up import CATCH_UP_BYTES, CatchUp, ReadOn
from wampush.broker.delivery.chunks import (
    Chunk,
    SharedChunk,
    own_bytes,
    shared_of,
    take_front,
)
from wampush.broker.delivery.format import Format
from wampush.broker.delivery.waiting import Replaceable, Waiting
from wampush.broker.publication import Position

_COUNT_EVERY: Final = 64


class Outbox(ABC):
    """The queue of one client.

    :param limit: bytes that may wait while the client does not read, but for shared chunks; one
        chunk more than the limit is accepted if nothing else waits.
    :param backpressure: counts every byte that waits in a blocked outbox.
    :param wire_format: how frames for this client are written; ``format`` may become another one
        as long as the client has got no frame.
    """

    __slots__ = (
        "_backpressure",
        "_latest",
        "blocked",
        "catch_up",
        "chunks",
        "closed",
        "format",
        "in_flight",
        "limit",
        "queued",
        "shared",
        "stalled",
    )

    def __init__(self, limit: int, backpressure: Backpressure, wire_format: Format) -> None:
        self.limit = limit
        self.format = wire_format
        #: Bytes that wait, in ``chunks`` and, while blocked, in the transport.
        self.queued = 0
        self.chunks: list[Chunk] = []
        #: Those of them that are in shared chunks; 0 unless blocked.
        self.shared = 0
        #: Bytes that the transport got and has not reported as sent.
        self.in_flight = 0
        self.blocked = False
        self.closed = False
        #: Whether the client did not catch up during a pause of the sources, and has not since.
        self.stalled = False
        self._backpressure = backpressure
        self._latest: Replaceable | None = None
        #: What is read from the history; None while the client is not behind.
        self.catch_up: CatchUp | None = None

    @property
    def address_name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""
        return None

    @property
    def own_queued(self) -> int:
        """Bytes that wait for this client alone, which is what its limit is about."""
        return self.queued - self.shared

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
        if self.own_queued + size <= self.limit or not self.queued:
            return True
        if not self.blocked:
            # Exceeding the limit within one turn says nothing about the client; the wire decides.
            self.flush()
        return not self.closed and (self.own_queued + size <= self.limit or not self.queued)

    def append(self, chunk: Chunk) -> None:
        """Queue a chunk that there is room for."""
        self.chunks.append(chunk)
        self.queued += len(chunk)
        if self.blocked:
            self._backpressure.on_queued(len(chunk) - self._hold(chunk))

    def replace_latest(self, topic: str, chunk: bytes) -> bool:
        """Queue an event in place of the one of the same topic that waits; only while blocked.

        The newer event goes to the end, so that the client gets a subsequence of the deliveries.

        :returns: whether an older event was removed.
        """
        latest = self._latest
        if latest is None:
            latest = self._latest = Replaceable()
        replaced = False
        position = latest.places.get(topic, -1) - latest.gone
        if position >= 0:
            old = self.chunks[position]
            self.chunks[position] = b""
            self.queued -= len(old)
            self._backpressure.on_dequeued(len(old))
            replaced = True
            size = len(self.chunks)
            # Counting takes time proportional to the queue, so it is done only now and then.
            if not size % _COUNT_EVERY and self.chunks.count(b"") * 2 > size:
                self._compact(latest)
        latest.places[topic] = latest.gone + len(self.chunks)
        self.append(chunk)
        return replaced

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

    @property
    def catch_up_bytes(self) -> int:
        """Bytes that wait before events of topics with a history are no longer queued."""
        return min(CATCH_UP_BYTES, self.limit // 4)

    def begin_catch_up(self, topic: str, position: Position, read_on: ReadOn) -> None:
        """Queue no more events of a topic, and read them from its history later; while blocked.

        :param position: of the event before the first that is not queued.
        :param read_on: reads the history for this client.
        """
        if self.catch_up is None:
            self.catch_up = CatchUp(read_on)
        self.catch_up.begin(topic, position)

    def end_catch_up(self, topic: str) -> None:
        """Read nothing more from the history of a topic; what is queued already stays."""
        if self.catch_up is not None:
            self.catch_up.forget(topic)
            if not self.catch_up:
                self.catch_up = None

    def take_next(self, size: int) -> bytes | None:
        """Remove and return what the wire gets next.

        Called while blocked, once the transport has sent what it had. If little else waits, events
        that the client is behind on are queued first.

        :param size: in bytes; see :func:`take_front`.
        :returns: empty if nothing is left; None if the outbox is closed.
        """
        if self.catch_up is not None:
            self._read_on(self.catch_up)
            # The transport copies what it gets, and many clients may catch up at once.
            size = min(size, self.catch_up_bytes)
        if self.closed:
            return None
        return self.take(size) if self.chunks else b""

    def _read_on(self, catch_up: CatchUp) -> None:
        size = self.catch_up_bytes
        while catch_up and not self.closed and self.queued - self.in_flight <= size:
            chunk = catch_up.next(size)
            if chunk is None:
                self.overflow()
                return
            if chunk:
                self.append(chunk)
        if not catch_up:
            self.catch_up = None

    def block(self, in_flight: int) -> None:
        """Note that the wire takes nothing for now.

        :param in_flight: bytes in the transport; they count as queued.
        """
        self.blocked = True
        self.in_flight = in_flight
        self.queued = in_flight + sum(map(len, self.chunks))
        self._backpressure.on_blocked(self)
        self._backpressure.on_queued(self.queued - sum(map(self._hold, self.chunks)))

    def on_progress(self, in_flight: int) -> None:
        """Note that the transport has sent what it had.

        :param in_flight: bytes that it got since.
        """
        self.queued -= self.in_flight
        self._backpressure.on_dequeued(self.in_flight)
        self.in_flight = in_flight
        if self.own_queued * 2 <= self.limit:
            self._backpressure.on_relieved(self)

    def unblock(self) -> None:
        """Note that the wire takes data again and nothing waits in the transport."""
        self.blocked = False
        self.stalled = False
        self._latest = None
        # From now on the queue is sent at the end of the turn, and does not count as waiting.
        self._backpressure.on_unblocked(self)
        self._backpressure.on_dequeued(self.queued - self._let_go())

    def hand_over(self) -> tuple[list[Chunk], int]:
        """Close, and return what waits in a blocked outbox, which stays counted as waiting.

        :returns: the chunks, and the bytes that the transport has.
        """
        if self.closed or not self.blocked:
            self.close()
            return [], 0
        # Each client's part counts from here on; it has seconds to take it.
        self._backpressure.on_queued(self._let_go())
        chunks, self.chunks = self.chunks, []
        # Keeps close() from counting these bytes as gone.
        self.blocked = False
        self.close()
        return chunks, self.in_flight

    def detach(self, unsent: bytes) -> Waiting:
        """Close, and return what waits for an outbox in another process.

        :param unsent: bytes that the transport had got and has not sent.
        """
        latest, behind = self._latest, self.catch_up
        chunks = [unsent, *self.chunks] if unsent else list(self.chunks)
        waiting = Waiting(
            chunks=chunks,
            latest={} if latest is None else latest.indexes(1 if unsent else 0),
            behind={} if behind is None else dict(behind.positions),
            stalled=self.stalled,
            shared=[index for index, each in enumerate(chunks) if shared_of(each) is not None],
        )
        self.close()
        return waiting

    def restore(self, waiting: Waiting) -> bool:
        """Take what waited for the client in another process; called while new.

        :returns: whether anything waits, so that the outbox is blocked now; topics that the client
            is behind on follow with :meth:`begin_catch_up`.
        """
        self.chunks = list(waiting.chunks)
        if not (waiting.chunks or waiting.behind):
            return False
        for index in waiting.shared:
            self.chunks[index] = SharedChunk(self.chunks[index])
        if waiting.latest:
            self._latest = Replaceable()
            self._latest.places.update(waiting.latest)
        self.block(0)
        self.stalled = waiting.stalled
        return True

    def close(self) -> None:
        """Free the queue at once; nothing is accepted any more."""
        if self.closed:
            return
        self._backpressure.on_unblocked(self)
        if self.blocked:
            self._backpressure.on_dequeued(self.queued - self._let_go())
        self.closed = True
        self.blocked = True
        self.chunks.clear()
        self._latest = None
        self.catch_up = None
        # Keeps a closed outbox off the fast path, which tests for an empty queue.
        self.queued = sys.maxsize

    def _hold(self, chunk: Chunk) -> int:
        """Count a chunk of this queue once for all blocked queues if it is shared.

        :returns: how many of its bytes do not count for this queue.
        """
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
        """Let the shared chunks count for other queues only.

        :returns: how many of their bytes wait here.
        """
        size, self.shared = self.shared, 0
        if size:
            for chunk in self.chunks:
                whole = shared_of(chunk)
                if whole is not None:
                    self._release(whole)
        return size

    def _compact(self, latest: Replaceable) -> None:
        topics = {index: topic for topic, index in latest.places.items()}
        kept: list[Chunk] = []
        moved: dict[str, int] = {}
        for index, chunk in enumerate(self.chunks, latest.gone):
            if chunk:
                if index in topics:
                    moved[topics[index]] = len(kept)
                kept.append(chunk)
        self.chunks = kept
        latest.places = moved
        latest.gone = 0
