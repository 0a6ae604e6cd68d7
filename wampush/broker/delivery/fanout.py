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
from time import monotonic
from typing import Final

from wampush.broker.delivery.backpressure import Backpressure, Hold
from wampush.broker.delivery.batch import Batch, Receiver
from wampush.broker.delivery.catch_up_turns import CatchUpTurns
from wampush.broker.delivery.direct_sends import DirectSends, SendEach
from wampush.broker.delivery.flush_steps import FLUSH_STEP, FlushSteps
from wampush.broker.delivery.format import Format
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.delivery.push_timer import PushTimer
from wampush.broker.delivery.send_threads import SendThreads
from wampush.broker.delivery.slow_clients import SlowClients
from wampush.broker.ledger import Ledger
from wampush.broker.publication import Position, Publication
from wampush.choices import SlowClient

#: Seconds of sends before the reactor may look at its other descriptors.
FLUSH_SECONDS: Final = 0.002
#: Of these, what outboxes get at least that an earlier flush has not reached.
_LATE_SECONDS: Final = 0.001
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


class Fanout:
    """Puts frames into outboxes and flushes them once per turn.

    :param schedule: calls a function at the end of this reactor turn.
    :param backpressure: pauses the sources while a flush takes more than one turn, and while most
        receivers of a publication are slow.
    :param ledger: counts deliveries, and the events that slow clients miss.
    :param seconds: returns the time in seconds; a clock that never goes back.
    :param send_each: sends to many outboxes at once; None to have each send for itself.
    :param send_threads: those of ``send_each``; None if it has one.
    """

    def __init__(
        self,
        schedule: Callable[[Callable[[], None]], object],
        backpressure: Backpressure,
        ledger: Ledger,
        seconds: Callable[[], float] = monotonic,
        send_each: SendEach | None = None,
        send_threads: SendThreads | None = None,
    ) -> None:
        self._schedule = schedule
        self._direct = None if send_each is None else DirectSends(send_each)
        self._backpressure = backpressure
        self._ledger = ledger
        self._scheduled = False
        self._at_flush: list[Callable[[], None]] = []
        #: How many publications there have been, those included that the application decides about.
        self.published = 0
        self._seconds = seconds
        #: Shares sends with other threads; None where one thread does them.
        self.send_threads: Final = send_threads
        threads = 1 if send_threads is None else send_threads.count
        self._steps = FlushSteps(self._direct, threads)
        #: How long pushes take from their arrival to the flush that follows.
        self.push_timer: Final = PushTimer()
        #: Outboxes with something queued since the last flush.
        self._touched: list[Outbox] = []
        #: Those of them that have a publication to few clients. They are flushed before the others:
        #: this delays the others by little, while waiting for them would take a turn or more.
        self._touched_by_few: list[Outbox] = []
        #: Those that a flush has not reached in its time, in reverse order.
        self._late: list[Outbox] = []
        # Stands for no batch: no caller has this list, so nothing is ever added to it.
        self._nothing: Final = Batch("", [], SlowClient.DISCONNECT)
        self._batch = self._nothing
        #: Decides about clients for which something waits already.
        self.slow_clients: Final = SlowClients(
            backpressure,
            ledger,
            turns=CatchUpTurns(schedule, seconds),
            touch=self._touch,
            end_batch=self.end_batch,
        )
        # Outboxes whose clients another process has now, with what takes frames for them there.
        self._moved: dict[Outbox, Callable[[bytes], None]] = {}

    def send(self, outbox: Outbox, frame: bytes) -> None:
        """Queue a frame for one client, after everything delivered before.

        Much is flushed at once: what is queued until the end of the turn counts nowhere, and many
        clients may ask for much in one turn.
        """
        if self._batch is not self._nothing:
            self.end_batch()
        if outbox.closed and (forward := self._moved.get(outbox)) is not None:
            forward(frame)
            return
        self.slow_clients.put(outbox, frame)
        if not self._scheduled or outbox.queued > OWN_BYTES:
            self._wake_for(outbox)

    def forward(self, outbox: Outbox, forward: Callable[[bytes], None]) -> None:
        """Have the frames for one client sent by another process, which has its connection now.

        :param outbox: closed; batches are not forwarded.
        :param forward: takes a frame.
        """
        self._moved[outbox] = forward

    def forget_moved(self) -> None:
        """Forward nothing any more: the other process is gone."""
        self._moved.clear()

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

    def replay(self, receiver: Receiver, topic: str, since: Position, chunk: bytes) -> bool:
        """Queue stored events for one client, after everything delivered before.

        If much waits for the client already, they are read from the history later.

        :param since: after which they are read then; see :meth:`SlowClients.read_later`.
        :param chunk: their frames.
        :returns: whether they are queued.
        """
        self.end_batch()
        is_queued = self.slow_clients.put_replay(receiver, topic, since, chunk)
        self._wake_for(receiver.outbox)
        return is_queued

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
            # Looked at here, too: most pushes come alone, and each call takes a part of theirs.
            if batch is not self._nothing:
                self.end_batch()
            batch = self._batch = Batch(topic, receivers, slow_client)
            if not self._scheduled:
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
            self.slow_clients.put_by_policy(batch)
            if self._late:
                self._backpressure.hold(Hold.FLUSHING)

    def defer_flush(self, arrived: float = 0.0) -> None:
        """Schedule no flush: the caller publishes now and calls :meth:`flush` itself.

        :param arrived: when the pushes have arrived, by the clock of the fan-out; 0 for no pushes.
        """
        self._scheduled = True
        timer = self.push_timer
        if arrived > timer.next_at:
            timer.begin(arrived, self.published)

    def note_pushes(self, arrived: float | None = None) -> None:
        """Note that pushes are published now, whose flush is not deferred.

        :param arrived: when the oldest has arrived, by the clock of the fan-out; now if omitted.
        """
        self.push_timer.begin(self._seconds() if arrived is None else arrived, self.published)
        # A push without receivers queues nothing, and must not count in a later turn.
        self._wake()

    def call_at_flush(self, callback: Callable[[], None]) -> None:
        """Call a function once, at the next flush, which is in this turn.

        A source that flushes after its share needs no other call at the end of the turn.

        :param callback: sends what others wait for; called before anything is flushed.
        """
        self._at_flush.append(callback)
        self._wake()

    def flush(self) -> None:
        """Send what is queued, with one send per outbox; stop when the time is up.

        The outboxes of this turn come first: a large publication delays those of others hardly.
        """
        self._scheduled = False
        if self._at_flush:
            callbacks, self._at_flush = self._at_flush, []
            for callback in callbacks:
                callback()
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
            # As _count, without its call.
            ledger = self._ledger
            ledger.deliveries += receivers * len(batch.publications)
            ledger.delivered_bytes += receivers * batch.size
            if receivers == 1:
                (receiver,) = batch.receivers
                outbox = receiver.outbox
                if outbox.queued:
                    self._put_behind(batch, [receiver])
                else:
                    outbox.send(batch.chunk(outbox.format))
            elif self._direct is None:
                self._send_batch(batch)
            elif backlogged := self._direct.send_batch(batch):
                self._put_behind(batch, backlogged)
        if self._touched_by_few:
            self._touched, self._touched_by_few = self._touched_by_few + self._touched, []
        if self._touched or self._late:
            self._flush_touched()
        if self.push_timer.arrived:
            self.push_timer.end(self._seconds(), self.published)

    def _flush_touched(self) -> None:
        touched, self._touched = self._touched, []
        if len(touched) == 1 and not self._late:
            self.flush_one(touched[0])
            return
        deadline = self._seconds() + FLUSH_SECONDS
        touched.reverse()
        self._steps.flush_until(touched, deadline, self._seconds)
        if self._late:
            deadline = max(deadline, self._seconds() + _LATE_SECONDS)
            self._steps.flush_until(self._late, deadline, self._seconds)
        self._late[:0] = touched
        if self._late:
            self._wake()
        else:
            self._backpressure.release(Hold.FLUSHING)

    def flush_one(self, outbox: Outbox) -> None:
        """Send what is queued for one client now, apart from what follows."""
        if outbox.queued and not outbox.blocked:
            outbox.flush()

    def flush_all(self) -> None:
        """Flush everything now; for the end of the process."""
        self.flush()
        while self._touched or self._touched_by_few or self._late:
            self.flush()

    def _touch(self, outbox: Outbox) -> None:
        self._touched.append(outbox)

    def _wake_for(self, outbox: Outbox) -> None:
        """Have what is queued for one client sent, at once if it is much."""
        if outbox.queued > OWN_BYTES and not outbox.blocked:
            outbox.flush()
        self._wake()

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
            if outbox.chunks:
                outbox.chunks.append(chunk)
            else:
                outbox.chunks = [chunk]
            touch(outbox)
        if backlogged:
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
        if backlogged:
            self._put_behind(batch, backlogged)

    def _count(self, batch: Batch) -> None:
        receivers = len(batch.receivers)
        self._ledger.deliveries += receivers * len(batch.publications)
        self._ledger.delivered_bytes += receivers * batch.size

    def _put_behind(self, batch: Batch, receivers: list[Receiver]) -> None:
        """Put a batch into outboxes that have something queued."""
        self.slow_clients.put_behind(batch, receivers)
        if self._late and not all(each.outbox.blocked for each in receivers):
            # These clients are published to faster than flushes reach them.
            self._backpressure.hold(Hold.FLUSHING)
