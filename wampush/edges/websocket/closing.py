"""The end of one connection, from the decision to the loss of its socket.

Owns: what is left of the client's queue, the half-close after it, bounded waits for the client.
Must not import: Autobahn, the connection, any conversation.

When a server closes a socket with unread bytes of the client, or the client sends after that, the
kernel resets the connection, and the client loses what it has not read yet: events, and the Close
frame (RFC 6455 section 7.1.1). So the server sends everything, closes its own side only, and
discards what still comes until the client closes its side too. If it has sent a Close frame, it
waits for the client's before it closes its side: the closing handshake comes first, then the server
closes TCP (RFC 6455 section 7.1.1). Each step is bounded: by :data:`SEND_SECONDS`,
:data:`LINGER_SECONDS` and :data:`DISCARD_BYTES`.

What is left of the queue stays in the shared chunks that the outbox had, and stays counted. The
transport gets it in slices.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, unique
from typing import Any, Final

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.chunks import SLICE_BYTES, Chunk, own_bytes, take_front
from wampush.edges.websocket.framing import CloseAnswer
from wampush.edges.websocket.lifecycle import Event
from wampush.edges.websocket.timer_wheel import TimerWheel

#: Bytes handed at a time to a transport that accepts everything it is given: room for the events of
#: two turns, so that a client that keeps up also catches up.
TRANSPORT_SLICE_BYTES: Final = 512 * 1024
#: Seconds that a client gets to read what is left.
SEND_SECONDS: Final = 10.0
#: Seconds that a client gets to answer a Close frame, and to close its side after ours is closed;
#: up to one tick less.
LINGER_SECONDS: Final = 3.0
#: Bytes of the client that are discarded meanwhile; more than socket buffers hold by default.
DISCARD_BYTES: Final = 16 * 1024 * 1024


@unique
class WaitFor(Enum):
    """What a connection waits for once everything is sent, until its socket is closed."""

    NOTHING = "nothing"
    #: The client closes its side, after ours.
    END_OF_STREAM = "end of stream"
    #: The client answers our Close frame; then the end of its stream.
    CLOSE_FRAME = "close frame"


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a closed outbox leaves.

    :param transport: of the connection; it has no producer.
    :param backpressure: counts the bytes that wait, these included.
    :param chunks: what the transport has not got.
    :param in_flight: bytes that the transport has and has not reported as sent.
    :param address_name: the name under which the client's address is counted; None for one without
        limits.
    """

    transport: Any
    backpressure: Backpressure
    chunks: list[Chunk]
    in_flight: int
    address_name: str | None = None


class Closing(ABC):
    """Sends what is left for a client, then waits for the client to close its side.

    For backpressure it takes the place of the closed outbox. It calls ``on_event`` with ``SENT``
    once everything is sent, and with ``DROPPED`` when it aborts the connection because a bound is
    reached.

    :param leftover: of the client's queue.
    :param timer_wheel: ends each step in time.
    :param on_event: moves the connection to its next state.
    :param wait_for: what to wait for once everything is sent.
    """

    __slots__ = (
        "_answer",
        "_backpressure",
        "_discardable",
        "_in_flight",
        "_on_event",
        "_registered",
        "_sent",
        "_timer_wheel",
        "_transport",
        "_wait_for",
        "address_name",
        "chunks",
        "queued",
        "stalled",
        "timer_slot",
    )

    def __init__(
        self,
        leftover: Leftover,
        timer_wheel: TimerWheel,
        on_event: Callable[[Event], None],
        *,
        wait_for: WaitFor,
    ) -> None:
        self.timer_slot = 0
        self.stalled = False
        self._transport = leftover.transport
        self._backpressure = leftover.backpressure
        self._timer_wheel = timer_wheel
        self._on_event = on_event
        self._wait_for = wait_for
        self._answer = CloseAnswer() if wait_for is WaitFor.CLOSE_FRAME else None
        self._discardable = DISCARD_BYTES
        self._registered = False
        self._sent = False
        self.chunks = leftover.chunks
        self._in_flight = leftover.in_flight
        self.address_name = leftover.address_name
        #: Bytes that wait, here and in the transport.
        self.queued = self._in_flight + sum(map(len, self.chunks))

    def start(self) -> None:
        """Begin to send what is left; called once."""
        if not self.queued:
            self._on_sent()
            return
        self._backpressure.on_blocked(self)
        self._timer_wheel.schedule(self, SEND_SECONDS)
        self._register()

    def skip(self, rest: int, *, is_close: bool) -> None:
        """Take the client to be in the middle of a frame.

        :param rest: bytes of its payload that are to come.
        :param is_close: whether it is a Close frame.
        """
        if self._answer is not None:
            self._answer = CloseAnswer(rest, is_close=is_close)

    def receive(self, data: bytes) -> None:
        """Discard bytes of the client but its Close frame; abort when there are too many."""
        self._discardable -= len(data)
        if self._discardable < 0:
            self._drop()
        elif self._answer is not None and self._answer.feed(data):
            self._answer = None
            if self._sent:
                self._close_our_side()

    def cancel(self) -> None:
        """Free everything: the connection is lost or aborted."""
        self._timer_wheel.cancel(self)
        self._backpressure.on_unblocked(self)
        self._backpressure.on_dequeued(self.queued)
        self.queued = self._in_flight = 0
        self.chunks = []
        self._registered = False
        self._answer = None
        self._sent = True

    def own_bytes(self, samples: int) -> int:
        """Return an estimate of what only this client's queue keeps in memory, in bytes.

        :param samples: chunks to look at.
        """
        return self._in_flight + own_bytes(self.chunks, samples)

    def overflow(self) -> None:
        """Abort the connection: the client reads nothing and others wait for the memory."""
        self._drop()

    def stopProducing(self) -> None:
        """The transport is gone."""
        self.cancel()

    def on_timer(self) -> None:
        """The client took too long to read what is left, to answer, or to close its side."""
        if not self._sent:
            self._drop()
        elif self._answer is not None:
            self._answer = None
            self._end_without_answer()
        else:
            self._end_linger()

    @abstractmethod
    def _register(self) -> None:
        """Become the transport's producer."""

    @abstractmethod
    def _half_close(self) -> float:
        """Signal the client that nothing more comes; return the seconds to wait for it."""

    @abstractmethod
    def _end_without_answer(self) -> None:
        """End the connection: the client has not answered our Close frame in time."""

    @abstractmethod
    def _end_linger(self) -> None:
        """Close the socket: the client has not closed its side in time."""

    def _drop(self) -> None:
        self.cancel()
        self._on_event(Event.DROPPED)
        self._transport.abortConnection()

    def _hand_over(self, size: int) -> int:
        """Write the next slice; returns its size in bytes, 0 when nothing is left."""
        if not self.chunks:
            return 0
        data, _ = take_front(self.chunks, size)
        self._in_flight += len(data)
        self._transport.write(data)
        return len(data)

    def _on_progress(self) -> None:
        """Note that the transport has sent all that it had."""
        sent, self._in_flight = self._in_flight, 0
        self.queued -= sent
        self._backpressure.on_dequeued(sent)

    def _on_sent(self) -> None:
        self._sent = True
        if not self.queued:
            self._backpressure.on_unblocked(self)
        self._on_event(Event.SENT)
        if self._registered:
            self._registered = False
            self._transport.unregisterProducer()
        if self._answer is not None:
            self._timer_wheel.schedule(self, LINGER_SECONDS)
        elif self._wait_for is WaitFor.NOTHING:
            self._timer_wheel.schedule(self, SEND_SECONDS)
            self._transport.loseConnection()
        else:
            self._close_our_side()

    def _close_our_side(self) -> None:
        self._timer_wheel.schedule(self, self._half_close())


@implementer(IPullProducer)
class SocketClosing(Closing):
    """The end of a connection over a plain socket."""

    __slots__ = ()

    def _register(self) -> None:
        # Twisted asks for data at once, although the transport still has what the outbox gave it.
        self._transport.registerProducer(self, False)
        self._registered = True

    def resumeProducing(self) -> None:
        """The transport's buffer is empty: write the next slice, or close our side."""
        if self._registered:
            self._on_progress()
            if not self._hand_over(SLICE_BYTES):
                self._on_sent()

    def _half_close(self) -> float:
        self._transport.loseWriteConnection()
        return LINGER_SECONDS

    def _end_without_answer(self) -> None:
        self._end_linger()

    def _end_linger(self) -> None:
        # Not an abort: the kernel may still be sending to a slow client.
        self._transport.loseConnection()


class TlsClosing(SocketClosing):
    """The end of a connection over TLS.

    The parameters are those of :class:`Closing`. What the transport has sent includes a record that
    the socket has not taken. So the socket is not closed at once, and that is bounded, too.
    """

    __slots__ = ("_closes",)

    def start(self) -> None:
        """Begin to send what is left; called once."""
        #: Whether the socket is closed as soon as it has taken that record.
        self._closes = self._wait_for is WaitFor.NOTHING
        super().start()

    def _end_linger(self) -> None:
        if self._closes:
            self._drop()
            return
        self._closes = True
        self._timer_wheel.schedule(self, SEND_SECONDS)
        super()._end_linger()


@implementer(IPushProducer)
class TransportClosing(Closing):
    """The end of a connection over any other transport, such as one that a plugin of Twisted adds.

    ``loseConnection`` is taken to close our side, and to wait for the client's side then.
    """

    __slots__ = ("_full",)

    def _register(self) -> None:
        self._full = False
        self._transport.registerProducer(self, True)
        self._registered = True
        # A transport that was full already does not report that it has emptied to a producer that
        # it has not paused; the first slice makes it do so.
        self._advance()

    def pauseProducing(self) -> None:
        """The transport is full."""
        self._full = True

    def resumeProducing(self) -> None:
        """The transport is empty: write slices until it is full, or close our side."""
        self._full = False
        if self._registered:
            self._on_progress()
            self._advance()

    def _advance(self) -> None:
        while not self._full and not self._sent:
            if not self._hand_over(TRANSPORT_SLICE_BYTES):
                self._on_sent()

    def _half_close(self) -> float:
        self._transport.loseConnection()
        # What the transport still has is sent meanwhile, and it does not report when it is.
        return SEND_SECONDS

    def _end_without_answer(self) -> None:
        # The client may not have received our Close frame yet.
        self._close_our_side()

    def _end_linger(self) -> None:
        self._drop()
