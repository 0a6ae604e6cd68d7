"""How what is queued for a client reaches its socket.

Owns: the two ways out, straight to a non-blocking socket or through a Twisted transport.
Must not import: Autobahn; nor touch what the bytes mean.

All bytes of a connection pass through its outbox, replies of the WebSocket layer included. So the
transport's own buffer is empty whenever the outbox is free, and a direct send can not overtake or
split anything.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.outbox import Outbox
from wampush.edges.websocket.formats import PLAIN, WebSocketFormat

#: Handed to the transport at a time while it is blocked; Twisted sends at most this much at once.
SLICE_BYTES: Final = 128 * 1024
#: The same for a transport that takes all it gets: room for two turns of events, so that a client
#: that keeps up also catches up.
TRANSPORT_SLICE_BYTES: Final = 512 * 1024


class _BaseOutbox(Outbox):
    """What both ways have in common: the transport, and the end of the connection."""

    __slots__ = ("_on_overflow", "_transport")

    format: WebSocketFormat

    def __init__(
        self,
        transport: Any,
        limit: int,
        pressure: Backpressure,
        on_overflow: Callable[[], None],
    ) -> None:
        # Until the handshake has agreed on compression.
        super().__init__(limit, pressure, PLAIN)
        self._transport = transport
        self._on_overflow: Callable[[], None] | None = on_overflow

    def stopProducing(self) -> None:
        """The transport is gone."""
        self.close()

    def overflow(self) -> None:
        """End the connection: the client is too slow."""
        if self._on_overflow is not None:
            self._on_overflow()

    def close(self) -> None:
        """Free the queue at once and take nothing any more."""
        super().close()
        self._on_overflow = None


@implementer(IPullProducer)
class SocketOutbox(_BaseOutbox):
    """Sends straight on the socket; what it does not take goes through the transport.

    While blocked it is the transport's pull producer: the transport asks for more each time its
    buffer has run empty (``IPullProducer``), and gets one slice. The rest stays here, where it is
    counted and can still be replaced or freed.

    :param transport: a Twisted TCP or UNIX server transport.
    :param on_overflow: ends the connection of a client that is too slow.
    """

    __slots__ = ("_send",)

    def __init__(
        self,
        transport: Any,
        limit: int,
        pressure: Backpressure,
        on_overflow: Callable[[], None],
    ) -> None:
        super().__init__(transport, limit, pressure, on_overflow)
        self._send: Callable[[bytes], int] = transport.getHandle().send

    def flush(self) -> None:
        """Send what is queued with one send, and block when the socket does not take all."""
        chunks = self.chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.queued = 0
        self.send(data)

    def send(self, chunk: bytes) -> None:
        """Send a chunk, and block when the socket does not take all of it."""
        # Called by a local name: CPython looks a slot up the slow way where it is called at once.
        send = self._send
        try:
            sent = send(chunk)
        except BlockingIOError:
            sent = 0
        except OSError:
            # The reset or broken pipe is reported by the reactor as well, with its reason.
            self.close()
            return
        if sent != len(chunk):
            self.chunks.append(chunk[sent:] if sent else chunk)
            self.block(0)
            self._transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """The transport's buffer is empty: it gets the next slice, or the outbox is free again."""
        if self.closed:
            return
        data = self.take(SLICE_BYTES) if self.chunks else b""
        self.progress(len(data))
        if data:
            self._transport.write(data)
        else:
            self._transport.unregisterProducer()
            self.unblock()

    def finish(self) -> None:
        """Hand everything to the transport, which ends the connection once it is sent."""
        if self.closed:
            return
        if self.queued and not self.blocked:
            self.flush()
        if not self.closed:
            if self.blocked:
                self._transport.unregisterProducer()
                self._transport.write(b"".join(self.chunks))
            self._transport.loseConnection()
            self.close()


@implementer(IPushProducer)
class TransportOutbox(_BaseOutbox):
    """Writes joined data to any transport, TLS for one.

    It is the transport's push producer: the transport says when it is stuffed and when it is empty
    again (``IPushProducer``). While blocked it hands over slices, so that the rest can still be
    replaced or freed.

    :param transport: any Twisted transport that takes a producer.
    :param on_overflow: ends the connection of a client that is too slow.
    """

    __slots__ = ("_stuffed",)

    def __init__(
        self,
        transport: Any,
        limit: int,
        pressure: Backpressure,
        on_overflow: Callable[[], None],
    ) -> None:
        super().__init__(transport, limit, pressure, on_overflow)
        self._stuffed = False
        transport.registerProducer(self, True)

    def flush(self) -> None:
        """Write what is queued at once; the transport may call :meth:`pauseProducing` meanwhile."""
        data = self.take(self.queued)
        self.queued = 0
        self._transport.write(data)
        if self._stuffed and not self.closed:
            self.block(len(data))

    def pauseProducing(self) -> None:
        """The transport is stuffed."""
        self._stuffed = True

    def resumeProducing(self) -> None:
        """The transport is empty: it gets slices until it is stuffed, or the outbox is free."""
        self._stuffed = False
        while self.blocked and not self.closed and not self._stuffed:
            data = self.take(TRANSPORT_SLICE_BYTES) if self.chunks else b""
            self.progress(len(data))
            if data:
                self._transport.write(data)
            else:
                self.unblock()

    def finish(self) -> None:
        """Hand everything to the transport, which ends the connection once it is sent."""
        if self.closed:
            return
        if self.chunks:
            self._transport.write(self.take(self.queued))
        self._transport.unregisterProducer()
        self._transport.loseConnection()
        self.close()


ClientOutbox = SocketOutbox | TransportOutbox


def outbox_for(
    transport: Any, limit: int, pressure: Backpressure, on_overflow: Callable[[], None]
) -> ClientOutbox:
    """The outbox that fits a transport: direct where its handle is a plain socket."""
    if isinstance(transport.getHandle(), socket.socket):
        return SocketOutbox(transport, limit, pressure, on_overflow)
    return TransportOutbox(transport, limit, pressure, on_overflow)
