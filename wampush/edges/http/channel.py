"""One connection of the HTTP port, with a time limit for everything it waits for.

Owns: the phases of a connection, how long a request may take to arrive, and how long a response may
take to be sent.
Must not import: anything of wampush but ``wampush.state_machine`` and ``edges.wrong_protocols``.

Twisted's own timeout, which is off here, starts again with each byte, so a header may trickle in
for ever. While a request is answered there is no timeout at all, nor when a closed connection has a
peer that reads nothing. Over TLS, a closed connection is even read until the peer closes its side.
"""

from __future__ import annotations

from enum import Enum, unique
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.web.http import HTTPChannel

from wampush.edges.wrong_protocols import wrong_protocol
from wampush.state_machine import moved

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.python.failure import Failure
    from twisted.web.http import Request

#: Seconds from the connection, or the first byte of a later request, to the end of its header.
HEADER_TIMEOUT: Final = 10.0
#: Seconds from there to the end of its body.
BODY_TIMEOUT: Final = 60.0
#: Seconds from there until the response is handed over; longer than a push waits in a pause.
RESPONSE_TIMEOUT: Final = 60.0
#: Seconds without a request after which a connection is closed.
IDLE_TIMEOUT: Final = 60.0
#: Seconds in which a closed connection must take what is still to be sent.
CLOSE_TIMEOUT: Final = 15.0


@unique
class Phase(Enum):
    """What a connection waits for."""

    #: The first byte.
    NEW = "new"
    #: The end of a header.
    HEADER = "header"
    #: The end of a body.
    BODY = "body"
    #: The response.
    RESPONSE = "response"
    #: The end of a response that goes on as long as the peer reads it.
    STREAM = "stream"
    #: The next request.
    IDLE = "idle"
    #: The peer, which must take what is still to be sent; what it sends is ignored.
    CLOSING = "closing"


MOVES: Final[Mapping[Phase, frozenset[Phase]]] = MappingProxyType(
    {
        Phase.NEW: frozenset({Phase.HEADER, Phase.CLOSING}),
        Phase.HEADER: frozenset({Phase.BODY, Phase.CLOSING}),
        Phase.BODY: frozenset({Phase.RESPONSE, Phase.CLOSING}),
        Phase.RESPONSE: frozenset({Phase.STREAM, Phase.IDLE, Phase.CLOSING}),
        Phase.STREAM: frozenset({Phase.IDLE, Phase.CLOSING}),
        # The header of a pipelined request is there already.
        Phase.IDLE: frozenset({Phase.HEADER, Phase.BODY, Phase.CLOSING}),
        Phase.CLOSING: frozenset(),
    }
)
"""The legal moves of a connection."""

TIMEOUTS: Final[Mapping[Phase, float | None]] = MappingProxyType(
    {
        Phase.NEW: HEADER_TIMEOUT,
        Phase.HEADER: HEADER_TIMEOUT,
        Phase.BODY: BODY_TIMEOUT,
        Phase.RESPONSE: RESPONSE_TIMEOUT,
        Phase.STREAM: None,
        Phase.IDLE: IDLE_TIMEOUT,
        Phase.CLOSING: CLOSE_TIMEOUT,
    }
)
"""Seconds that each phase may last; None for a stream, which ends when its peer does not read."""


class ChannelOwner(Protocol):
    """Keeps account of the connections."""

    def keeps_connections(self) -> bool:
        """Return whether connections may take further requests."""

    def on_open(self, channel: BoundedChannel) -> None:
        """Take note of a new connection."""

    def is_permitted(self, request: Request) -> bool:
        """Return whether a request may see state."""

    def on_wrong_protocol(self, channel: BoundedChannel, mistake: str) -> None:
        """Take note of a client that does not speak HTTP."""

    def on_closed(self, channel: BoundedChannel) -> None:
        """Take note that a connection is gone."""


#: In which a connection waits for its peer.
_WAITS_FOR_PEER: Final = frozenset(Phase) - {Phase.RESPONSE}
#: In which a request is on its way, or being answered.
_WITH_REQUEST: Final = frozenset({Phase.NEW, Phase.HEADER, Phase.BODY, Phase.RESPONSE})


class BoundedChannel(HTTPChannel):
    """A connection that ends when its peer exceeds the time limit of a phase.

    It reads one request per reactor turn: a peer that sends hundreds in one go would delay
    everybody else.
    """

    #: Set by the site, as Twisted's factories do, together with ``callLater``.
    factory: ChannelOwner
    callLater: Callable[..., Any]
    #: Whether the last request may see state.
    is_permitted = False
    _timer: Any = None
    _next_request: Any = None
    _phase = Phase.NEW

    @property
    def has_request(self) -> bool:
        """Whether a request is on its way, or being answered."""
        return self._phase in _WITH_REQUEST

    @property
    def can_give_way(self) -> bool:
        """Whether it waits for its peer, and its last request was not permitted to see state."""
        return not self.is_permitted and self._phase in _WAITS_FOR_PEER

    @property
    def address(self) -> str:
        """The address of the peer; "unix socket" without one."""
        transport: Any = self.transport
        return str(getattr(transport.getPeer(), "host", None) or "unix socket")

    def connectionMade(self) -> None:
        """Wait for the first byte; with TLS, its handshake is still to come."""
        HTTPChannel.connectionMade(self)
        self.factory.on_open(self)
        self._start_timer()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of the peer; they are ignored once the connection is closing."""
        if self._phase is Phase.CLOSING:
            return
        if self._phase is Phase.NEW:
            mistake = wrong_protocol(data)
            if mistake is not None:
                # Without a response, the client would wait until its time is up.
                self.factory.on_wrong_protocol(self, mistake)
                HTTPChannel.write(self, b"HTTP/1.1 400 Bad Request\r\n\r\n")
                self.loseConnection()
                return
            # The time limit goes on, so that a client cannot prolong it with one byte.
            self._phase = moved(MOVES, self._phase, Phase.HEADER)
        elif self._phase is Phase.IDLE:
            self._enter(Phase.HEADER)
        HTTPChannel.dataReceived(self, data)

    def allHeadersReceived(self) -> None:
        """Wait for the body."""
        self._enter(Phase.BODY)
        HTTPChannel.allHeadersReceived(self)

    def allContentReceived(self) -> None:
        """Wait for the response."""
        self._enter(Phase.RESPONSE)
        HTTPChannel.allContentReceived(self)

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """Return whether the connection takes another request, and say so in the response."""
        if self.factory.keeps_connections():
            return bool(HTTPChannel.checkPersistence(self, request, version))
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False

    def on_header(self, request: Request) -> None:
        """Take note of a request whose header is complete."""
        self.is_permitted = self.factory.is_permitted(request)

    def stream(self) -> None:
        """Let the response take as long as it takes; whoever writes it ends it."""
        self._enter(Phase.STREAM)

    def requestDone(self, request: Request) -> None:
        """Wait for the next request, or close the connection."""
        has_more = self._buffer or any(self._dataBuffer)
        if has_more and self.persistent and self._phase is not Phase.CLOSING:
            self._next_request = self.callLater(0, self._end_request, request)
        else:
            self._end_request(request)

    def _end_request(self, request: Request) -> None:
        self._next_request = None
        self._enter(Phase.IDLE)
        HTTPChannel.requestDone(self, request)

    def loseConnection(self) -> None:
        """Close the connection once everything is sent or the time is up."""
        self._enter(Phase.CLOSING)
        HTTPChannel.loseConnection(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Stop the timer and report the end."""
        self._stop_timer()
        if self._next_request is not None:
            self._next_request.cancel()
            self._next_request = None
        self.factory.on_closed(self)
        HTTPChannel.connectionLost(self, reason)

    def _enter(self, phase: Phase) -> None:
        # Twisted may finish a request after the connection was closed; closing goes on.
        if self._phase is not Phase.CLOSING:
            self._phase = moved(MOVES, self._phase, phase)
            self._start_timer()

    def _start_timer(self) -> None:
        self._stop_timer()
        seconds = TIMEOUTS[self._phase]
        if seconds is not None:
            self._timer = self.callLater(seconds, self._on_timeout)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _on_timeout(self) -> None:
        if self._phase is Phase.IDLE:
            self.loseConnection()
        else:
            self.abort()

    def abort(self) -> None:
        """Close the connection at once, whatever is still to be sent."""
        transport: Any = self.transport
        transport.abortConnection()
