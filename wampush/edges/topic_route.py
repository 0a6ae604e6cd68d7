"""The state of topics for pages: ``GET /topics/TOPIC`` on the port of WebSocket.

Owns: which clients may ask, and the response on the wire.
Must not import: Twisted, Autobahn, the connection.

A page loads the state with one request, then goes on from its position over WebSocket. The request
takes the same way as a handshake: origins, limits, identity, connect hook.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import orjson

from wampush.broker.identity import AWAITING
from wampush.edges.problems import PROBLEM_TYPE, RequestRefused
from wampush.edges.topic_requests import PREFIX, TopicAnswers, TopicRequest, topic_request
from wampush.edges.websocket.http_upgrade import HandshakeRefused, shared_with
from wampush.errors import CloseReason, Refusal

if TYPE_CHECKING:
    from wampush.broker.broker import Broker
    from wampush.broker.delivery.outbox import Outbox
    from wampush.broker.history.reading import HistoryReader
    from wampush.broker.identity import Identity
    from wampush.broker.requests.connect_request import ConnectRequest
    from wampush.edges.websocket.conversation import Line

#: The routes of the port know the beginning of the path.
PATHS: Final = PREFIX


class TopicRoute:
    """Answers requests for what topics keep.

    :param broker: its policy is asked, and its fan-out sends.
    :param reader: reads topics; None where no topic keeps anything.
    :param judges_subscribing: returns whether the application decides about subscriptions; then
        only sessions may ask, because it has not been asked about a client without one.
    """

    __slots__ = ("_answers", "_broker", "_judges_subscribing")

    #: The pages of ``[websocket]`` may ask.
    origins = None

    def __init__(
        self, broker: Broker, reader: HistoryReader | None, judges_subscribing: Callable[[], bool]
    ) -> None:
        self._broker = broker
        self._answers = TopicAnswers(reader)
        self._judges_subscribing = judges_subscribing

    def subprotocol(self, offered: Sequence[str]) -> None:
        """Choose no subprotocol; an ordinary request has none."""

    def head(self, request: ConnectRequest, shared_with: str) -> bytes:
        """Return nothing: what the response is depends on the identity."""
        return b""

    def begin(
        self,
        line: Line,
        outbox: Outbox,
        request: ConnectRequest,
        identity: Identity,
        subprotocol: str | None,
    ) -> TopicConversation:
        """Make the conversation that sends the response.

        :raises HandshakeRefused: the client has to authenticate with calls first.
        """
        if identity.source == AWAITING:
            detail = "WAMP-CRA is available on WAMP connections only."
            raise HandshakeRefused(CloseReason.AUTHENTICATION_REQUIRED, detail)
        return TopicConversation(self, line, outbox, request, identity)

    def call_when_readable(
        self, request: ConnectRequest, identity: Identity, on_ready: Callable[[], None]
    ) -> None:
        """Call a function once a request can be answered; at once for a single node.

        With several nodes, what a topic keeps may have to be read first.
        """
        mirrors = self._broker.mirrors
        if mirrors is None:
            on_ready()
            return
        try:
            asked = self._asked(request, identity)
        except RequestRefused:
            on_ready()
        else:
            mirrors.call_when_readable(asked.topic, asked.since, on_ready)

    def send(self, outbox: Outbox, request: ConnectRequest, identity: Identity) -> None:
        """Queue the response to a request."""
        status, headers, body = self._answer(request, identity)
        fanout = self._broker.fanout
        fanout.send(outbox, _head(request, status, headers, len(body)))
        if body and request.method != "HEAD":
            # By itself, so that all clients share its bytes.
            fanout.send(outbox, body)

    def _answer(
        self, request: ConnectRequest, identity: Identity
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            asked = self._asked(request, identity)
            known = request.headers.get("if-none-match", "")
            return self._answers.respond(asked, identity, known)
        except RequestRefused as error:
            headers = {"Content-Type": PROBLEM_TYPE, "Cache-Control": "no-store"}
            return error.status, headers, orjson.dumps(error.as_json()) + b"\n"

    def _asked(self, request: ConnectRequest, identity: Identity) -> TopicRequest:
        asked = topic_request(request.target, has_credentials=True)
        self._permit(identity, asked.topic)
        return asked

    def _permit(self, identity: Identity, topic: str) -> None:
        if self._judges_subscribing() or not self._broker.policy.may_subscribe(identity, topic):
            refusal = Refusal.SUBSCRIBE_FORBIDDEN
            raise RequestRefused(403, refusal.sentence, refusal.code)


class TopicConversation:
    """One response; also what takes the bytes that its client should not send.

    :param route: makes the response.
    :param line: the connection.
    :param outbox: of the client.
    :param request: what it asked for.
    :param identity: of the client.
    """

    __slots__ = ("_is_lost", "_line", "_outbox", "_request", "_route", "identity")

    #: The response ends before one would be due.
    ping = b""
    pings_when_heard = False
    cookie = ""
    #: The broker does not know a client of one request.
    subscriber = None

    def __init__(
        self,
        route: TopicRoute,
        line: Line,
        outbox: Outbox,
        request: ConnectRequest,
        identity: Identity,
    ) -> None:
        self._route = route
        self._line = line
        self._outbox = outbox
        self._request = request
        self._is_lost = False
        self.identity = identity

    @property
    def stage(self) -> TopicConversation:
        """What takes the bytes of the client."""
        return self

    def on_open(self) -> None:
        """The client may connect: send the response, and close the connection after it."""
        self._route.call_when_readable(self._request, self.identity, self._respond)

    def _respond(self) -> None:
        if not self._is_lost:
            self._route.send(self._outbox, self._request, self.identity)
            self._line.end(CloseReason.PLAIN_REQUEST)

    def receive(self, data: bytes) -> None:
        """Ignore bytes of the client; while the connection closes, they are limited."""

    def cancel(self) -> None:
        """Do nothing: the response is complete once it has begun."""

    def on_text(self, text: bytes) -> None:
        """Ignore a message; there is none."""

    def on_binary(self, data: bytes) -> None:
        """Ignore a message; there is none."""

    def on_pong(self, payload: bytes) -> None:
        """Do nothing: no ping is sent."""

    def on_lost(self) -> None:
        """The client has gone, perhaps before the topic was read."""
        self._is_lost = True


def _head(request: ConnectRequest, status: int, headers: Mapping[str, str], length: int) -> bytes:
    """Return the header of a response on the wire.

    :param length: of the body.
    """
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if status != HTTPStatus.NOT_MODIFIED:
        lines.append(f"Content-Length: {length}")
    lines.append("X-Content-Type-Options: nosniff")
    head = "\r\n".join(lines) + f"\r\n{shared_with(request.headers)}Connection: close\r\n\r\n"
    return head.encode()
