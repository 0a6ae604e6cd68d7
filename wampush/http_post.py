"""Posts JSON to one URL of the web application.

Owns: the HTTP client, the limit of an answer's size, the words for what went wrong.
Must not import: Autobahn, the edges, the apps, the broker.

Each question has a connection of its own. One that is kept open may be closed by the server just as
a question goes out; then nobody knows whether it was carried out, and a POST must not be sent twice
on a guess (RFC 9110 section 9.2.2). So every restart of a web server would fail a few questions
that a fresh connection would have brought there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectionRefusedError as RefusedByPeer
from twisted.internet.error import DNSLookupError, NoRouteError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from wampush.errors import WampushError

MOST_BYTES: Final = 65_536
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
    """Collects a body as long as it is short enough."""

    def __init__(self, status: int) -> None:
        self.done: Deferred[Answer] = Deferred(self._cancel)
        self._status = status
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        """A part of the body."""
        self._data += data
        if len(self._data) > MOST_BYTES and not self.done.called:
            self.done.errback(AnswerTooLong())
            self._drop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end of the body, or of the connection before it."""
        if self.done.called:
            return
        # The latter: an answer that told no length, as PHP's own server sends it.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(Answer(self._status, self._data))
        else:
            self.done.errback(reason)

    def _cancel(self, done: Deferred[Answer]) -> None:
        done.errback(CancelledError())
        self._drop()

    def _drop(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()


class _Connections(HTTPConnectionPool):
    """One for each question, and without two lines of log about each."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor, persistent=False)  # type: ignore[no-untyped-call]

    def _factory(self, *arguments: Any) -> Any:  # type: ignore[override]
        factory = HTTPConnectionPool._factory(*arguments)  # noqa: SLF001 (no other way to hush it)
        factory.noisy = False
        return factory


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
        return self._agent.request(b"POST", self._url, headers, question).addCallback(_read)


def _read(response: Any) -> Deferred[Answer]:
    body = _Body(response.code)
    response.deliverBody(body)
    return body.done


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
