"""POST requests with JSON to one URL of the web application.

Owns: the HTTP client, the size limits of a response, the end of its connection, and the wording of
what went wrong.
Must not import: Autobahn, the edges, the apps, the broker.

Each request has a connection of its own. The server may close a connection that is kept open just
as a request goes out; then it is unknown whether the request was carried out, and a POST must not
be repeated on a guess (RFC 9110 section 9.2.2). So every restart of a web server would fail a few
requests that a fresh connection would have delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, cast

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.defer import TimeoutError as DeferTimeout
from twisted.internet.error import ConnectionRefusedError as RefusedByPeer
from twisted.internet.error import DNSLookupError, NoRouteError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web._newclient import HTTP11ClientProtocol
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IPolicyForHTTPS
from zope.interface import implementer

from wampush.errors import BackendError
from wampush.server_verification import ServerVerification

MOST_BYTES: Final = 65_536
#: Limit for a connection as a whole: headers, interim responses, and chunk framing, which takes
#: more than the content of short chunks.
MOST_RECEIVED: Final = 4 * MOST_BYTES
#: Seconds that a server may take to close its side after a response. Over TLS the connection stays
#: open until then.
CLOSE_SECONDS: Final = 5.0
_DISCARD: Any = lambda _: None  # noqa: E731 (mypy takes no function for an observer)
# Each interim response (RFC 9110 section 15.2) would be logged.
_SILENT: Final = Logger(namespace="wampush.net", observer=_DISCARD)
_SERVER_ERRORS: Final = range(500, 600)
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class ResponseTooLong(BackendError):
    """The body of a response is longer than :data:`MOST_BYTES`."""


class UnusableResponse(BackendError):
    """A response that is not one of those agreed with the web application.

    :param problem: what is wrong with it, for the log; contains nothing of the response.
    :param status: HTTP status code.
    """

    def __init__(self, problem: str, status: int = 200) -> None:
        self.status = status
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response to a POST.

    :param status: HTTP status code.
    :param body: at most 64 KiB.
    """

    status: int
    body: bytes = field(repr=False)


@implementer(IBodyProducer)
class _RequestBody:
    """A request body that is written at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """Write the whole body."""
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Do nothing: everything is written."""

    def resumeProducing(self) -> None:
        """Do nothing: everything is written."""

    def stopProducing(self) -> None:
        """Do nothing: everything is written."""


class _ResponseBody(Protocol):
    """A response body, collected up to the size limit.

    :param drop: drops the connection.
    """

    def __init__(self, status: int, drop: Callable[[], None]) -> None:
        self.done: Deferred[HttpResponse] = Deferred(self._cancel)
        self._status = status
        self._drop = drop
        self._data = bytearray()

    def dataReceived(self, data: bytes) -> None:
        """Collect a part of the body."""
        if self.done.called:
            return
        self._data += data
        if len(self._data) > MOST_BYTES:
            self.done.errback(ResponseTooLong())
            self._drop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Handle the end of the body, or of the connection before it."""
        if self.done.called:
            return
        # The latter: a response without a length, as PHP's own server sends it.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(HttpResponse(self._status, bytes(self._data)))
        else:
            self.done.errback(reason)

    def _cancel(self, done: Deferred[HttpResponse]) -> None:
        done.errback(CancelledError())
        self._drop()


class _Client(HTTP11ClientProtocol):
    """One request over one connection, with limits on what the server may do.

    Twisted closes a connection and leaves the rest to the server. Over TLS this means that Twisted
    goes on reading whatever arrives until the server closes its side.

    :param reactor: for the timer that ends this.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._received = 0
        self._end: Any = None

    def request(self, request: Any) -> Any:
        """Send the request; what reads the response can drop the connection."""
        responded = super().request(request)
        self._parser._log = _SILENT  # type: ignore[union-attr]  # noqa: SLF001 (no other way)
        return responded.addCallback(self._read)

    def dataReceived(self, data: bytes) -> None:
        """Handle bytes from the server; after the response they are ignored."""
        if self._parser is None:
            return
        self._received += len(data)
        if self._received > MOST_RECEIVED:
            self._giveUp(Failure(ResponseTooLong()))
            self._drop()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Stop the timer: the connection is gone."""
        if self._end is not None and self._end.active():
            self._end.cancel()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _read(self, response: Any) -> Deferred[HttpResponse]:
        body = _ResponseBody(response.code, self._drop)
        response.deliverBody(body)
        return body.done

    def _giveUp(self, reason: Failure) -> None:
        super()._giveUp(reason)  # type: ignore[no-untyped-call]
        if self._end is None:
            self._end = self._reactor.callLater(CLOSE_SECONDS, self._drop)

    def _drop(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


class _ClientFactory(Factory):
    """A factory of clients that does not log two lines about each."""

    noisy = False

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def buildProtocol(self, addr: object) -> _Client:
        """Return the protocol for a new connection."""
        return _Client(self._reactor)


class _SingleUsePool(HTTPConnectionPool):
    """A pool that opens a connection for each request."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor, persistent=False)  # type: ignore[no-untyped-call]
        self._clients = _ClientFactory(reactor)

    def getConnection(self, key: object, endpoint: Any) -> Any:
        """Open a connection."""
        return endpoint.connect(self._clients)


@implementer(IPolicyForHTTPS)
class _VerifyServers:
    """A policy that verifies the certificates and the names of all servers."""

    def creatorForNetloc(self, hostname: bytes, port: int) -> ServerVerification:
        """Return the TLS options for a new connection to a host."""
        return ServerVerification(hostname.decode("ascii"))


class HttpPost:
    """POST requests to one URL; certificates are verified against the system's trust store.

    :param reactor: for connections.
    :param url: ``http://`` or ``https://``.
    """

    def __init__(self, reactor: Any, url: str) -> None:
        policy: Any = _VerifyServers()
        self._agent = Agent(reactor, policy, pool=_SingleUsePool(reactor))
        self._url = url.encode("ascii")

    def __call__(
        self, body: bytes, cookie: bytes = b"", headers: Mapping[str, str] = _NO_HEADERS
    ) -> Deferred[HttpResponse]:
        """Send a request; cancelling what is returned drops its connection.

        :param body: JSON text.
        :param cookie: the Cookie header; empty for none.
        :param headers: further headers.
        """
        sent = Headers(
            {
                b"Content-Type": [b"application/json"],
                b"Accept": [b"application/json"],
                b"User-Agent": [b"wampush"],
            }
        )
        if cookie:
            sent.addRawHeader(b"Cookie", cookie)
        for name, value in headers.items():
            sent.addRawHeader(name, value)
        producer: Any = _RequestBody(body)
        response: Any = self._agent.request(b"POST", self._url, sent, producer)
        return cast("Deferred[HttpResponse]", response)


def cookie_header(cookies: Mapping[str, str]) -> bytes:
    """Return a Cookie header as a browser sends it, so that the web application finds its session.

    :param cookies: as they came in the header of a handshake.
    """
    pairs = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return pairs.encode("latin-1", "replace")


def not_json(body: bytes) -> str:
    """Return why a body is not JSON, without quoting any of it."""
    start = body[:100].lstrip()
    if not start:
        return "the response is empty"
    if start.startswith(b"\xef\xbb\xbf"):
        return (
            "the response is not JSON: it begins with a byte order mark (save the script as UTF-8 "
            "without BOM)"
        )
    if start.startswith(b"<"):
        return (
            "the response is not JSON: it looks like HTML (with PHP often a warning; see its log)"
        )
    return "the response is not JSON"


def never_sent(failure: Failure) -> bool:
    """Whether the server certainly has not seen the request."""
    return isinstance(
        _cause(failure), RefusedByPeer | DNSLookupError | ConnectTimeout | NoRouteError
    )


def server_responded(failure: Failure) -> bool:
    """Whether the server did respond, if not as agreed; responses 500 to 599 do not count."""
    if isinstance(failure.value, UnusableResponse):
        return failure.value.status not in _SERVER_ERRORS
    return isinstance(failure.value, ResponseTooLong)


def problem_of(failure: Failure) -> str:
    """Return what went wrong, for the log; contains nothing that was sent or received."""
    value = _cause(failure)
    if isinstance(value, RefusedByPeer):
        return "the connection was refused (is the web application running?)"
    if isinstance(value, DNSLookupError):
        return "unknown host name"
    if isinstance(value, ConnectTimeout):
        return "the connection attempt timed out"
    if isinstance(value, CancelledError | DeferTimeout):
        return "no response in time"
    if isinstance(value, ResponseTooLong):
        return f"the response is longer than {MOST_BYTES} bytes"
    if isinstance(value, UnusableResponse):
        return str(value)
    if isinstance(value, SSL.Error):
        return _tls_problem(value)
    if isinstance(value, CertificateError):
        return (
            "the certificate of the server has no subjectAltName; it needs one with the host name "
            "in the URL"
        )
    if isinstance(value, VerificationError):
        return (
            "the certificate is for another name; use a host name of the certificate in the URL, "
            "or a certificate with a subjectAltName for this one"
        )
    return f"the request failed ({type(value).__name__})"


def _tls_problem(error: SSL.Error) -> str:
    texts = [entry[-1] for entry in error.args[0]] if error.args else []
    if "certificate verify failed" in texts:
        return (
            "certificate verify failed: no authority that this system trusts has issued it, or it "
            "has expired; add its issuer (or itself, if it is self-signed) to the trust store of "
            "the system, or start wampush with SSL_CERT_FILE=FILE.pem"
        )
    if any("wrong version number" in text or "packet length" in text for text in texts):
        return "the server does not speak TLS at this port (should the URL begin with http://?)"
    return f"TLS: {', '.join(texts) or 'the connection failed'}"


def _cause(failure: Failure) -> BaseException | None:
    # ResponseFailed and similar errors wrap the cause.
    reasons = getattr(failure.value, "reasons", None)
    while reasons and isinstance(reasons[0], Failure):
        failure = reasons[0]
        reasons = getattr(failure.value, "reasons", None)
    return failure.value
