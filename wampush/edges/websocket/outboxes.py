"""The outboxes of connections: from the queue of a client to its socket.

Owns: the outbound paths, directly to a non-blocking socket, with or without TLS, or through any
other transport of Twisted.
Must not import: Autobahn. The meaning of the bytes does not matter here.

All bytes of a connection pass through its outbox, including replies of the WebSocket layer. The
transport's own buffer is therefore empty whenever the outbox is free, and a direct send cannot
overtake or split anything.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, ClassVar, Final, Protocol

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.chunks import NO_CHUNKS, SLICE_BYTES, Chunk, take_front
from wampush.broker.delivery.outbox import Outbox
from wampush.edges.websocket.closing import (
    TRANSPORT_SLICE_BYTES,
    Closing,
    Leftover,
    SocketClosing,
    TlsClosing,
    TransportClosing,
    WaitFor,
)
from wampush.edges.websocket.lifecycle import Event
from wampush.edges.websocket.timer_wheel import TimerWheel
from wampush.edges.websocket.wamp_v1_formats import PLAIN, WebSocketFormat
from wampush.net.accepting.tls_sockets import TlsServer

#: The types of sockets that can be sent to without their own method; a subclass may have another.
_PLAIN_SOCKETS: Final = (socket.SocketType, socket.socket)


class OutboxOwner(Protocol):
    """The connection of an outbox."""

    @property
    def address_name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""

    def on_overflow(self) -> None:
        """The client is too slow; the connection ends and closes the outbox."""


class _Sending(Protocol):
    """A socket, as far as an outbox needs it."""

    def send(self, data: Chunk, /) -> int:
        """Send what the system takes now; return how many bytes that is."""


class _CountedSocket:
    """A socket whose sent bytes are counted.

    :param sending: the socket.
    :param count: takes how many were sent.
    """

    __slots__ = ("_count", "_sending")

    def __init__(self, sending: _Sending, count: Callable[[int], object]) -> None:
        self._sending = sending
        self._count = count

    def send(self, data: Chunk, /) -> int:
        """Send and count."""
        sent = self._sending.send(data)
        self._count(sent)
        return sent


class _BaseOutbox(Outbox):
    """What both paths have in common: the transport, and the end of the connection."""

    # The owner instead of its bound method, which would take 64 bytes per connection.
    __slots__ = ("_owner", "_transport")

    format: WebSocketFormat
    _closing: ClassVar[type[Closing]]

    def __init__(
        self, transport: Any, limit: int, backpressure: Backpressure, owner: OutboxOwner
    ) -> None:
        # Until the handshake has agreed on compression.
        super().__init__(limit, backpressure, PLAIN)
        self._transport = transport
        self._owner: OutboxOwner | None = owner

    @property
    def address_name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""
        return None if self._owner is None else self._owner.address_name

    def stopProducing(self) -> None:
        """The transport is gone."""
        self.close()

    def overflow(self) -> None:
        """End the connection: the client is too slow."""
        if self._owner is not None:
            self._owner.on_overflow()

    def count_sent(self, count: Callable[[int], object]) -> None:
        """Have the bytes counted that are handed to the system from now on.

        Also those that are sent after the outbox is closed. Where nobody counts, nothing is slower.

        :param count: takes how many there are.
        """
        write = self._transport.write

        def write_counted(data: bytes) -> None:
            count(len(data))
            write(data)

        self._transport.write = write_counted

    def finish(
        self, timer_wheel: TimerWheel, on_event: Callable[[Event], None], *, wait_for: WaitFor
    ) -> Closing:
        """Send what the wire takes now, and close; the socket stays open.

        :param timer_wheel: ends each further step in time.
        :param on_event: see :class:`Closing`.
        :param wait_for: what to wait for once everything is sent.
        :returns: sends the rest and closes the socket, once it is started.
        """
        if self.queued and not self.blocked:
            self.flush()
        if not self.closed:
            self._transport.unregisterProducer()
        name = self.address_name
        chunks, in_flight = self.hand_over()
        leftover = Leftover(self._transport, self._backpressure, chunks, in_flight, name)
        return self._closing(leftover, timer_wheel, on_event, wait_for=wait_for)

    def close(self) -> None:
        """Free the queue at once and accept nothing more."""
        super().close()
        self._owner = None


@implementer(IPullProducer)
class SocketOutbox(_BaseOutbox):
    """Sends directly to the socket; bytes that the socket does not accept go to the transport.

    While blocked it is the transport's pull producer: the transport asks for more each time its
    buffer is empty (``IPullProducer``) and gets one slice. The rest stays here, where it is counted
    and can still be replaced or freed.

    :param transport: a Twisted TCP or UNIX server transport.
    :param limit: bytes that may wait.
    :param backpressure: notified of bytes that wait.
    :param owner: the connection.
    """

    __slots__ = ("_socket",)

    _closing: ClassVar[type[Closing]] = SocketClosing

    def __init__(
        self, transport: Any, limit: int, backpressure: Backpressure, owner: OutboxOwner
    ) -> None:
        super().__init__(transport, limit, backpressure, owner)
        self._socket: _Sending = transport.getHandle()
        if type(self._socket) in _PLAIN_SOCKETS:
            self.handle = self._socket

    def count_sent(self, count: Callable[[int], object]) -> None:
        """Have the bytes counted that are handed to the system from now on."""
        super().count_sent(count)
        self._socket = _CountedSocket(self._socket, count)
        self.handle = None

    def flush(self) -> None:
        """Send what is queued with one send; block when the socket does not accept all of it."""
        data = self.take_whole()
        if data is None:
            self._send_each()
        else:
            self.send(data)

    def _send_each(self) -> None:
        """Send chunk by chunk: joining large ones would take a copy for each client."""
        chunks, self.chunks = self.chunks, NO_CHUNKS
        self.queued = 0
        for chunk in chunks:
            if self.blocked and not self.closed:
                self.append(chunk)
            elif not self.closed:
                self.send(chunk)

    def send(self, chunk: Chunk) -> None:
        """Send a chunk; block when the socket does not accept all of it."""
        try:
            sent = self._socket.send(chunk)
        except BlockingIOError:
            sent = 0
        except OSError:
            # The reactor reports the reset or broken pipe as well, with its reason.
            self.close()
            return
        if sent != len(chunk):
            self.keep_rest(chunk, sent)
            self.wait_for_wire()

    def wait_for_wire(self) -> None:
        """Block, and have the transport ask for what is queued."""
        super().wait_for_wire()
        self._transport.registerProducer(self, False)

    def resume(self) -> None:
        """Send what waited in another process; call it after :meth:`restore`, if anything does."""
        self._transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """The transport's buffer is empty: write the next slice, or be free again."""
        data = self.take_next(SLICE_BYTES)
        if data is None:
            return
        self.on_progress(len(data))
        if data:
            self._transport.write(data)
        else:
            self._transport.unregisterProducer()
            self.unblock()


class TlsOutbox(SocketOutbox):
    """Sends directly to the socket, through OpenSSL.

    :param transport: a :class:`TlsServer`, perhaps wrapped.
    :param limit: bytes that may wait.
    :param backpressure: notified of bytes that wait.
    :param owner: the connection.
    """

    __slots__ = ()

    _closing = TlsClosing

    def _send_each(self) -> None:
        """Send slices: each chunk would be a record of its own, and OpenSSL copies anyway."""
        chunks, self.chunks = self.chunks, NO_CHUNKS
        self.queued = 0
        while chunks and not self.blocked and not self.closed:
            data, _ = take_front(chunks, SLICE_BYTES)
            self.send(data)
        if not self.closed:
            for chunk in chunks:
                self.append(chunk)


@implementer(IPushProducer)
class TransportOutbox(_BaseOutbox):
    """Writes joined data to any transport, such as one that a plugin of Twisted adds.

    It is the transport's push producer: the transport reports when it is full and when it is empty
    again (``IPushProducer``). While blocked it hands over slices, so that the rest can still be
    replaced or freed.

    :param transport: any Twisted transport that accepts a producer.
    :param limit: bytes that may wait.
    :param backpressure: notified of bytes that wait.
    :param owner: the connection.
    """

    __slots__ = ("_full",)

    _closing = TransportClosing

    def __init__(
        self, transport: Any, limit: int, backpressure: Backpressure, owner: OutboxOwner
    ) -> None:
        super().__init__(transport, limit, backpressure, owner)
        self._full = False
        transport.registerProducer(self, True)

    def flush(self) -> None:
        """Write what is queued; the transport may call :meth:`pauseProducing` meanwhile."""
        written = 0
        while self.chunks and not self._full and not self.closed:
            data = self.take(self.queued)
            written += len(data)
            self._transport.write(data)
        if not self.closed:
            self.queued = 0
            if self._full:
                self.block(written)

    def pauseProducing(self) -> None:
        """The transport is full."""
        self._full = True

    def resumeProducing(self) -> None:
        """The transport is empty: write slices until it is full, or be free again."""
        self._full = False
        while self.blocked and not self._full:
            data = self.take_next(TRANSPORT_SLICE_BYTES)
            if data is None:
                return
            self.on_progress(len(data))
            if not data:
                self.unblock()
                return
            self._transport.write(data)


ClientOutbox = SocketOutbox | TransportOutbox


def outbox_for(
    transport: Any, limit: int, backpressure: Backpressure, owner: OutboxOwner
) -> ClientOutbox:
    """Make the outbox that fits a transport: a direct one if something can be sent to its handle.

    :param transport: of the connection.
    :param limit: bytes that may wait.
    :param backpressure: notified of bytes that wait.
    :param owner: the connection.
    """
    handle = transport.getHandle()
    if isinstance(handle, socket.SocketType):
        return SocketOutbox(transport, limit, backpressure, owner)
    if isinstance(handle, TlsServer):
        return TlsOutbox(transport, limit, backpressure, owner)
    return TransportOutbox(transport, limit, backpressure, owner)
