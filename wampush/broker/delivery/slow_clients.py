"""What happens to frames for clients that have not taken what was sent to them before.

Owns: the policies for slow clients: who is disconnected, misses events, or reads them later.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.batch import Batch, Receiver
from wampush.broker.delivery.catch_up import Refill
from wampush.broker.delivery.catch_up_turns import CatchUpTurns
from wampush.broker.delivery.format import Format
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.ledger import Ledger
from wampush.broker.publication import Position
from wampush.choices import SlowClient

ReadOnFor = Callable[[Any, str, Position, int], Refill | None]
"""Reads events of a topic after a position for a receiver; see :data:`.catch_up.ReadOn`."""


class SlowClients:
    """Puts frames behind what is queued, as far as there is room, and decides about the others.

    :param backpressure: pauses the sources while most receivers of a publication are slow.
    :param ledger: counts the events that slow clients miss.
    :param turns: say when clients that are behind read on.
    :param touch: notes an outbox that has to be flushed at the end of the turn.
    :param end_batch: puts what was published so far into the outboxes.
    """

    def __init__(
        self,
        backpressure: Backpressure,
        ledger: Ledger,
        *,
        turns: CatchUpTurns,
        touch: Callable[[Outbox], None],
        end_batch: Callable[[], None],
    ) -> None:
        self._backpressure = backpressure
        self._ledger = ledger
        self._turns = turns
        self._touch = touch
        self._end_batch = end_batch
        self._read_history: ReadOnFor | None = None
        self._on_drop: Callable[[Any, str], None] | None = None

    def read_on_by(self, read_on: ReadOnFor) -> None:
        """Let clients read topics on from their history.

        :param read_on: gets a receiver as it is in batches.
        """
        self._read_history = read_on

    def call_on_drop(self, on_drop: Callable[[Any, str], None]) -> None:
        """Call a function with a receiver and a topic when the receiver misses an event of it."""
        self._on_drop = on_drop

    def put(self, outbox: Outbox, chunk: bytes) -> None:
        """Put a chunk into an outbox; disconnect its client if there is no room."""
        if not (outbox.queued or outbox.blocked):
            # Nothing waits, so there is room; a closed one is blocked.
            self._touch(outbox)
            outbox.chunks = [chunk]
            outbox.queued = len(chunk)
            return
        if outbox.closed:
            return
        if not outbox.room_for(len(chunk)):
            if not outbox.closed:
                outbox.overflow()
            return
        if not outbox.queued:
            self._touch(outbox)
        outbox.append(chunk)

    def put_replay(self, receiver: Receiver, topic: str, since: Position, chunk: bytes) -> bool:
        """Put stored events into an outbox, or have them read later.

        The server chose to send them, so no client is disconnected because there are too many.

        :param since: as for :meth:`read_later`.
        :param chunk: their frames.
        :returns: whether they are queued.
        """
        outbox = receiver.outbox
        if outbox.queued and not outbox.closed and not outbox.blocked:
            # Within one turn, the length of a queue says nothing about the client.
            outbox.room_for(len(chunk))
        if outbox.closed:
            return True
        if _is_behind(outbox, topic) or (
            outbox.blocked and (outbox.queued + len(chunk)) * 2 > outbox.limit
        ):
            self.read_later(receiver, topic, since)
            return False
        if not outbox.queued:
            self._touch(outbox)
        outbox.append(chunk)
        return True

    def read_later(self, receiver: Receiver, topic: str, since: Position) -> None:
        """Queue no more events of a topic for a blocked client until it has read what it missed.

        :param since: of the event before the first that is not queued, or
            :data:`.catch_up.FOR_NEWCOMERS`.
        """
        outbox = receiver.outbox
        outbox.format = outbox.format.for_catching_up(topic, since)
        outbox.begin_catch_up(topic, since, partial(self._read_on, receiver), self._turns)

    def put_behind(self, batch: Batch, receivers: Sequence[Receiver]) -> None:
        """Put a batch of a topic with ``disconnect`` or ``catch-up`` into outboxes with a queue."""
        crowd: list[Outbox] = []
        reads_later = batch.slow_client is SlowClient.CATCH_UP and self._read_history is not None
        for receiver in receivers:
            outbox = receiver.outbox
            if _is_behind(outbox, batch.topic):
                continue
            if reads_later:
                self._put_or_read_later(batch, receiver)
                continue
            self.put(outbox, batch.chunk(outbox.format))
            if outbox.blocked and _is_crowded(outbox):
                crowd.append(outbox)
        if len(crowd) * 2 > len(batch.receivers):
            self._backpressure.hold_for(crowd)

    def put_by_policy(self, batch: Batch) -> None:
        """Put a batch of a topic with ``latest`` or ``drop-newest`` into the outboxes."""
        frames: dict[Format, list[bytes]] = {}
        for receiver in batch.receivers:
            outbox = receiver.outbox
            if outbox.closed or _is_behind(outbox, batch.topic):
                continue
            wire_format = outbox.format
            if wire_format not in frames:
                frames[wire_format] = batch.frames(wire_format)
            for frame in frames[wire_format]:
                self._put_or_drop(batch, receiver, frame)

    def _put_or_read_later(self, batch: Batch, receiver: Receiver) -> None:
        """Put a batch into an outbox, or only note from where its client has to read on."""
        outbox = receiver.outbox
        chunk = batch.chunk(outbox.format)
        # Asking may send what is queued, so it can block or close the outbox.
        has_room = outbox.room_for(len(chunk))
        if outbox.closed:
            return
        first = batch.publications[0].position
        if outbox.blocked and first is not None:
            waiting = outbox.queued - outbox.in_flight + len(chunk)
            if not has_room or waiting > outbox.catch_up_bytes:
                self.read_later(receiver, batch.topic, Position(first.epoch, first.offset - 1))
                return
        self.put(outbox, chunk)

    def _read_on(
        self, receiver: Receiver, topic: str, position: Position, size: int
    ) -> Refill | None:
        # What the batch holds is in the history already; it must not be queued after that again.
        self._end_batch()
        if self._read_history is None or receiver.outbox.closed:
            return Refill(b"", None)
        return self._read_history(receiver, topic, position, size)

    def _put_or_drop(self, batch: Batch, receiver: Receiver, frame: bytes) -> None:
        outbox = receiver.outbox
        # Asking may send what is queued, so it can block or close the outbox.
        has_room = outbox.room_for(len(frame))
        if outbox.closed:
            return
        if batch.slow_client is SlowClient.LATEST and outbox.blocked:
            if outbox.replace_latest(batch.topic, frame):
                self._drop(batch, receiver)
            waiting = outbox.own_queued
            if waiting > outbox.limit and waiting - outbox.in_flight > len(frame):
                # The newest events of its topics alone are too much for this client.
                outbox.overflow()
        elif has_room:
            self.put(outbox, frame)
        else:
            self._drop(batch, receiver)

    def _drop(self, batch: Batch, receiver: Receiver) -> None:
        """Count an event of the batch's topic that a receiver misses."""
        self._ledger.drop_event(batch.slow_client.value)
        if self._on_drop is not None:
            self._on_drop(receiver, batch.topic)


def _is_behind(outbox: Outbox, topic: str) -> bool:
    """Return whether a client reads the present events of a topic later."""
    return outbox.catch_up is not None and topic in outbox.catch_up


def _is_crowded(outbox: Outbox) -> bool:
    return not outbox.closed and not outbox.stalled and outbox.own_queued * 2 > outbox.limit
