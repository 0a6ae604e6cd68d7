"""One connection of the HTTP port, with an end to everything it waits for.

Owns: how long a request may take to arrive, and its answer to be taken.
Must not import: anything of wampush.

Twisted's own timeout, which is off here, begins anew with each byte, so that a header may trickle
for ever; while a request is answered there is none at all, nor for a peer that reads nothing when
its connection is closed. Over TLS a closed connection is read until the peer closes its side, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.web.http import HTTPChannel

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure
    from twisted.web.http import Request

#: Seconds from the connection, or the first byte of a later request, to the end of its header.
HEAD_TIMEOUT: Final = 10.0
#: Seconds from there to the end of its body.
BODY_TIMEOUT: Final = 60.0
#: Seconds from there until the answer is handed over; longer than a push waits in a pause.
ANSWER_TIMEOUT: Final = 60.0
#: Seconds without a request after which a connection is closed.
IDLE_TIMEOUT: Final = 60.0
#: Seconds that a closed connection gets to take what is still to be sent.
CLOSE_TIMEOUT: Final = 15.0
#: How a TLS client begins: a handshake record (RFC 8446 section 5.1).
_TLS_RECORD: Final = b"\x16\x03"


class Connections(Protocol):
    """Who counts the connections."""

    def on_open(self, channel: BoundedChannel) -> None:
        """One is there."""

    def closed(self, channel: BoundedChannel) -> None:
        """One is gone."""


class BoundedChannel(HTTPChannel):
    """A connection that ends when its peer takes too long for anything."""

    #: The site, which sets it, and which hands in ``callLater`` as well.
    factory: Connections
    callLater: Callable[..., Any]
    _timer: Any = None
    _idle = False
    _spoken = False
    _closed = False

    def connectionMade(self) -> None:
        """The TCP connection is there; under TLS its handshake is still to come."""
        HTTPChannel.connectionMade(self)
        self.factory.on_open(self)
        self._end_in(HEAD_TIMEOUT)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the peer; once the connection is closed they are not looked at."""
        if self._closed:
            return
        if not self._spoken and data.startswith(_TLS_RECORD):
            # Without an answer its sender would wait for it until time is up.
            HTTPChannel.write(self, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.loseConnection()
            return
        self._spoken = True
        if self._idle:
            self._idle = False
            self._end_in(HEAD_TIMEOUT)
        HTTPChannel.dataReceived(self, data)

    def allHeadersReceived(self) -> None:
        """The header is complete."""
        self._idle = False
        self._end_in(BODY_TIMEOUT)
        HTTPChannel.allHeadersReceived(self)

    def allContentReceived(self) -> None:
        """The body is complete, too."""
        self._end_in(ANSWER_TIMEOUT)
        HTTPChannel.allContentReceived(self)

    def requestDone(self, request: Request) -> None:
        """The answer is handed over; the end, or the next request, comes behind it."""
        self._idle = True
        self._end_in(IDLE_TIMEOUT)
        HTTPChannel.requestDone(self, request)

    def loseConnection(self) -> None:
        """Close once everything is sent, or time is up."""
        self._idle = False
        self._end_in(CLOSE_TIMEOUT)
        self._closed = True
        HTTPChannel.loseConnection(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """The connection is gone."""
        self._stop_timer()
        self.factory.closed(self)
        HTTPChannel.connectionLost(self, reason)

    def _end_in(self, seconds: float) -> None:
        if self._closed:
            return
        self._stop_timer()
        self._timer = self.callLater(seconds, self._time_is_up)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _time_is_up(self) -> None:
        if self._idle:
            self.loseConnection()
        else:
            transport: Any = self.transport
            transport.abortConnection()
