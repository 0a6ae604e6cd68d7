"""One WebSocket connection.

Owns: the states of a connection from accept to loss, the way of its frames in and out, its time and
its limits.
Must not import: the composition root, any conversation; what is said over it is the business of
its ``conversation``.

Frames are read by ``frame_reader``; the handshake is our own, because it is done for every client
(figures in ``docs/explanation/performance.md``), see ``opening``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Final

from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.broker.identity import Identity
from wampush.edges.auth.authenticator import expiry_reason
from wampush.edges.websocket import http_upgrade
from wampush.edges.websocket.admission import Ticket
from wampush.edges.websocket.compression import Agreement, agree
from wampush.edges.websocket.conversation import Conversation, Route
from wampush.edges.websocket.frame_reader import FrameReader
from wampush.edges.websocket.framing import PING, close_frame
from wampush.edges.websocket.http_upgrade import Handshake, HandshakeRefused
from wampush.edges.websocket.opening import OpeningHandshake
from wampush.edges.websocket.outboxes import ClientOutbox, outbox_for
from wampush.errors import CloseReason
from wampush.net.origins import Origins

if TYPE_CHECKING:
    from wampush.edges.websocket.server import WebSocketEdge

_log = Logger(namespace="wampush")

CLOSED: Final = FrameReader.STATE_CLOSED
CONNECTING: Final = FrameReader.STATE_CONNECTING
OPEN: Final = FrameReader.STATE_OPEN

#: Seconds that a client gets to read what is left after its connection was ended.
_LINGER: Final = 10.0

_REASON_OF_CODE: Final = {
    1002: CloseReason.PROTOCOL_VIOLATION,
    1007: CloseReason.INVALID_PAYLOAD,
    1009: CloseReason.MESSAGE_TOO_LARGE,
}


class Connection(FrameReader):
    """One client; made by :class:`wampush.edges.websocket.server.WebSocketEdge`."""

    factory: WebSocketEdge

    def __init__(self) -> None:
        self.slot = 0
        self.heard = 0
        self.reason: CloseReason | None = None
        #: What is said here, while it is open.
        self.conversation: Conversation | None = None
        self.outbox: ClientOutbox | None = None
        self.opening: OpeningHandshake | None = None
        self.ticket: Ticket | None = None
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
        self.opening = OpeningHandshake(self)
        edge.connections.add(self)
        edge.admission.arrive(self.peer)
        edge.wheel.schedule(self, edge.settings.handshake_timeout)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the peer; nothing it may send raises past this point."""
        self.heard = self.factory.wheel.now
        if self.state == OPEN:
            if self.current_frame is None and not self.data and not self.inside_message:
                self.read_frames(data)
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
        # Before anybody hears of it: whoever sends to it or ends it then does nothing.
        self.state = CLOSED
        conversation, self.conversation = self.conversation, None
        if conversation is not None:
            if self.reason is None:
                self._count(CloseReason.PEER_LOST)
            conversation.on_lost()
        if self.opening is not None:
            self.opening.cancel()
            self.opening = None
        if self.outbox is not None:
            self.outbox.close()
            self.outbox = None
        self.data = b""
        self.current_frame = None
        if self.ticket is not None:
            self.ticket.give_back()
        edge.admission.depart(self.peer)
        edge.gone(self)

    # The opening, see ``opening``.

    def admit(self, headers: Mapping[str, str], origins: Origins | None) -> str:
        """Learn whether one more may open.

        :param headers: of the request, by lower-case name.
        :param origins: the pages that may connect; None for those of ``[websocket]``.
        :returns: the client's address.
        :raises HandshakeRefused: with the reason why not.
        """
        admission = self.factory.admission
        self.ticket = admission.admit(len(self.factory.connections), self.peer, headers, origins)
        return self.ticket.address

    def begin(
        self, route: Route, request: Handshake, identity: Identity, subprotocol: str | None
    ) -> Conversation | None:
        """It is known who this is: make the conversation that may open.

        :returns: None when the connection has ended meanwhile.
        :raises HandshakeRefused: when the user has too many connections, or may not speak so.
        """
        if self.state != CONNECTING or self.outbox is None or self.ticket is None:
            return None
        self.ticket.belong_to(identity.user)
        return route.begin(self, self.outbox, request, identity, subprotocol)

    def open(
        self, request: Handshake, conversation: Conversation, subprotocol: str | None, rest: bytes
    ) -> None:
        """Answer the handshake and begin what is said.

        :param subprotocol: to answer with; None for none.
        :param rest: what the client has sent behind its request.
        """
        edge = self.factory
        outbox = self.outbox
        if outbox is None or self.state != CONNECTING:
            return
        settings = edge.settings
        agreement: Agreement | None = None
        if settings.compression:
            agreement = agree(request.headers.get("sec-websocket-extensions", ""))
        extension = "" if agreement is None else agreement.header
        self.opening = None
        self.sendData(http_upgrade.accept(request, subprotocol, extension))
        if agreement is not None:
            self._perMessageCompress = agreement.inflater(settings.max_message_bytes)
            outbox.format = agreement.format(settings.compression_min_bytes)
        self.state = OPEN
        self.allowance = float(edge.limits.message_burst)
        self.allowance_tick = edge.wheel.now
        self.conversation = conversation
        self._wait(conversation.identity)
        conversation.on_open()
        if rest and self.state == OPEN:
            self.read_frames(rest)

    def answer(self, response: bytes, reason: CloseReason, detail: str = "") -> None:
        """Answer the request by something else than a WebSocket, and end the connection."""
        if self.state == CONNECTING:
            self.sendData(response)
            self._finish(reason, detail)

    def broken(self, failure: Failure) -> None:
        """A defect of ours came up while the connection opened: log it, drop the connection."""
        _log.failure("a connection could not be opened", failure)
        self.drop(CloseReason.INTERNAL_ERROR)

    # Messages in, see ``frame_reader``.

    def text_received(self, text: bytes) -> None:
        """The client sent a text, of UTF-8."""
        if self.conversation is not None and self.within_rate():
            self.conversation.text(text)

    def binary_received(self, data: bytes) -> None:
        """The client sent a binary message."""
        if self.conversation is not None and self.within_rate():
            self.conversation.binary(data)

    def within_rate(self) -> bool:
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

    # Bytes out.

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Queue bytes of the WebSocket layer behind what is queued already."""
        if self.outbox is not None:
            self.factory.fanout.send(self.outbox, data)

    def write_text(self, text: bytes) -> None:
        """Queue a text behind what is queued already; nothing when the connection has ended.

        :param text: UTF-8.
        """
        if self.outbox is not None and self.state == OPEN:
            self.factory.fanout.reply(self.outbox, text)

    def write_binary(self, data: bytes) -> None:
        """Queue a binary message behind what is queued; nothing when the connection has ended."""
        if self.outbox is not None and self.state == OPEN:
            self.sendData(self.outbox.format.binary(data))

    def due(self) -> None:
        """The wheel says that something may be late: the handshake, a pong, or the end."""
        edge = self.factory
        settings = edge.settings
        if self.state == CONNECTING:
            self.drop(CloseReason.HANDSHAKE_TIMEOUT)
            return
        if self.state != OPEN or self.conversation is None:
            self.transport.abortConnection()
            return
        identity = self.conversation.identity
        if self._expires_in(identity) <= 0:
            self.drop(expiry_reason(identity))
        else:
            silent = (edge.wheel.now - self.heard) * edge.wheel.tick_seconds
            if silent >= settings.silence_timeout:
                self.drop(CloseReason.SILENT)
                return
            if silent >= settings.ping_interval:
                self.sendData(PING)
            self._wait(identity)

    def _wait(self, identity: Identity) -> None:
        """Be due when the client may be silent for too long, or its identity expires."""
        edge = self.factory
        settings = edge.settings
        silent = (edge.wheel.now - self.heard) * edge.wheel.tick_seconds
        if silent < settings.ping_interval:
            seconds = settings.ping_interval - silent
        else:
            seconds = min(settings.ping_interval, settings.silence_timeout - silent)
        edge.wheel.schedule(self, min(seconds, self._expires_in(identity)))

    @property
    def address(self) -> str:
        """The client's address, proxies believed."""
        return self.peer if self.ticket is None else self.ticket.address

    @property
    def peer(self) -> str:
        """The address at the other end of the TCP connection."""
        peer = self.transport.getPeer()
        return str(getattr(peer, "host", None) or "unix socket")

    def accept_identity(self, identity: Identity) -> bool:
        """Count for the user of this identity, and end when it expires.

        :returns: False when the connection has ended, or ends now because the user has too many.
        """
        if self.ticket is None or self.state not in (CONNECTING, OPEN):
            return False
        try:
            self.ticket.belong_to(identity.user)
        except HandshakeRefused as error:
            self.drop(error.reason)
            return False
        if self.state == OPEN:
            self._wait(identity)
        return True

    def _expires_in(self, identity: Identity) -> float:
        expires = identity.expires
        return inf if expires is None else expires - self.factory.now()

    # Ends.

    def drop(self, reason: CloseReason, detail: str = "") -> None:
        """End the connection at once by TCP abort; clients of ``ab.connect`` come back after it.

        :param reason: counted and logged.
        :param detail: what exactly was found.
        """
        if self.state != CLOSED:
            self.state = CLOSED
            self._count(reason, detail)
            if self.outbox is not None:
                self.outbox.close()
            self.transport.abortConnection()

    def end(self, reason: CloseReason, detail: str = "", code: int | None = None) -> None:
        """End the connection once what is queued is sent.

        :param reason: counted and logged; where it has a close code, a Close frame tells it.
        :param code: another close code than the reason's.
        """
        code = reason.value.close_code if code is None else code
        if self.state == OPEN and code is not None:
            self.sendData(close_frame(code, detail))
        if self.state != CLOSED:
            self._finish(reason, detail)

    def _overflow(self) -> None:
        self.drop(CloseReason.SLOW_CLIENT)

    def _count(self, reason: CloseReason, detail: str = "") -> None:
        self.reason = reason
        self.factory.ledger.end(reason, self.address, detail)

    def _finish(self, reason: CloseReason, detail: str = "") -> None:
        self.state = CLOSED
        self._count(reason, detail)
        self.factory.fanout.end_batch()
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
