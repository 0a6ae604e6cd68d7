"""The HTTP edge in memory: bytes of a request in, bytes of the response out."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from wampush.broker.session_ends import EndedSessions
from wampush.edges.acknowledged_pushes import Published
from wampush.edges.http.listings import Ended
from wampush.edges.http.operator_access import HttpAccess
from wampush.edges.http.routes import HttpEdge, HttpView
from wampush.edges.http.site import HttpLimits
from wampush.edges.topic_requests import Answer, TopicAnswers, topic_request
from wampush.errors import InputRefused, PushRefused, Refusal

MAX_BYTES = 1000
LIMITS = HttpLimits(2, 0, MAX_BYTES)

reactor: Any = installed


@dataclass
class RecordedPushes:
    """Publishes nothing, but keeps what it was told to."""

    receivers: int = 0
    error: InputRefused | None = None
    published: list[list[bytes]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    refused: list[tuple[str, str, list[bytes]]] = field(default_factory=list)

    def publish(
        self,
        parts: Sequence[bytes],
        origin: str,  # noqa: ARG002
        push_id: str = "",
    ) -> Deferred[Published]:
        self.published.append(list(parts))
        self.ids.append(push_id)
        return succeed(Published(self.receivers)) if self.error is None else fail(self.error)

    def publish_list(
        self, body: bytes, origin: str, push_id: str = ""
    ) -> Deferred[list[Published | PushRefused]]:
        done = self.publish([body], origin, push_id)
        refused = PushRefused(Refusal.STALE, "Found this.")
        return done.addCallback(lambda published: [published, refused])

    def refuse(self, error: InputRefused, origin: str, parts: Sequence[bytes]) -> None:
        self.refused.append((error.refusal.code, origin, list(parts)))


@dataclass
class RecordedListing:
    """Lists how it was asked, and keeps whose sessions it was told to end."""

    ended: list[str] = field(default_factory=list)

    unanswered: tuple[str, ...] = ()
    waiting: list[Callable[[], object]] | None = None

    def _answer(self, call: Callable[[], object]) -> None:
        if self.waiting is None:
            call()
        else:
            self.waiting.append(call)

    def topics(
        self, prefix: str, after: str, limit: int, done: Callable[[Mapping[str, object]], object]
    ) -> None:
        self._answer(lambda: done({"topics": [prefix, after, limit], "next": None}))

    def sessions(
        self,
        user: str | None,
        after: str,
        limit: int,
        done: Callable[[Mapping[str, object]], object],
    ) -> None:
        self._answer(lambda: done({"sessions": [user, after, limit], "next": None}))

    def session(
        self,
        session_id: str,
        done: Callable[[Mapping[str, object] | None, tuple[str, ...]], object],
    ) -> None:
        found = {"session": session_id} if session_id == "abc" else None
        self._answer(lambda: done(found, self.unanswered))

    def end_session(self, session_id: str, done: Callable[[Ended], object]) -> None:
        self.ended.append(session_id)
        ended = EndedSessions(int(session_id == "abc"), self.unanswered)
        self._answer(lambda: done(ended))

    def end_user_sessions(self, user: str, done: Callable[[Ended], object]) -> None:
        self.ended.append(user)
        self._answer(lambda: done(EndedSessions(2, self.unanswered)))


@dataclass
class RecordedProbes:
    """Says what a test wants, and what was left out."""

    status: str = "ready"
    parts: Collection[str] = ("websocket", "redis")

    def report(self, excluded: Collection[str]) -> Mapping[str, object]:
        return {"status": self.status, "parts": [], "excluded": list(excluded)}


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes


def problem_of(response: Response) -> str:
    """What a response says is wrong."""
    document = json.loads(response.body)
    assert response.headers["content-type"] == "application/problem+json"
    assert document["status"] == response.status
    # For clients that are older than problem details.
    assert document["error"] == document["detail"]
    return str(document["detail"])


def watch_nothing(_: Callable[[str, bytes], None]) -> Callable[[], None]:
    """A node on which nothing is published."""
    return lambda: None


def no_topic(target: str, _: str) -> Answer:
    """A node without histories."""
    return TopicAnswers(None).respond(topic_request(target), None, "")


def refuse(peer: str) -> None:
    raise AssertionError(peer)


def run(
    edge: HttpEdge,
    request: bytes,
    peer: str = "127.0.0.1",
    on_websocket: Callable[[str, str], None] = lambda *_: None,
) -> bytes:
    """What the edge answers to a connection that sends these bytes."""
    address: Any = IPv4Address("TCP", peer, 50000)
    transport = StringTransport(IPv4Address("TCP", "127.0.0.1", 8081), address)
    channel = edge.site(reactor, refuse, print, on_websocket).buildProtocol(address)
    channel.makeConnection(transport)
    channel.dataReceived(request)
    # Files are sent piece by piece by Twisted's cooperator, which needs the reactor to turn.
    while not transport.disconnecting:
        reactor.iterate(0.01)
    answer = transport.value()
    channel.connectionLost(Failure(ConnectionDone()))
    return answer


class Exchange:
    """A request whose response may come later."""

    def __init__(self, edge: HttpEdge, request: bytes) -> None:
        address: Any = IPv4Address("TCP", "127.0.0.1", 50000)
        self._transport = StringTransport(IPv4Address("TCP", "127.0.0.1", 8081), address)
        self._channel = edge.site(reactor, refuse, print, print).buildProtocol(address)
        self._channel.makeConnection(self._transport)
        self._channel.dataReceived(request)

    @property
    def received(self) -> bytes:
        """What has come."""
        return self._transport.value()

    def lose(self) -> None:
        """The client has gone."""
        self._channel.connectionLost(Failure(ConnectionDone()))


def ask(
    edge: HttpEdge,
    path: str,
    *,
    method: str = "GET",
    host: str | None = "127.0.0.1:8081",
    headers: str = "",
    body: bytes = b"",
    peer: str = "127.0.0.1",
) -> Response:
    """One request on a connection of its own."""
    host_line = "" if host is None else f"Host: {host}\r\n"
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    version = "1.0" if host is None else "1.1"
    start = f"{method} {path} HTTP/{version}\r\n{host_line}Connection: close\r\n"
    request = f"{start}{length}{headers}\r\n".encode("latin-1") + body
    head, _, answer = run(edge, request, peer).partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:])
    return Response(int(lines[0].split()[1]), {k.lower(): v for k, v in fields.items()}, answer)


def edge_with(
    status: Callable[[], Mapping[str, object]] = lambda: {"status": "ok"},
    *,
    publisher: RecordedPushes | None = None,
    listed: RecordedListing | None = None,
    probed: RecordedProbes | None = None,
    topic: Callable[[str, str], Answer] = no_topic,
    watch: Callable[[Callable[[str, bytes], None]], Callable[[], None]] = watch_nothing,
    token: bytes | None = None,
    folder: Path | None = None,
    limits: HttpLimits = LIMITS,
) -> HttpEdge:
    """An edge that knows little."""
    view = HttpView(
        status=status,
        probed=probed or RecordedProbes(),
        refusals=list,
        refused_handshake=lambda _: None,
        websocket_url=lambda _: None,
        push_address=lambda: None,
        metrics=lambda: b"",
        listed=listed or RecordedListing(),
        topic=topic,
        watch=watch,
    )
    return HttpEdge(view, publisher or RecordedPushes(), HttpAccess(token), limits, folder)


def complete_edge() -> HttpEdge:
    """An edge that has something to show at every address."""
    view = HttpView(
        status=lambda: {"status": "ok", "sessions": 3, "topics": 2, "connections": 4},
        probed=RecordedProbes(),
        refusals=lambda: [{"reason": "no-topic"}],
        refused_handshake=lambda address: (
            {"reason": "token-refused"} if address == "192.0.2.7" else None
        ),
        websocket_url=lambda host: f"ws://{host}:8080/",
        push_address=lambda: "tcp://127.0.0.1:5555",
        metrics=lambda: b"a 1\n",
        listed=RecordedListing(),
        topic=no_topic,
        watch=watch_nothing,
    )
    return HttpEdge(view, RecordedPushes(), HttpAccess(None), LIMITS)
