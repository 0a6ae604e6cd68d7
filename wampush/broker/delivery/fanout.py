"""From one text to the outboxes of many receivers.

Owns: encoding once, the run of publications with the same receivers, the flush at the end of the
reactor turn. Must not import: Twisted, the edges. Framing and scheduling are handed in.

A *run* is a row of publications that go to the same set of receivers with nothing in between: no
other publication, no reply, no change of that set. Its frames are joined once, and each receiver's
outbox takes one reference to the joined bytes. So a burst on one topic costs one append a
publication and one send a receiver, and order is kept because anything else ends the run first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from wampush.broker.access.policy import SlowClient
from wampush.broker.delivery.backpressure import Backpressure, Hold
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.ledger import Ledger
from wampush.broker.subscriber import Subscriber

#: Outboxes flushed before the reactor may look at its other descriptors: about 10 ms of sends.
FLUSH_SLICE: Final = 1024
#: A run is closed at this size, so that one chunk stays well below a client's limit.
RUN_BYTES: Final = 128 * 1024

Encode = Callable[[bytes, object | None], bytes]


class Fanout:
    """Puts texts into outboxes and flushes them once a turn.

    :param encode: makes a WebSocket frame of a text for a compression variant.
    :param schedule: calls a function at the end of this reactor turn.
    :param pressure: paused while a flush takes more than one turn, and by crowds of slow receivers.
    :param ledger: counts events that were left out.
    """

    def __init__(
        self,
        encode: Encode,
        schedule: Callable[[Callable[[], None]], object],
        pressure: Backpressure,
        ledger: Ledger,
    ) -> None:
        self._encode = encode
        self._schedule = schedule
        self._pressure = pressure
        self._ledger = ledger
        self._scheduled = False
        self._touched: list[Outbox] = []
        self._run: list[bytes] = []
        self._run_bytes = 0
        self._receivers: Collection[Subscriber] = ()
        self._topic = ""
        self._slow_client = SlowClient.DISCONNECT

    def send(self, outbox: Outbox, frame: bytes) -> None:
        """Queue a frame for one client, after everything delivered before."""
        self.settle()
        self._put(outbox, frame)
        self._wake()

    def reply(self, outbox: Outbox, text: bytes) -> None:
        """Queue a text for one client, after everything delivered before."""
        self.send(outbox, self._encode(text, outbox.variant))

    def deliver(
        self,
        topic: str,
        text: bytes,
        receivers: Collection[Subscriber],
        slow_client: SlowClient,
    ) -> None:
        """Queue a text for many clients.

        :param text: the EVENT.
        :param receivers: who gets it; a live set may be passed as long as :meth:`settle` is called
            before it changes.
        :param slow_client: what happens where there is no room.
        """
        if receivers is not self._receivers or topic != self._topic:
            self.settle()
            self._receivers = receivers
            self._topic = topic
            self._slow_client = slow_client
            self._wake()
        self._run.append(text)
        self._run_bytes += len(text)
        if self._run_bytes > RUN_BYTES:
            self.settle()

    def settle(self) -> None:
        """End the run: put its joined frames into the outboxes of its receivers."""
        run, receivers = self._take_run()
        if not run:
            return
        if self._slow_client is SlowClient.DISCONNECT:
            self._queue_run(run, receivers)
        else:
            self._put_by_policy(run, receivers)

    def begin(self) -> None:
        """The caller publishes now and calls :meth:`flush` itself; nothing need be scheduled."""
        self._scheduled = True

    def flush(self) -> None:
        """Send what is queued, one send an outbox; a slice of them if there are many."""
        self._scheduled = False
        if len(self._receivers) > FLUSH_SLICE or self._slow_client is not SlowClient.DISCONNECT:
            self.settle()
        else:
            self._send_run(*self._take_run())
        touched = self._touched
        if len(touched) > FLUSH_SLICE:
            self._touched = touched[FLUSH_SLICE:]
            del touched[FLUSH_SLICE:]
            self._pressure.hold(Hold.FLUSHING)
            self._wake()
        else:
            self._touched = []
        for outbox in touched:
            if outbox.queued and not outbox.blocked:
                outbox.flush()
        if not self._touched:
            self._pressure.release(Hold.FLUSHING)

    def flush_all(self) -> None:
        """Flush everything now; for the end of the process."""
        self.flush()
        while self._touched:
            self.flush()

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._schedule(self.flush)

    def _join(self, run: list[bytes], variant: object | None) -> bytes:
        encode = self._encode
        if len(run) == 1:
            return encode(run[0], variant)
        return b"".join([encode(text, variant) for text in run])

    def _take_run(self) -> tuple[list[bytes], Collection[Subscriber]]:
        run, receivers = self._run, self._receivers
        if run:
            self._run = []
            self._run_bytes = 0
            self._receivers = ()
        return run, receivers

    def _queue_run(self, run: list[bytes], receivers: Collection[Subscriber]) -> None:
        plain = self._join(run, None)
        size = len(plain)
        others: list[Outbox] = []
        touch = self._touched.append
        for subscriber in receivers:
            outbox = subscriber.outbox
            if outbox.queued or outbox.variant is not None:
                others.append(outbox)
            else:
                outbox.queued = size
                outbox.chunks.append(plain)
                touch(outbox)
        self._put_others(run, others, len(receivers))

    def _send_run(self, run: list[bytes], receivers: Collection[Subscriber]) -> None:
        """The run is the last of the turn, so outboxes in which nothing waits send it at once.

        Queueing it for all and then flushing all goes through the memory of every receiver twice,
        which costs more than anything else here but the sends themselves.
        """
        if not run:
            return
        plain = self._join(run, None)
        others: list[Outbox] = []
        for subscriber in receivers:
            outbox = subscriber.outbox
            if outbox.queued or outbox.variant is not None:
                others.append(outbox)
            else:
                outbox.send(plain)
        self._put_others(run, others, len(receivers))

    def _put_others(self, run: list[bytes], outboxes: list[Outbox], receivers: int) -> None:
        """Put a run into outboxes in which something waits, or that want it compressed."""
        if not outboxes:
            return
        chunks: dict[object | None, bytes] = {}
        crowd: list[Outbox] = []
        for outbox in outboxes:
            variant = outbox.variant
            if variant not in chunks:
                chunks[variant] = self._join(run, variant)
            self._put(outbox, chunks[variant])
            if outbox.blocked and self._is_crowded(outbox):
                crowd.append(outbox)
        if len(crowd) * 2 > receivers:
            self._pressure.hold_for(crowd)

    def _put_by_policy(self, run: list[bytes], receivers: Collection[Subscriber]) -> None:
        frames: dict[object | None, list[bytes]] = {}
        for subscriber in receivers:
            outbox = subscriber.outbox
            if outbox.closed:
                continue
            variant = outbox.variant
            if variant not in frames:
                frames[variant] = [self._encode(text, variant) for text in run]
            for frame in frames[variant]:
                self._put_or_drop(outbox, frame)

    def _put_or_drop(self, outbox: Outbox, frame: bytes) -> None:
        policy = self._slow_client
        # Asking may send what waits, so it can block or close the outbox.
        room = outbox.room_for(len(frame))
        if outbox.closed:
            return
        if policy is SlowClient.LATEST and outbox.blocked:
            if outbox.replace_latest(self._topic, frame):
                self._ledger.drop_event(policy.value)
            if outbox.queued > outbox.limit and outbox.queued - outbox.in_flight > len(frame):
                # The newest events of its topics alone are too much for this client.
                outbox.overflow()
        elif room:
            self._put(outbox, frame)
        else:
            self._ledger.drop_event(policy.value)

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
