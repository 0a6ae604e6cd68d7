"""One WebSocket connection of a WAMP v1 client.

Owns: the states of a connection from accept to loss, and the way of its bytes in and out.
Must not import: the composition root; nor know what a WAMP message means.

The base is Autobahn's server protocol: it reads frames, joins fragments, checks UTF-8, inflates,
answers pings and closes. Three things are done here instead, because they are done for every
client or every message (figures in ``docs/explanation/performance.md``):

* the handshake, see ``handshake``;
* complete text frames and empty pongs, which are nearly all that clients send, are unmasked at
  once when nothing else is pending; whatever else comes, and all that follows it in the same read,
  goes to Autobahn;
* Autobahn's options, statistics and futures are shared, see ``slim_autobahn``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Final

from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.broker.identity import Identity
from wampush.broker.subscriber import Subscriber
from wampush.edges import handshake
from wampush.edges.admission import Ticket
from wampush.edges.authentication import reason_of_end
from wampush.edges.compression import Agreement, agree
from wampush.edges.framing import PING, close_frame, unmask
from wampush.edges.handshake import Handshake, HandshakeRefused
from wampush.edges.opening import Opening
from wampush.edges.origins import is_from_here
from wampush.edges.outboxes import ClientOutbox, outbox_for
from wampush.edges.slim_autobahn import SlimServerProtocol
from wampush.errors import CloseReason, MessageRefused, Refusal
from wampush.wamp.session import Session

if TYPE_CHECKING:
    from wampush.edges.websocket import WebSocketEdge

_log = Logger(namespace="wampush")

CLOSED: Final = SlimServerProtocol.STATE_CLOSED
CONNECTING: Final = SlimServerProtocol.STATE_CONNECTING
OPEN: Final = SlimServerProtocol.STATE_OPEN

_COMPLETE_TEXT: Final = 0x81
_EMPTY_PONG: Final = b"\x8a\x80"
_HEADER_BYTES: Final = 6
_LONG_HEADER_BYTES: Final = 8
#: Text and binary are counted as messages; a Close frame is the last of its connection.
_COUNTED_LATER: Final = frozenset((1, 2, 8))
#: Seconds that a client gets to read what is left after its connection was ended.
_LINGER: Final = 10.0

_REASON_OF_CODE: Final = {
    1002: CloseReason.PROTOCOL_VIOLATION,
    1007: CloseReason.INVALID_PAYLOAD,
    1009: CloseReason.MESSAGE_TOO_LARGE,
}


class Connection(SlimServerProtocol):
    """One client; made by :class:`wampush.edges.websocket.WebSocketEdge`."""

    factory: WebSocketEdge

    def __init__(self) -> None:
        self.slot = 0
        self.heard = 0
        self.reason: CloseReason | None = None
        self.subscriber: Subscriber | None = None
        self.outbox: ClientOutbox | None = None
        self.opening: Opening | None = None
        self.ticket: Ticket | None = None
        self.is_local = False
        #: Messages it may send before more are earned.
        self.allowance = 0.0
        self.allowance_tick = 0

    @property
    def maxMessagePayloadSize(self) -> int:
        """The longest message, for Autobahn's checks."""
        return self.factory.settings.max_message_bytes

    def connectionMade(self) -> None:
        """The TCP connection is there; the handshake has to follow in time."""
        edge = self.factory
        self.outbox = outbox_for(
            self.transport, edge.limits.queue_bytes, edge.pressure, self._overflow
        )
        self.opening = Opening(self)
        edge.connections.add(self)
        edge.admission.arrive(self._peer())
        edge.wheel.schedule(self, edge.settings.handshake_timeout)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the peer; nothing it may send raises past this point."""
        self.heard = self.factory.wheel.now
        if self.state == OPEN:
            if self.current_frame is None and not self.data and not self.inside_message:
                self._read_frames(data)
            else:
                self.data += data
                self.consumeData()
        elif self.state == CONNECTING and self.opening is not None:
            # Over TLS a peer may go on sending after the answer that ends the connection.
            self.opening.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The TCP connection is gone: clear the indexes first, then count its end."""
        edge = self.factory
        edge.wheel.cancel(self)
        if self.subscriber is not None:
            if self.reason is None:
                self._count(CloseReason.PEER_LOST)
            edge.clients.lost(self.subscriber)
            self.subscriber = None
        if self.opening is not None:
            self.opening.cancel()
            self.opening = None
        if self.outbox is not None:
            self.outbox.close()
            self.outbox = None
        self.data = b""
        self.current_frame = None
        self.state = CLOSED
        if self.ticket is not None:
            self.ticket.give_back()
        edge.admission.depart(self._peer())
        edge.gone(self)

    # The opening, see ``opening``.

    def admit(self, headers: Mapping[str, str]) -> str:
        """Learn whether one more may open.

        :param headers: of the request, by lower-case name.
        :returns: the client's address.
        :raises HandshakeRefused: with the reason why not.
        """
        edge = self.factory
        self.ticket = edge.admission.admit(len(edge.connections), self._peer(), headers)
        return self.ticket.address

    def open(self, request: Handshake, identity: Identity, rest: bytes) -> None:
        """It is known who this is: answer the handshake and begin the session.

        :param rest: what the client has sent behind its request.
        :raises HandshakeRefused: when the user has too many connections already.
        """
        edge = self.factory
        outbox = self.outbox
        ticket = self.ticket
        if outbox is None or ticket is None or self.state != CONNECTING:
            return
        settings = edge.settings
        chosen = handshake.subprotocol(request, settings.require_subprotocol)
        agreement: Agreement | None = None
        if settings.compression:
            agreement = agree(request.headers.get("sec-websocket-extensions", ""))
        extension = "" if agreement is None else agreement.header
        ticket.belong_to(identity.user)
        self.opening = None
        self.sendData(handshake.accept(request, chosen, extension))
        if agreement is not None:
            self._perMessageCompress = agreement.inflater(settings.max_message_bytes)
            outbox.variant = agreement.variant(settings.compression_min_bytes)
        self.state = OPEN
        self.allowance = float(edge.limits.message_burst)
        self.allowance_tick = edge.wheel.now
        session = Session(edge.dialect, edge.server, edge.limits.prefixes)
        self.is_local = is_from_here(self._peer(), request.headers)
        self.subscriber = Subscriber(session, outbox, identity, self)
        self._wait()
        edge.clients.opened(self.subscriber)
        if rest:
            self._read_frames(rest)

    def answer(self, response: bytes, reason: CloseReason, detail: str = "") -> None:
        """Answer the request by something else than a WebSocket, and end the connection."""
        if self.state == CONNECTING:
            self.sendData(response)
            self._finish(reason, detail)

    def broken(self, failure: Failure) -> None:
        """A defect of ours came up while the connection opened: log it, drop the connection."""
        _log.failure("a connection could not be opened", failure)
        self.drop(CloseReason.INTERNAL_ERROR)

    # Frames in.

    def _read_frames(self, data: bytes) -> None:
        """Take complete text frames and empty pongs; leave the rest to Autobahn."""
        position = 0
        size = len(data)
        most = self.maxMessagePayloadSize
        while size - position >= _HEADER_BYTES:
            first, second = data[position], data[position + 1]
            if first != _COMPLETE_TEXT:
                if data[position : position + 2] != _EMPTY_PONG:
                    break
                position += _HEADER_BYTES
                continue
            start = position + _HEADER_BYTES
            length = second & 0x7F
            if length > 125:
                start = position + _LONG_HEADER_BYTES
                length = int.from_bytes(data[position + 2 : position + 4], "big")
                if second != 0xFE or length < 126:
                    break
            elif not second & 0x80:
                break
            end = start + length
            if end > size or length > most:
                break
            text = unmask(data[start - 4 : start], data[start:end])
            if not text.isascii() and not self._is_utf8(text):
                return
            position = end
            self._text(text)
            if self.state != OPEN:
                return
        if position < size:
            self.data = data[position:] if position else data
            self.consumeData()

    def _is_utf8(self, text: bytes) -> bool:
        try:
            text.decode()
        except UnicodeDecodeError:
            self._invalid_payload("a text frame is not UTF-8")
            return False
        return True

    def _text(self, text: bytes) -> None:
        if self.subscriber is not None and self._within_rate():
            self.factory.clients.received(self.subscriber, text)

    def _within_rate(self) -> bool:
        """Take one from the client's allowance; drop the client when none is left."""
        edge = self.factory
        limits = edge.limits
        ticks = edge.wheel.now - self.allowance_tick
        if ticks:
            self.allowance_tick = edge.wheel.now
            earned = ticks * edge.wheel.tick_seconds * limits.messages_per_second
            self.allowance = min(float(limits.message_burst), self.allowance + earned)
        self.allowance -= 1
        if self.allowance < 0:
            self.drop(CloseReason.FLOODING)
            return False
        return True

    def onFrameBegin(self) -> None:
        """Count control frames and fragments like messages: Autobahn takes long for each."""
        if self.current_frame.opcode not in _COUNTED_LATER and not self._within_rate():
            return
        super().onFrameBegin()

    def onMessageFrame(self, payload: list[bytes]) -> None:
        """Keep a fragment; empty ones are not kept, or endless empty fragments would pile up."""
        data = b"".join(payload)
        if data and not self.failedByMe:
            self.message_data.append(data)

    def onMessageEnd(self) -> None:
        """A message that Autobahn read is complete."""
        payload = b"".join(self.message_data)
        self.message_data = []
        if self.failedByMe or self.subscriber is None:
            return
        if self.message_is_binary and self._within_rate():
            error = MessageRefused(Refusal.BINARY_FRAME)
            self.factory.clients.refused(self.subscriber, error, payload)
        elif not self.message_is_binary:
            self._text(payload)

    # Bytes out.

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Queue bytes of the WebSocket layer behind what is queued already."""
        if self.outbox is not None:
            self.factory.broker.fanout.send(self.outbox, data)

    def due(self) -> None:
        """The wheel says that something may be late: the handshake, a pong, or the end."""
        edge = self.factory
        settings = edge.settings
        if self.state == CONNECTING:
            self.drop(CloseReason.HANDSHAKE_TIMEOUT)
        elif self.state != OPEN:
            self.transport.abortConnection()
        elif self.subscriber is not None and self._expires_in() <= 0:
            self.drop(reason_of_end(self.subscriber.identity))
        else:
            silent = (edge.wheel.now - self.heard) * edge.wheel.tick_seconds
            if silent >= settings.silence_timeout:
                self.drop(CloseReason.SILENT)
                return
            if silent >= settings.ping_interval:
                self.sendData(PING)
            self._wait()

    def _wait(self) -> None:
        """Be due when the client may be silent for too long, or its identity expires."""
        edge = self.factory
        settings = edge.settings
        silent = (edge.wheel.now - self.heard) * edge.wheel.tick_seconds
        if silent < settings.ping_interval:
            seconds = settings.ping_interval - silent
        else:
            seconds = min(settings.ping_interval, settings.silence_timeout - silent)
        edge.wheel.schedule(self, min(seconds, self._expires_in()))

    @property
    def address(self) -> str:
        """The client's address, proxies believed."""
        return self._peer() if self.ticket is None else self.ticket.address

    def identity_changed(self, before: Identity) -> None:
        """The session has become somebody else, or has a fresh proof of who it is."""
        if self.subscriber is None or self.ticket is None:
            return
        try:
            self.ticket.belong_to(self.subscriber.identity.user)
        except HandshakeRefused as error:
            self.drop(error.reason)
            return
        self._wait()
        self.factory.clients.identified(self.subscriber, before)

    def _expires_in(self) -> float:
        subscriber = self.subscriber
        if subscriber is None or subscriber.identity.expires is None:
            return inf
        return subscriber.identity.expires - self.factory.now()

    # Ends.

    def drop(self, reason: CloseReason) -> None:
        """End the connection at once by TCP abort; clients of ``ab.connect`` come back after it.

        :param reason: counted and logged.
        """
        if self.state != CLOSED:
            self.state = CLOSED
            self._count(reason)
            if self.outbox is not None:
                self.outbox.close()
            self.transport.abortConnection()

    def end(self, reason: CloseReason, detail: str = "") -> None:
        """End the connection once what is queued is sent.

        :param reason: counted and logged; where it has a close code, a Close frame tells it.
        """
        if self.state == OPEN and reason.value.close_code is not None:
            self.sendData(close_frame(reason.value.close_code, detail))
        if self.state != CLOSED:
            self._finish(reason, detail)

    def _overflow(self) -> None:
        self.drop(CloseReason.SLOW_CLIENT)

    def _count(self, reason: CloseReason, detail: str = "") -> None:
        self.reason = reason
        self.factory.broker.ledger.end(reason, self.address, detail)

    def _peer(self) -> str:
        peer = self.transport.getPeer()
        return str(getattr(peer, "host", None) or "unix socket")

    def _finish(self, reason: CloseReason, detail: str = "") -> None:
        self.state = CLOSED
        self._count(reason, detail)
        self.factory.broker.fanout.settle()
        if self.outbox is not None:
            self.outbox.finish()
        self.factory.wheel.schedule(self, _LINGER)

    def _fail_connection(self, code: int = 1002, reason: str = "") -> None:
        """Autobahn found a breach of RFC 6455: say so in a Close frame and end the connection."""
        if self.state == OPEN:
            self.failedByMe = True
            self.sendData(close_frame(code, reason))
            if self.reason is None:
                self._finish(_REASON_OF_CODE.get(code, CloseReason.PROTOCOL_VIOLATION), reason)

    def dropConnection(self, abort: bool = False) -> None:
        """Autobahn has answered the client's Close frame."""
        if self.reason is None:
            self._finish(CloseReason.PEER_CLOSED)
        # Autobahn says "closing" by now, even when the answer found no room and we dropped it.
        self.state = CLOSED
