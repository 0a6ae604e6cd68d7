"""The path from a publication to the outboxes of its receivers.

Owns: batches of publications, the flush at the end of the reactor turn. Must not import: Twisted,
the edges. Scheduling is handed in; frames are made by the formats of the outboxes.

A *batch* is a row of publications with the same topic and the same set of receivers, with nothing
in between: no other publication, no reply, no change of that set. Its frames are made and joined
once per format, and each outbox takes one reference to the joined bytes. A burst on one topic thus
costs one list entry per publication and one send per receiver. Order is kept because anything else
ends the batch first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from time import monotonic
from typing import Any, Final

from wampush.broker.delivery.backpressure import Backpressure, Hold
from wampush.broker.delivery.batch import Batch, Receiver
from wampush.broker.delivery.catch_up import Refill
from wampush.broker.delivery.format import Format
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.ledger import Ledger
from wampush.broker.publication import Position, Publication
from wampush.choices import SlowClient

#: Seconds of sends before the reactor may look at its other descriptors.
FLUSH_SECONDS: Final = 0.002
#: Of these, what outboxes get at least that an earlier flush has not reached.
_LATE_SECONDS: Final = 0.001
#: Outboxes flushed between two looks at the clock, and about how many bytes at most: the kernel
#: takes up to 1 ms for 100 KB on a busy machine.
FLUSH_STEP: Final = 32
FLUSH_STEP_BYTES: Final = 64 * 1024
#: Receivers, and bytes for all of them, up to which a batch is sent without queueing it; 7 ms.
DIRECT_RECEIVERS: Final = 1024
DIRECT_BYTES: Final = 4 * 1024 * 1024
#: A batch ends at this size in bytes, so that one chunk stays well below a client's limit.
BATCH_BYTES: Final = 128 * 1024
#: Bytes of frames for one client that are queued until the end of the turn.
OWN_BYTES: Final = 128 * 1024
# Read once per flush; reading a member from its enumeration takes as long as a call.
_DISCONNECT: Final = SlowClient.DISCONNECT
_CATCH_UP: Final = SlowClient.CATCH_UP
#: Reads events of a topic after a position for a receiver; see :data:`.catch_up.ReadOn`.
ReadOnFor = Callable[[Any, str, Position, int], Refill | None]


class Fanout:
    """Puts frames into outboxes and flushes them once per turn.

    :param schedule: calls a function at the end of this reactor turn.
    :param backpressure: pauses the sources while a flush takes more than one turn, and while most
        receivers of a publication are slow.
    :param ledger: counts deliveries, and the events that slow clients miss.
    :param seconds: returns the time in seconds; a clock that never goes back.
    """

    def __init__(
        self,
        schedule: Callable[[Callable[[], None]], object],
        backpressure: Backpressure,
        ledger: Ledger,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._schedule = schedule
        self._backpressure = backpressure
        self._ledger = ledger
        self._scheduled = False
        #: How many publications there have been, those included that the application decides about.
        self.published = 0
        self._seconds = seconds
        #: Outboxes with something queued since the last flush.
        self._touched: list[Outbox] = []
        #: Those of them that have a publication to few clients. They are flushed before the others:
        #: this delays the others by little, while waiting for them would take a turn or more.
        self._touched_by_few: list[Outbox] = []
        #: Those that a flush has not reached in its time.
        self._late: list[Outbox] = []
        # Stands for no batch: no caller has this list, so nothing is ever added to it.
        self._nothing: Final = Batch("", [], SlowClient.DISCONNECT)
        self._batch = self._nothing
        self._read_history: ReadOnFor | None = None
        self._on_drop: Callable[[Any, str], None] | None = None

    def read_on_by(self, read_on: ReadOnFor) -> None:
        """Let slow clients read topics with the policy ``catch-up`` on from their history.

        :param read_on: gets a receiver as it was passed to :meth:`deliver`.
        """
        self._read_history = read_on

    def call_on_drop(self, on_drop: Callable[[Any, str], None]) -> None:
        """Call a function with a receiver and a topic when the receiver misses an event of it."""
        self._on_drop = on_drop

    def send(self, outbox: Outbox, frame: bytes) -> None:
        """Queue a frame for one client, after everything delivered before.

        Much is flushed at once: what is queued until the end of the turn counts nowhere, and many
        clients may ask for much in one turn.
        """
        self.end_batch()
        self._put(outbox, frame)
        if outbox.queued > OWN_BYTES and not outbox.blocked:
            outbox.flush()
        self._wake()

    def reply(self, outbox: Outbox, text: bytes) -> None:
        """Queue a message for one client, after everything delivered before.

        :param text: the message as the client's session has written it.
        """
        self.send(outbox, outbox.format.reply(text))

    def send_event(
        self, outbox: Outbox, topic: str, payload: bytes, position: Position | None = None
    ) -> None:
        """Queue an event for one client, after everything delivered before.

        :param payload: JSON text.
        """
        self.send(outbox, outbox.format.event(topic, payload, position))

    def deliver(
        self,
        publication: Publication,
        receivers: Collection[Receiver],
        slow_client: SlowClient,
    ) -> None:
        """Queue a publication for many clients.

        :param publication: to its one topic; its audience is decided already.
        :param receivers: who gets it; a live set may be passed if :meth:`end_batch` is called
            before it changes.
        :param slow_client: what happens to a receiver that has no room.
        """
        self.published += 1
        topic = publication.topic
        batch = self._batch
        if receivers is not batch.receivers or topic != batch.topic:
            self.end_batch()
            batch = self._batch = Batch(topic, receivers, slow_client)
            self._wake()
        batch.publications.append(publication)
        batch.size += len(publication.payload) + len(topic)
        if batch.size > BATCH_BYTES:
            self.end_batch()

    def expect(self) -> None:
        """Note that a publication may follow, once the application has decided about it."""
        self.published += 1

    def end_batch(self) -> None:
        """Put the joined frames of the batch into the outboxes of its receivers."""
        batch = self._batch
        if batch is self._nothing:
            return
        self._batch = self._nothing
        self._count(batch)
        policy = batch.slow_client
        if policy is _DISCONNECT or policy is _CATCH_UP:
            self._queue_batch(batch)
        else:
            self._put_by_policy(batch)

    def defer_flush(self) -> None:
        """Schedule no flush: the caller publishes now and calls :meth:`flush` itself."""
        self._scheduled = True

    def flush(self) -> None:
        """Send what is queued, with one send per outbox; stop when the time is up.

        The outboxes of this turn come first: a large publication delays those of others hardly.
        """
        self._scheduled = False
        batch = self._batch
        receivers = len(batch.receivers)
        policy = batch.slow_client
        if (
            receivers > DIRECT_RECEIVERS
            or receivers * batch.size > DIRECT_BYTES
            or (policy is not _DISCONNECT and policy is not _CATCH_UP)
        ):
            self.end_batch()
        elif batch is not self._nothing:
            self._batch = self._nothing
            self._count(batch)
            self._send_batch(batch)
        if self._touched_by_few:
            self._touched, self._touched_by_few = self._touched_by_few + self._touched, []
        if self._touched or self._late:
            self._flush_touched()

    def _flush_touched(self) -> None:
        touched, self._touched = self._touched, []
        if len(touched) == 1 and not self._late:
            self.flush_one(touched[0])
            return
        deadline = self._seconds() + FLUSH_SECONDS
        rest = self._flush_until(touched, deadline)
        if self._late:
            deadline = max(deadline, self._seconds() + _LATE_SECONDS)
            self._late = self._flush_until(self._late, deadline)
        self._late += rest
        if self._late:
            self._wake()
        else:
            self._backpressure.release(Hold.FLUSHING)

    def flush_one(self, outbox: Outbox) -> None:
        """Send what is queued for one client now, apart from what follows."""
        if outbox.queued and not outbox.blocked:
            outbox.flush()

    def _flush_until(self, outboxes: list[Outbox], deadline: float) -> list[Outbox]:
        """Flush outboxes until the time is up; returns those that are left."""
        end = 0
        while end < len(outboxes):
            start = end
            # Most have as much queued as the first one.
            end += min(FLUSH_STEP, FLUSH_STEP_BYTES // (outboxes[start].queued or 1)) or 1
            for outbox in outboxes[start:end]:
                if outbox.queued and not outbox.blocked:
                    outbox.flush()
            if self._seconds() > deadline:
                return outboxes[end:]
        return []

    def flush_all(self) -> None:
        """Flush everything now; for the end of the process."""
        self.flush()
        while self._touched or self._touched_by_few or self._late:
            self.flush()

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._schedule(self.flush)

    def _queue_batch(self, batch: Batch) -> None:
        wire_format: Format | None = None
        chunk = b""
        size = 0
        backlogged: list[Receiver] = []
        is_for_few = len(batch.receivers) <= FLUSH_STEP
        touch = (self._touched_by_few if is_for_few else self._touched).append
        for receiver in batch.receivers:
            outbox = receiver.outbox
            if outbox.queued:
                backlogged.append(receiver)
                continue
            # Most receivers have the format of the one before, so this is one comparison each.
            if outbox.format is not wire_format:
                wire_format = outbox.format
                chunk = batch.chunk(wire_format)
                size = len(chunk)
            outbox.queued = size
            outbox.chunks.append(chunk)
            touch(outbox)
        self._put_behind(batch, backlogged)

    def _send_batch(self, batch: Batch) -> None:
        """Send the last batch of the turn at once where nothing is queued.

        Queueing it for all and then flushing all goes through the memory of every receiver twice,
        which costs more than anything else here but the sends themselves.
        """
        wire_format: Format | None = None
        chunk = b""
        backlogged: list[Receiver] = []
        for receiver in batch.receivers:
            outbox = receiver.outbox
            if outbox.queued:
                backlogged.append(receiver)
            else:
                if outbox.format is not wire_format:
                    wire_format = outbox.format
                    chunk = batch.chunk(wire_format)
                outbox.send(chunk)
        self._put_behind(batch, backlogged)

    def _count(self, batch: Batch) -> None:
        receivers = len(batch.receivers)
        self._ledger.deliveries += receivers * len(batch.publications)
        self._ledger.delivered_bytes += receivers * batch.size

    def _put_behind(self, batch: Batch, receivers: list[Receiver]) -> None:
        """Put a batch into outboxes that have something queued."""
        if not receivers:
            return
        crowd: list[Outbox] = []
        reads_later = batch.slow_client is _CATCH_UP and self._read_history is not None
        for receiver in receivers:
            outbox = receiver.outbox
            if reads_later and outbox.format.any_order:
                self._put_or_read_later(batch, receiver)
                continue
            self._put(outbox, batch.chunk(outbox.format))
            if outbox.blocked and self._is_crowded(outbox):
                crowd.append(outbox)
        if self._late and not all(each.outbox.blocked for each in receivers):
            # These clients are published to faster than flushes reach them.
            self._backpressure.hold(Hold.FLUSHING)
        if len(crowd) * 2 > len(batch.receivers):
            self._backpressure.hold_for(crowd)

    def _put_or_read_later(self, batch: Batch, receiver: Receiver) -> None:
        """Put a batch into an outbox, or only note from where its client has to read on."""
        outbox = receiver.outbox
        if outbox.catch_up is not None and batch.topic in outbox.catch_up:
            return
        chunk = batch.chunk(outbox.format)
        # Asking may send what is queued, so it can block or close the outbox.
        has_room = outbox.room_for(len(chunk))
        if outbox.closed:
            return
        first = batch.publications[0].position
        if outbox.blocked and first is not None:
            waiting = outbox.queued - outbox.in_flight + len(chunk)
            if not has_room or waiting > outbox.catch_up_bytes:
                before = Position(first.epoch, first.offset - 1)
                outbox.begin_catch_up(batch.topic, before, partial(self._read_on, receiver))
                return
        self._put(outbox, chunk)

    def _read_on(
        self, receiver: Receiver, topic: str, position: Position, size: int
    ) -> Refill | None:
        # What the batch holds is in the history already; it must not be queued after that again.
        self.end_batch()
        if self._read_history is None or receiver.outbox.closed:
            return Refill(b"", None)
        return self._read_history(receiver, topic, position, size)

    def _put_by_policy(self, batch: Batch) -> None:
        frames: dict[Format, list[bytes]] = {}
        for receiver in batch.receivers:
            outbox = receiver.outbox
            if outbox.closed:
                continue
            wire_format = outbox.format
            if wire_format not in frames:
                frames[wire_format] = batch.frames(wire_format)
            for frame in frames[wire_format]:
                self._put_or_drop(batch, receiver, frame)
        if self._late:
            self._backpressure.hold(Hold.FLUSHING)

    def _put_or_drop(self, batch: Batch, receiver: Receiver, frame: bytes) -> None:
        outbox = receiver.outbox
        # Asking may send what is queued, so it can block or close the outbox.
        has_room = outbox.room_for(len(frame))
        if outbox.closed:
            return
        if batch.slow_client is SlowClient.LATEST and outbox.blocked:
            if outbox.replace_latest(batch.topic, frame):
                self._drop(batch, receiver)
            if outbox.queued > outbox.limit and outbox.queued - outbox.in_flight > len(frame):
                # The newest events of its topics alone are too much for this client.
                outbox.overflow()
        elif has_room:
            self._put(outbox, frame)
        else:
            self._drop(batch, receiver)

    def _drop(self, batch: Batch, receiver: Receiver) -> None:
        """Count an event of the batch's topic that a receiver misses."""
        self._ledger.drop_event(batch.slow_client.value)
        if self._on_drop is not None:
            self._on_drop(receiver, batch.topic)

    def _put(self, outbox: Outbox, chunk: bytes) -> None:
        if outbox.closed:
            return
        if not outbox.room_for(len(chunk)):
            if not outbox.closed:
                outbox.overflow()
            return
        if not outbox.queued:
            self._touched.append(outbox)
        outbox.append(chunk)

    @staticmethod
    def _is_crowded(outbox: Outbox) -> bool:
        return not outbox.closed and not outbox.stalled and outbox.queued * 2 > outbox.limit
