"""One WebSocket connection.

Owns: a connection from accept to loss: its frames in and out, its time and its limits.
Must not import: the server, the composition root, any conversation.
The states are in ``lifecycle``, the reading of frames in ``frame_reader``.
"""

from __future__ import annotations

from math import inf
from typing import Final

from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.broker.identity import Identity
from wampush.broker.memory_costs import unfinished_bytes
from wampush.edges.auth.authenticator import expiry_reason
from wampush.edges.websocket.admission import Ticket
from wampush.edges.websocket.closing import WaitFor
from wampush.edges.websocket.compression import Agreement
from wampush.edges.websocket.conversation import Conversation
from wampush.edges.websocket.frame_reader import AUTOBAHN_STATES, FrameReader
from wampush.edges.websocket.framing import close_frame, reason_of
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.edges.websocket.lifecycle import Event, State, moved
from wampush.edges.websocket.opening_handshake import OpeningHandshake, peer_of
from wampush.edges.websocket.outboxes import ClientOutbox, outbox_for
from wampush.edges.websocket.read_turns import ReadTurns
from wampush.edges.websocket.shared_parts import SharedParts
from wampush.errors import CloseReason

_log = Logger(namespace="wampush.websocket")
_OPEN: Final = FrameReader.STATE_OPEN
#: The handshake is answered, and neither side has ended the connection.
_ANSWERED: Final = (State.OPEN, State.STREAMING)
_ALIVE: Final = (State.CONNECTING, *_ANSWERED)
# Read for each connection; reading a member from its enumeration takes as long as a call.
_CONNECTING: Final = State.CONNECTING
_OPENED: Final = Event.OPENED
_SENT: Final = Event.SENT


class Connection(FrameReader):
    """One client's connection.

    Two attributes say how far it is. ``lifecycle`` is ours and moves by the table in ``lifecycle``
    only. ``state`` is Autobahn's, whose code reads it before each frame; :meth:`_move` sets it to
    what Autobahn calls the state of ours: from ENDING on, CLOSED, so that it reads no more frames.
    Autobahn itself writes ``state`` once, CLOSING, after it has answered a Close frame; it then
    calls :meth:`dropConnection`, which ends the connection and sets ``state`` right.

    :param shared: what all connections share.
    """

    def __init__(self, shared: SharedParts[Connection]) -> None:
        # All attributes are set here. CPython keeps them without a dictionary per connection only
        # while all connections have the same ones (PEP 412), and that saves 900 bytes.
        self.lifecycle = _CONNECTING
        self.state = FrameReader.STATE_CONNECTING
        self.shared: Final[SharedParts[Connection]] = shared
        self.timer_slot = 0
        #: The tick of the timer wheel in which the client was last heard from.
        self.last_heard = 0
        #: Why the connection has ended; None while it has not, and where it was lost.
        self.reason: CloseReason | None = None
        #: What is said here, while the connection is open or ending.
        self.conversation: Conversation | None = None
        self.outbox: ClientOutbox | None = None
        self.ticket: Ticket | None = None
        self.stage = None

    @property
    def maxMessagePayloadSize(self) -> int:
        """The longest message in bytes, for Autobahn's checks."""
        return self.shared.settings.max_message_bytes

    @property
    def read_turns(self) -> ReadTurns:
        """Says when to stop reading for now."""
        return self.shared.read_turns

    @property
    def peer(self) -> str:
        """The address at the other end of the socket."""
        return "" if self.ticket is None else self.ticket.peer

    @property
    def address(self) -> str:
        """The client's address; if a trusted proxy forwards for it, as the proxy reports it."""
        return "" if self.ticket is None else self.ticket.address

    @property
    def address_name(self) -> str | None:
        """The name under which the address is counted; None for one without limits."""
        return None if self.ticket is None else self.ticket.name

    # The socket.

    def connectionMade(self) -> None:
        """The socket is accepted; the handshake has to follow in time."""
        shared, transport, limits = self.shared, self.transport, self.shared.limits
        self.ticket = ticket = shared.admission.arrive(peer_of(transport))
        self.outbox = outbox = outbox_for(transport, limits.queue_bytes, shared.backpressure, self)
        self.stage = OpeningHandshake(shared.rules, self, outbox, ticket, transport)
        shared.on_made(self)
        shared.timer_wheel.schedule(self, shared.settings.handshake_timeout)

    def dataReceived(self, data: bytes) -> None:
        """Read bytes of the client; none of them make this method raise."""
        self.last_heard = self.shared.timer_wheel.now
        if self.state == _OPEN:
            read_turns = self.shared.read_turns
            if self in read_turns:
                # Over TLS, what was decrypted before the transport was paused.
                self.data += data
                return
            read_turns.begin()
            if self.current_frame is None and not self.data and not self.inside_message:
                self.read_frames(data)
            else:
                self.data += data
                self.consumeData()
            if self.state != _OPEN:
                self.pass_rest()
        elif self.stage is not None:
            self.data += data
            self.pass_rest()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The socket is gone: clear the indexes first, then count the end and notify others."""
        shared = self.shared
        shared.timer_wheel.cancel(self)
        # First, so that writing to the connection or ending it does nothing from now on.
        self._move(Event.LOST)
        conversation, self.conversation = self.conversation, None
        if conversation is not None:
            if self.reason is None:
                self._count(CloseReason.PEER_LOST)
            conversation.on_lost()
        if self.outbox is not None:
            self.outbox.close()
            self.outbox = None
        if self.data:
            self.data = b""
        if self.current_frame is not None:
            self.current_frame = None
        shared.rules.memory.forget(self)
        if self.ticket is not None:
            self.ticket.give_back(shared.timer_wheel.seconds)
        shared.on_lost(self)

    def _move(self, event: Event) -> None:
        self.lifecycle = lifecycle = moved(self.lifecycle, event)
        self.state = AUTOBAHN_STATES.get(lifecycle, FrameReader.STATE_CLOSED)
        if event is not _OPENED:
            self.read_turns.forget(self)
        if event is not _SENT and (stage := self.stage) is not None:
            self.stage = None
            stage.cancel()

    # The opening handshake.

    def on_accepted(
        self, conversation: Conversation, response: bytes, agreement: Agreement | None, rest: bytes
    ) -> None:
        """The connection opens; see :class:`.opening_handshake.Opening`."""
        shared, outbox = self.shared, self.outbox
        if outbox is None:
            return
        self.sendData(response)
        if agreement is not None:
            self.inflater = agreement.inflater(shared.settings.max_message_bytes)
            outbox.format = agreement.format(shared.settings.compression_min_bytes)
        self._move(_OPENED if conversation.stage is None else Event.STREAMED)
        self.stage = conversation.stage
        if self.ticket is not None:
            self.ticket.on_open(shared.timer_wheel.seconds)
        self.conversation = conversation
        self._schedule_check(conversation.identity)
        conversation.on_open()
        if rest and self.state == _OPEN:
            shared.read_turns.begin()
            self.read_frames(rest)

    def on_answered(self, response: bytes, reason: CloseReason, detail: str) -> None:
        """The connection ends after this response."""
        self.sendData(response)
        if self.lifecycle is State.CONNECTING:
            self._finish(reason, detail, WaitFor.END_OF_STREAM)

    def on_defect(self, failure: Failure) -> None:
        """An unexpected error has come up in the opening handshake."""
        _log.failure("could not open a connection", failure)
        self.drop(CloseReason.INTERNAL_ERROR)

    # Messages in.

    def on_text(self, text: bytes) -> None:
        """Pass a text message to the conversation."""
        if self.conversation is not None and self.spend_allowance():
            self.conversation.on_text(text)

    def on_binary(self, data: bytes) -> None:
        """Pass a binary message to the conversation."""
        if self.conversation is not None and self.spend_allowance():
            self.conversation.on_binary(data)

    def onPong(self, payload: bytes) -> None:
        """Pass the answer to a ping to the conversation; empty ones do not come here."""
        if self.conversation is not None:
            self.conversation.on_pong(payload)

    def on_unfinished(self, size: int) -> None:
        """Count the bytes that have arrived and are not handled."""
        refusal = self.shared.rules.memory.hold(self, unfinished_bytes(size))
        if refusal is not None:
            self.drop(CloseReason.MEMORY_LIMIT, refusal.code)

    def spend_allowance(self) -> bool:
        """Use one message of the client's allowance; drop the client when none is left."""
        if self.ticket is None or self.ticket.spend(self.shared.timer_wheel.seconds):
            return True
        self.drop(CloseReason.FLOODING)
        return False

    # Bytes out.

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Queue bytes of the WebSocket layer after everything queued before."""
        if self.outbox is not None:
            self.shared.fanout.send(self.outbox, data)

    def write_text(self, text: bytes) -> None:
        """Queue a text message of UTF-8; do nothing when the connection has ended."""
        if self.outbox is not None and self.state == _OPEN:
            self.shared.fanout.reply(self.outbox, text)

    def write_binary(self, data: bytes) -> None:
        """Queue a binary message; do nothing when the connection has ended."""
        if self.outbox is not None and self.state == _OPEN:
            self.sendData(self.outbox.format.binary(data))

    def on_timer(self) -> None:
        """Check whether the handshake or a sign of life is late."""
        if self.lifecycle is State.CONNECTING:
            self.drop(CloseReason.HANDSHAKE_TIMEOUT)
        elif self.lifecycle in _ANSWERED and self.conversation is not None:
            self._check(self.conversation)

    def _check(self, conversation: Conversation) -> None:
        """Drop the client when it is silent or its identity has expired, or ping it."""
        settings, identity = self.shared.settings, conversation.identity
        if self in self.read_turns:
            # Whether it is silent is not known as long as it is not read.
            self.last_heard = self.shared.timer_wheel.now
        silent = self.silent_seconds()
        if self._seconds_to_expiry(identity) <= 0:
            self.drop(expiry_reason(identity))
        elif silent >= settings.silence_timeout and self.lifecycle is State.OPEN:
            self.drop(CloseReason.SILENT)
        else:
            # Where many clients are due together, some come a quarter of the interval earlier.
            if silent >= settings.ping_interval * 3 / 4 or conversation.pings_when_heard:
                self.sendData(conversation.ping)
                if self.lifecycle is State.STREAMING:
                    # Nothing comes back; the next one is due as if the client had been heard.
                    self.last_heard = self.shared.timer_wheel.now
            self._schedule_check(identity)

    def _schedule_check(self, identity: Identity) -> None:
        """Be called when the client may have been silent too long, or its identity expires."""
        settings = self.shared.settings
        silent = self.silent_seconds()
        seconds = settings.ping_interval - silent
        if seconds <= 0:
            seconds = min(settings.ping_interval, settings.silence_timeout - silent)
        if identity.expires is not None:
            seconds = min(seconds, self._seconds_to_expiry(identity))
        self.shared.timer_wheel.schedule_about(self, seconds, settings.ping_interval / 4)

    def silent_seconds(self) -> float:
        """Return for how long the client has not been heard."""
        wheel = self.shared.timer_wheel
        return (wheel.now - self.last_heard) * wheel.tick_seconds

    def _seconds_to_expiry(self, identity: Identity) -> float:
        expires = identity.expires
        return inf if expires is None else expires - self.shared.now()

    # Identity.

    def accept_identity(self, identity: Identity) -> bool:
        """Count the connection for the user of this identity, and end it when that expires.

        :returns: False when the connection has ended, or ends now because the user has too many.
        """
        if self.ticket is None or self.lifecycle not in _ALIVE:
            return False
        try:
            self.ticket.belong_to(identity.user)
        except HandshakeRefused as error:
            self.drop(error.reason)
            return False
        if self.lifecycle in _ANSWERED:
            self._schedule_check(identity)
        return True

    # Another process.

    def leave(self) -> None:
        """Do nothing more: another process goes on with the connection."""
        self.shared.timer_wheel.cancel(self)
        self._move(Event.MOVED)
        self.shared.rules.memory.forget(self)
        self.shared.on_lost(self)

    def resume(self, conversation: Conversation, silent: float = 0.0) -> None:
        """Go on with a connection of another process; it has its ticket and its outbox.

        :param silent: seconds for which the client had not been heard. Where a ping is due, it is
            sent at the next tick: what the client has sent meanwhile is not read yet.
        """
        self.conversation = conversation
        self._move(Event.OPENED)
        wheel = self.shared.timer_wheel
        most = self.shared.settings.ping_interval - wheel.tick_seconds
        self.last_heard = wheel.now - round(min(silent, most) / wheel.tick_seconds)
        self._schedule_check(conversation.identity)

    # Ends.

    def drop(self, reason: CloseReason, detail: str = "") -> None:
        """End the connection at once by a TCP abort; clients of ``ab.connect`` reconnect."""
        if self.lifecycle in _ALIVE:
            self._move(Event.DROPPED)
            self._count(reason, detail)
            if self.outbox is not None:
                self.outbox.close()
            self.transport.abortConnection()

    def end(self, reason: CloseReason, detail: str = "", code: int | None = None) -> None:
        """End the connection once everything queued is sent.

        :param reason: counted and logged; if it has a close code, a Close frame is sent.
        :param detail: for the log and the Close frame.
        :param code: of the Close frame; None for the one of the reason.
        """
        code = reason.value.close_code if code is None else code
        wait_for = WaitFor.NOTHING
        if self.lifecycle in _ANSWERED:
            wait_for = WaitFor.END_OF_STREAM
            if code is not None and self.lifecycle is State.OPEN:
                wait_for = WaitFor.CLOSE_FRAME
                self.sendData(close_frame(code, detail))
        if self.lifecycle in _ALIVE:
            self._finish(reason, detail, wait_for)

    def on_overflow(self) -> None:
        """The client's queue is full."""
        self.drop(CloseReason.SLOW_CLIENT)

    def _count(self, reason: CloseReason, detail: str = "") -> None:
        self.reason = reason
        subscriber = None if self.conversation is None else self.conversation.subscriber
        session = "" if subscriber is None else subscriber.session_id
        self.shared.ledger.end(reason, self.address, detail, session)

    def _finish(self, reason: CloseReason, detail: str, wait_for: WaitFor) -> None:
        wheel = self.shared.timer_wheel
        # What a client that is not read has sent may hold the answer to our Close frame.
        paused = self in self.read_turns
        self._move(Event.ENDED)
        self._count(reason, detail)
        self.shared.fanout.end_batch()
        wheel.cancel(self)
        if self.outbox is not None:
            self.stage = closing = self.outbox.finish(wheel, self._move, wait_for=wait_for)
            closing.start()
            if paused:
                self.pass_rest()

    def _fail_connection(self, code: int = 1002, reason: str = "") -> None:
        """Autobahn found a violation of RFC 6455: send a Close frame and end the connection.

        The client's answer is not awaited: RFC 6455 section 7.1.7 forbids reading on.
        """
        if self.state == _OPEN:
            self.failedByMe = True
            self.sendData(close_frame(code, reason))
            if self.lifecycle is State.OPEN:
                self._finish(reason_of(code), reason, WaitFor.END_OF_STREAM)

    def dropConnection(self, abort: bool = False) -> None:
        """Autobahn has answered the client's Close frame."""
        if self.lifecycle is State.OPEN:
            self._finish(CloseReason.PEER_CLOSED, "", WaitFor.NOTHING)
        # Autobahn has set its CLOSING, also when the answer did not fit and we dropped the client.
        self.state = FrameReader.STATE_CLOSED
