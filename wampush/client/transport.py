"""The connection below the WAMP v1 client: TCP or TLS, WebSocket, and coming back after a loss.

Owns: Autobahn's client protocol and factory, the endpoint of a URL, the service that reconnects.
Must not import: anything of wampush but ``errors``, ``client.words`` and the version; what WAMP is,
``client`` knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.application.internet import ClientService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.internet.ssl import optionsForClientTLS
from zope.interface import implementer

from wampush import __version__
from wampush.client import words
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IProtocolFactory
    from twisted.python.failure import Failure

#: Bytes of one message from the server; a push may have 1 MiB, this leaves room for more.
MAX_MESSAGE_BYTES = 16_777_216
#: Seconds between pings, and until an unanswered one ends the connection.
PING_INTERVAL = 30.0


class Channel(WebSocketClientProtocol):  # type: ignore[misc]
    """One WebSocket connection; made by the service, used by the listener."""

    listener: Listener
    #: Why it was not opened, once it is known.
    _why: str | None = None
    #: The HTTP status of the answer that refused it.
    _status: int | None = None

    def send(self, text: bytes) -> None:
        """Send one text frame."""
        self.sendMessage(text)

    def close(self) -> None:
        """Close with code 1000 (RFC 6455 section 7.4.1)."""
        self.sendClose(1000)

    def abort(self) -> None:
        """Drop the TCP connection at once."""
        self.transport.abortConnection()

    def onOpen(self) -> None:
        """Pass it on."""
        self.listener.opened(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Pass it on."""
        self.listener.received(payload, isBinary)

    def failHandshake(self, reason: str) -> None:
        """Put what a server says of a handshake that it refused into words."""
        self._status = words.status_of(self.data)
        self._why = words.refusal(self.data, reason)
        super().failHandshake(self._why)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Put an end before the handshake was answered into words."""
        if self.state == self.STATE_CONNECTING and self.wasNotCleanReason is None:
            self._why = words.loss(self.data, reason.value, self.factory.isSecure)
        super().connectionLost(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Pass it on, in words; also called when the handshake failed."""
        if wasClean:
            said = f": {reason}" if reason else ""
            self.listener.closed(f"the server closed the connection (code {code}{said})", None)
        else:
            self.listener.closed(self._why or reason or "the connection was lost", self._status)


def without_secrets(url: str) -> str:
    """A URL for people to read: its query may hold a token."""
    address, mark, _ = url.partition("?")
    return f"{address}?…" if mark else address


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told what happens to the connection.

    :param connecting: an attempt starts.
    :param not_reached: it failed before there was a connection; with the reason in words.
    :param opened: the WebSocket handshake is done.
    :param received: a message; whether it was binary.
    :param closed: a connection ended, whether it had been opened or not; with the reason in words,
        and the HTTP status of the answer if the server refused the handshake.
    """

    connecting: Callable[[], None]
    not_reached: Callable[[str], None]
    opened: Callable[[Channel], None]
    received: Callable[[bytes, bool], None]
    closed: Callable[[str, int | None], None]


class _Factory(WebSocketClientFactory):  # type: ignore[misc]
    noisy = False

    def __init__(self, listener: Listener, url: str, reactor: object) -> None:
        WebSocketClientFactory.__init__(
            self, url, protocols=["wamp"], useragent=f"wampush/{__version__}", reactor=reactor
        )
        self._listener = listener
        self.setProtocolOptions(
            maxMessagePayloadSize=MAX_MESSAGE_BYTES,
            maxFramePayloadSize=MAX_MESSAGE_BYTES,
            autoPingInterval=PING_INTERVAL,
            autoPingTimeout=PING_INTERVAL,
        )

    def buildProtocol(self, addr: object) -> Channel:
        channel = Channel()
        channel.factory = self
        channel.listener = self._listener
        return channel


@implementer(IStreamClientEndpoint)
class _WatchedEndpoint:
    """Tells when an attempt starts and why it failed, which ClientService keeps to itself."""

    def __init__(self, endpoint: Any, listener: Listener) -> None:
        self._endpoint = endpoint
        self._listener = listener

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        self._listener.connecting()
        attempt: Deferred[Any] = self._endpoint.connect(protocolFactory)
        return attempt.addErrback(self._failed)

    def _failed(self, failure: Failure) -> Failure:
        if not failure.check(CancelledError):
            self._listener.not_reached(failure.getErrorMessage().rstrip("."))
        return failure


def endpoint_of(url: str, reactor: object) -> IStreamClientEndpoint:
    """The endpoint of a WebSocket URL (RFC 6455 section 3).

    :raises OperatorError: it is none.
    """
    wrong = OperatorError(
        f"{without_secrets(url)!r} is no WebSocket URL; write ws://HOST:PORT/ or wss://HOST:PORT/"
    )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise wrong from error
    if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.fragment or port == 0:
        raise wrong
    secure = parts.scheme == "wss"
    plain = HostnameEndpoint(reactor, parts.hostname, port or (443 if secure else 80))
    endpoint = cast("IStreamClientEndpoint", plain)
    return wrapClientTLS(optionsForClientTLS(parts.hostname), endpoint) if secure else endpoint


def reconnecting_service(
    url: str,
    reactor: Any,
    listener: Listener,
    delay: Callable[[], float],
    endpoint: IStreamClientEndpoint | None = None,
) -> ClientService:
    """A service that connects when started, and again after every loss, until stopped.

    :param delay: seconds until the next attempt; asked after ``not_reached`` or ``closed``.
    :param endpoint: where to connect instead of the URL's host and port.
    :raises OperatorError: the URL is no WebSocket URL.
    """
    watched = _WatchedEndpoint(
        endpoint_of(url, reactor) if endpoint is None else endpoint, listener
    )
    return ClientService(
        cast("IStreamClientEndpoint", watched),
        _Factory(listener, url, reactor),
        # Its own count starts again with every TCP connection, also one that never gets anywhere.
        retryPolicy=lambda _: delay(),
        clock=reactor,
    )
