"""Posts JSON to one URL of the web application.

Owns: the HTTP client, the limits of an answer's size, when its connection ends, the words for what
went wrong.
Must not import: Autobahn, the edges, the apps, the broker.

Each question has a connection of its own. One that is kept open may be closed by the server just as
a question goes out; then nobody knows whether it was carried out, and a POST must not be sent twice
on a guess (RFC 9110 section 9.2.2). So every restart of a web server would fail a few questions
that a fresh connection would have brought there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, cast

from twisted.internet.defer import CancelledError, Deferred, succeed
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
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from wampush.errors import WampushError

MOST_BYTES: Final = 65_536
#: What may come over a connection in all: header, interim answers, and the frames of chunks, which
#: for short ones are longer than what is in them.
MOST_RECEIVED: Final = 4 * MOST_BYTES
#: How long a server may take to close its side after an answer. Over TLS nothing ends before.
CLOSE_SECONDS: Final = 5.0
_HUSH: Any = lambda _: None  # noqa: E731 (an observer is no function to mypy)
# Each interim answer (RFC 9110 section 15.2) would be a line.
_HUSHED: Final = Logger(namespace="wampush", observer=_HUSH)
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class AnswerTooLong(WampushError):
    """The body of an answer is longer than :data:`MOST_BYTES`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    :param status: of HTTP.
    :param body: at most 64 KiB.
    """

    status: int
    body: bytes = field(repr=False)


@implementer(IBodyProducer)
class _Question:
    """A body that is written at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """Write all of it."""
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """There is nothing left to pause."""

    def resumeProducing(self) -> None:
        """There is nothing left to resume."""

    def stopProducing(self) -> None:
        """There is nothing left to stop."""


class _Body(Protocol):
    """Collects a body as long as it is short enough.

    :param drop: ends the connection at once.
    """

    def __init__(self, status: int, drop: Callable[[], None]) -> None:
        self.done: Deferred[Answer] = Deferred(self._cancel)
        self._status = status
        self._drop = drop
        self._data = bytearray()

    def dataReceived(self, data: bytes) -> None:
        """A part of the body."""
        if self.done.called:
            return
        self._data += data
        if len(self._data) > MOST_BYTES:
            self.done.errback(AnswerTooLong())
            self._drop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end of the body, or of the connection before it."""
        if self.done.called:
            return
        # The latter: an answer that told no length, as PHP's own server sends it.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(Answer(self._status, bytes(self._data)))
        else:
            self.done.errback(reason)

    def _cancel(self, done: Deferred[Answer]) -> None:
        done.errback(CancelledError())
        self._drop()


class _Client(HTTP11ClientProtocol):
    """One question over one connection, with an end to all that the server may do.

    Twisted closes a connection and leaves the rest to the server. Over TLS that means: it goes on
    reading whatever comes, until the server closes its side.

    :param reactor: for the timer of that.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._received = 0
        self._end: Any = None

    def request(self, request: Any) -> Any:
        """Send it; the answer can end the connection."""
        answered = super().request(request)
        self._parser._log = _HUSHED  # type: ignore[union-attr]  # noqa: SLF001 (no other way)
        return answered.addCallback(self._read)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the server; after the answer they are not looked at."""
        if self._parser is None:
            return
        self._received += len(data)
        if self._received > MOST_RECEIVED:
            self._giveUp(Failure(AnswerTooLong()))
            self._drop()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        if self._end is not None and self._end.active():
            self._end.cancel()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _read(self, response: Any) -> Deferred[Answer]:
        body = _Body(response.code, self._drop)
        response.deliverBody(body)
        return body.done

    def _giveUp(self, reason: Failure) -> None:
        super()._giveUp(reason)  # type: ignore[no-untyped-call]
        if self._end is None:
            self._end = self._reactor.callLater(CLOSE_SECONDS, self._drop)

    def _drop(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


class _Clients(Factory):
    """Makes clients, without two lines of log about each."""

    noisy = False

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def buildProtocol(self, addr: object) -> _Client:
        """A connection is there."""
        return _Client(self._reactor)


class _Connections(HTTPConnectionPool):
    """One for each question."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor, persistent=False)  # type: ignore[no-untyped-call]
        self._clients = _Clients(reactor)

    def getConnection(self, key: object, endpoint: Any) -> Any:
        """A new one."""
        return endpoint.connect(self._clients)


class HttpPost:
    """Sends questions to one URL; certificates are checked as the system's store says.

    :param reactor: for connections.
    :param url: ``http://`` or ``https://``.
    """

    def __init__(self, reactor: Any, url: str) -> None:
        self._agent = Agent(reactor, pool=_Connections(reactor))
        self._url = url.encode("ascii")

    def __call__(
        self, body: bytes, cookie: bytes = b"", more: Mapping[str, str] = _NO_HEADERS
    ) -> Deferred[Answer]:
        """Send one; cancelling it drops its connection.

        :param body: JSON text.
        :param cookie: the Cookie header; empty for none.
        :param more: further headers.
        """
        headers = Headers(
            {
                b"Content-Type": [b"application/json"],
                b"Accept": [b"application/json"],
                b"User-Agent": [b"wampush"],
            }
        )
        if cookie:
            headers.addRawHeader(b"Cookie", cookie)
        for name, value in more.items():
            headers.addRawHeader(name, value)
        question: Any = _Question(body)
        answer: Any = self._agent.request(b"POST", self._url, headers, question)
        return cast("Deferred[Answer]", answer)


def not_json(body: bytes) -> str:
    """Why a body is not JSON, without showing anything of it."""
    start = body[:100].lstrip()
    if not start:
        return "its answer is empty"
    if start.startswith(b"\xef\xbb\xbf"):
        return "its answer is not JSON: it begins with a byte order mark (save the script without)"
    if start.startswith(b"<"):
        return "its answer is not JSON but begins like HTML (in PHP often a warning; see its log)"
    return "its answer is not JSON"


def never_sent(failure: Failure) -> bool:
    """Whether it is certain that the server has not seen the question."""
    return isinstance(
        _cause(failure), RefusedByPeer | DNSLookupError | ConnectTimeout | NoRouteError
    )


def problem_of(failure: Failure) -> str:
    """What went wrong, for a log; without anything that was sent or received."""
    value = _cause(failure)
    if isinstance(value, RefusedByPeer):
        return "it refuses connections (is the web application running?)"
    if isinstance(value, DNSLookupError):
        return "its host name is unknown"
    if isinstance(value, ConnectTimeout):
        return "the connection takes too long"
    if isinstance(value, CancelledError):
        return "no answer in time"
    if isinstance(value, AnswerTooLong):
        return f"its answer is longer than {MOST_BYTES} bytes"
    return f"the request failed ({type(value).__name__})"


def _cause(failure: Failure) -> BaseException | None:
    # ResponseFailed and its like wrap what happened.
    reasons = getattr(failure.value, "reasons", None)
    while reasons and isinstance(reasons[0], Failure):
        failure = reasons[0]
        reasons = getattr(failure.value, "reasons", None)
    return failure.value
