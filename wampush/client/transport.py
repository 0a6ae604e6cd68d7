"""The connection of the WAMP v1 client: TCP or TLS, WebSocket, and reconnecting after a loss.

Owns: Autobahn's client protocol and factory, the endpoint of a URL, the service that reconnects.
Must not import: anything of wampush but ``errors``, ``client.failures``, ``client.tls`` and the
version.
It does not know WAMP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.application.internet import ClientService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from zope.interface import implementer

from wampush import __version__
from wampush.client import failures
from wampush.client.tls import server_verification
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProtocolFactory
    from twisted.python.failure import Failure

#: Bytes of one message from the server; a push may have 1 MiB, this leaves room for more.
MAX_MESSAGE_BYTES = 16_777_216
#: Seconds between pings, and until an unanswered one ends the connection.
PING_INTERVAL = 30.0


class Channel(WebSocketClientProtocol):  # type: ignore[misc]
    """One WebSocket connection. The service makes it, the listener uses it."""

    listener: Listener
    #: Why the handshake failed, once that is known.
    _failure: str | None = None
    #: The HTTP status of a response that refused the handshake.
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
        """Notify the listener that the handshake is complete."""
        self.listener.on_open(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Notify the listener of a message."""
        self.listener.on_message(payload, isBinary)

    def failHandshake(self, reason: str) -> None:
        """Keep the reason a server gives for refusing the handshake."""
        self._status = failures.status_of(self.data)
        self._failure = failures.refusal(self.data, reason)
        super().failHandshake(self._failure)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Explain a connection that ended before the handshake was answered."""
        if self.state == self.STATE_CONNECTING and self.wasNotCleanReason is None:
            self._failure = failures.loss(self.data, reason.value, self.factory.isSecure)
        super().connectionLost(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Notify the listener of the end, with its reason; also called after a failed handshake."""
        if wasClean:
            said = f": {reason}" if reason else ""
            self.listener.on_closed(f"the server closed the connection (code {code}{said})", None)
        else:
            self.listener.on_closed(
                self._failure or reason or "the connection was lost", self._status
            )


def without_secrets(url: str) -> str:
    """Return a URL that may be logged: without its query, which may hold a token."""
    address, mark, _ = url.partition("?")
    return f"{address}?…" if mark else address


@dataclass(frozen=True, slots=True)
class Listener:
    """The callbacks for what happens to the connection.

    :param on_connecting: an attempt starts.
    :param on_unreachable: an attempt failed before there was a connection; takes the reason.
    :param on_open: the WebSocket handshake is complete.
    :param on_message: a message arrived; takes the payload and whether it is binary.
    :param on_closed: a connection ended, whether it had been opened or not; takes the reason, and
        the HTTP status of the response if the server refused the handshake.
    """

    on_connecting: Callable[[], None]
    on_unreachable: Callable[[str], None]
    on_open: Callable[[Channel], None]
    on_message: Callable[[bytes, bool], None]
    on_closed: Callable[[str, int | None], None]


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
    """An endpoint that reports when an attempt starts and why it failed.

    ClientService reports neither.
    """

    def __init__(self, endpoint: Any, listener: Listener) -> None:
        self._endpoint = endpoint
        self._listener = listener

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        self._listener.on_connecting()
        attempt: Deferred[Any] = self._endpoint.connect(protocolFactory)
        return attempt.addErrback(self._failed)

    def _failed(self, failure: Failure) -> Failure:
        if not failure.check(CancelledError):
            reason = failure.getErrorMessage().rstrip(".")
            if failure.check(Refused):
                reason += "; is wampush running?"
            self._listener.on_unreachable(reason)
        return failure


def endpoint_of(url: str, reactor: object, ca_file: str | None = None) -> IStreamClientEndpoint:
    """Return the endpoint of a WebSocket URL (RFC 6455 section 3).

    :param ca_file: a PEM file; its certificates are trusted instead of those of the system.
    :raises OperatorError: when it is not a WebSocket URL, or the file cannot be used.
    """
    wrong = OperatorError(
        f"{without_secrets(url)!r} is not a WebSocket URL; write ws://HOST:PORT/ or wss://HOST:PORT/"
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
    if not secure:
        return endpoint
    verification = cast(
        "IOpenSSLClientConnectionCreator", server_verification(parts.hostname, ca_file)
    )
    return wrapClientTLS(verification, endpoint)


def reconnecting_service(
    url: str,
    reactor: Any,
    listener: Listener,
    delay: Callable[[], float],
    endpoint: IStreamClientEndpoint | None = None,
    ca_file: str | None = None,
) -> ClientService:
    """Make a service that connects when started, and again after every loss, until stopped.

    :param delay: seconds until the next attempt; called after ``on_unreachable`` and ``on_closed``.
    :param endpoint: where to connect instead of the URL's host and port.
    :param ca_file: see :func:`endpoint_of`.
    :raises OperatorError: when the URL is not a WebSocket URL.
    """
    watched = _WatchedEndpoint(
        endpoint_of(url, reactor, ca_file) if endpoint is None else endpoint, listener
    )
    return ClientService(
        cast("IStreamClientEndpoint", watched),
        _Factory(listener, url, reactor),
        # ClientService restarts its own count with every TCP connection, even one without WELCOME.
        retryPolicy=lambda _: delay(),
        clock=reactor,
    )
