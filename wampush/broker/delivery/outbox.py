"""The bounded outgoing queue of a client.

Owns: the limit and the states of a queue, and what a slow client does not get.
Must not import: Twisted, sockets, the edges; they subclass :class:`Outbox` and implement
:meth:`Outbox.flush`.

A chunk is bytes ready for the wire, whole frames only, shared by all receivers. An outbox is in one
of three states:

free
    The wire takes data. What is queued leaves with one send at the end of the reactor turn.
blocked
    The wire is full. What is queued waits for the wire's own signal; ``queued`` counts it and the
    part that the transport holds. A client that is behind on topics with a history stays blocked
    until it has caught up, so that nothing overtakes what is still to be read from there. When its
    wire takes more, it waits for its turn to read on, see :mod:`.catch_up_turns`.
closed
    Nothing is accepted any more, and nothing is held.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import Any, Final

from wampush.broker.delivery.backlog import TURN_BYTES
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.catch_up import CATCH_UP_BYTES, READ_BYTES, CatchUp, ReadOn
from wampush.broker.delivery.catch_up_turns import CatchUpTurns
from wampush.broker.delivery.chunk_queue import ChunkQueue
from wampush.broker.delivery.chunks import NO_CHUNKS, Chunk, SharedChunk, rest_of, shared_indexes
from wampush.broker.delivery.format import Format
from wampush.broker.delivery.waiting import NOTHING_WAITS, Replaceable, Waiting
from wampush.broker.publication import Position

_COUNT_EVERY: Final = 64


class Outbox(ChunkQueue, ABC):
    """The queue of one client.

    :param limit: bytes that may wait while the client does not read, but for shared chunks; one
        chunk more than the limit is accepted if nothing else waits.
    :param backpressure: counts every byte that waits in a blocked outbox.
    :param wire_format: how frames for this client are written; ``format`` may become another one
        as long as the client has got no frame.
    """

    __slots__ = (
        "blocked",
        "catch_up",
        "closed",
        "format",
        "handle",
        "limit",
        "stalled",
    )

    def __init__(self, limit: int, backpressure: Backpressure, wire_format: Format) -> None:
        super().__init__(backpressure)
        self.limit = limit
        self.format = wire_format
        #: Where :mod:`.direct_sends` sends while the outbox is free; None if only the outbox can.
        self.handle: Any = None
        self.blocked = False
        self.closed = False
        #: Whether the client did not catch up during a pause of the sources, and has not since.
        self.stalled = False
        #: What is read from the history; None while the client is not behind.
        self.catch_up: CatchUp | None = None

    @property
    def address_name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""
        return None

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

    def keep_rest(self, chunk: Chunk, sent: int) -> None:
        """Queue what the wire has not taken of a chunk; called only while free and empty.

        Nothing else happens yet; :meth:`wait_for_wire` must follow.

        :param sent: bytes of it that have left.
        """
        self.chunks = [rest_of(chunk, sent)]
        self.queued = len(chunk) - sent

    def wait_for_wire(self) -> None:
        """Block: the wire does not take what is queued now."""
        self.block(0)

    def room_for(self, size: int) -> bool:
        """Return whether a chunk of so many bytes may be queued; may send what waits before."""
        if self.own_queued + size <= self.limit or not self.queued:
            return True
        if not self.blocked:
            # Exceeding the limit within one turn says nothing about the client; the wire decides.
            self.flush()
        return not self.closed and (self.own_queued + size <= self.limit or not self.queued)

    def append(self, chunk: Chunk) -> None:
        """Queue a chunk that there is room for."""
        if not self.chunks:
            self.chunks = []
        self.chunks.append(chunk)
        self.queued += len(chunk)
        if self.blocked:
            self._backpressure.on_queued(len(chunk) - self._hold(chunk))
            if self.catch_up is not None:
                self.catch_up.turns.hurry(self)

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
                self.chunks = latest.compact(self.chunks)
        latest.places[topic] = latest.gone + len(self.chunks)
        self.append(chunk)
        return replaced

    @property
    def catch_up_bytes(self) -> int:
        """Bytes that wait before events of topics with a history are no longer queued."""
        return min(CATCH_UP_BYTES, self.limit // 4)

    def begin_catch_up(
        self, topic: str, position: Position, read_on: ReadOn, turns: CatchUpTurns
    ) -> None:
        """Queue no more events of a topic, and read them from its history later; while blocked.

        :param position: of the event before the first that is not queued.
        :param read_on: reads the history for this client.
        :param turns: say when.
        """
        if self.catch_up is None:
            self.catch_up = CatchUp(read_on, turns)
        self.catch_up.begin(topic, position)

    def end_catch_up(self, topic: str) -> None:
        """Read nothing more from the history of a topic; what is queued already stays."""
        catch_up = self.catch_up
        if catch_up is not None:
            catch_up.forget(topic)
            # One that waits for its turn is free again after it.
            if not catch_up and not catch_up.turns.hurry(self):
                self.catch_up = None

    def take_next(self, size: int) -> bytes | None:
        """Remove and return what the wire gets next.

        Called while blocked, once the transport has sent what it had.

        :param size: in bytes; see :func:`take_front`.
        :returns: empty if nothing is left; None if closed.
        """
        if self.closed:
            return None
        return self.take(size) if self.chunks else b""

    def take_turn(self) -> bool:
        """Send what waits, or else the next events that the client is behind on.

        Called by :class:`CatchUpTurns` while the wire takes more.

        :returns: whether it waits for another turn.
        """
        catch_up = self.catch_up
        if catch_up and self.queued == self.in_flight:
            chunk = catch_up.next(min(READ_BYTES, self.limit // 4))
            if chunk is None:
                self.overflow()
            elif chunk and not self.closed:
                self.append(chunk)
        if self.closed:
            return False
        if not catch_up:
            self.catch_up = None
        elif self.queued == self.in_flight:
            return True
        self.on_progress(0)
        self._free()
        if self.queued:
            self.flush()
        if self.blocked or self.catch_up is None:
            return False
        self._await_turn()
        return True

    def _await_turn(self) -> None:
        """Stay blocked while the wire takes more; nothing is left in the transport."""
        self.on_progress(0)
        self.blocked = True
        self._backpressure.on_blocked(self)
        # A queue without anything would look free.
        self.in_flight = TURN_BYTES
        self.queued += TURN_BYTES
        self._backpressure.on_queued(TURN_BYTES)

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
        """Note that the wire takes data again and nothing waits in the transport.

        A client that is behind now waits for its turn.
        """
        if self.catch_up is None:
            self._free()
            return
        self._await_turn()
        self.catch_up.turns.wait(self)
        if self.chunks:
            self.catch_up.turns.hurry(self)

    def _free(self) -> None:
        self.blocked = False
        self.stalled = False
        self._latest = None
        # From now on the queue is sent at the end of the turn, and does not count as waiting.
        self._backpressure.on_unblocked(self)
        self._backpressure.on_dequeued(self.queued - self._let_go())

    def hand_over(self) -> tuple[list[Chunk], int]:
        """Close; return the chunks of a blocked outbox, still counted, and what is in flight."""
        if self.closed or not self.blocked:
            self.close()
            return [], 0
        if self.catch_up is not None and self.catch_up.turns.forget(self):
            self.on_progress(0)
        # Each client's part counts from here on; it has seconds to take it.
        self._backpressure.on_queued(self._let_go())
        chunks, self.chunks = self.chunks, NO_CHUNKS
        # Keeps close() from counting these bytes as gone.
        self.blocked = False
        self.close()
        return chunks, self.in_flight

    def detach(self, unsent: bytes) -> Waiting:
        """Close, and return what waits for an outbox in another process.

        :param unsent: bytes that the transport had got and has not sent.
        """
        latest, behind = self._latest, self.catch_up
        if not (unsent or self.chunks or behind):
            self.close()
            return NOTHING_WAITS
        chunks = [unsent, *self.chunks] if unsent else list(self.chunks)
        waiting = Waiting(
            chunks=chunks,
            latest={} if latest is None else latest.indexes(1 if unsent else 0),
            behind={} if behind is None else dict(behind.positions),
            stalled=self.stalled,
            shared=shared_indexes(chunks),
        )
        self.close()
        return waiting

    def restore(self, waiting: Waiting) -> bool:
        """Take what waited for the client in another process; called while new.

        :returns: whether anything waits, so that the outbox is blocked now; topics that the client
            is behind on follow with :meth:`begin_catch_up`.
        """
        if not (waiting.chunks or waiting.behind):
            return False
        self.chunks = list(waiting.chunks)
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
        if self.catch_up is not None:
            self.catch_up.turns.forget(self)
        self._backpressure.on_unblocked(self)
        if self.blocked:
            self._backpressure.on_dequeued(self.queued - self._let_go())
        self.closed = True
        self.blocked = True
        self.chunks = NO_CHUNKS
        self._latest = None
        self.catch_up = None
        # Keeps a closed outbox off the fast path, which tests for an empty queue.
        self.queued = sys.maxsize
