"""The opening of one connection: request header, admission, identity, the doorkeeper.

Owns: what is needed before a conversation begins, and only until then.
Must not import: Autobahn, the composition root, any conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.python.failure import Failure

from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.requests.connect import ConnectAttempt
from wampush.edges.websocket import http_upgrade
from wampush.edges.websocket.connect_request import request_of
from wampush.edges.websocket.http_upgrade import Handshake, HandshakeRefused
from wampush.errors import AuthenticationRefused, CloseReason

if TYPE_CHECKING:
    from wampush.edges.websocket.connection import Connection
    from wampush.edges.websocket.conversation import Conversation, Route


class OpeningHandshake:
    """Reads the request of a client and finds out who it is; then opens the connection or ends it.

    :param connection: the connection that opens.
    """

    __slots__ = ("_connection", "_data", "_request", "_route", "_subprotocol", "_waiting")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._data = b""
        self._request: Handshake | None = None
        self._route: Route | None = None
        self._subprotocol: str | None = None
        self._waiting: Deferred[Any] | None = None

    def received(self, data: bytes) -> None:
        """Bytes of the client."""
        connection = self._connection
        limit = connection.factory.settings.max_header_bytes
        self._data += data
        try:
            if self._waiting is None:
                self._read(limit)
            else:
                self._check_early_frames(limit)
        except HandshakeRefused as error:
            self.cancel()
            self._answer(error)

    def cancel(self) -> None:
        """The connection ends; nobody waits for the identity or the doorkeeper any more."""
        if self._waiting is not None:
            self._waiting.cancel()

    def _read(self, limit: int) -> None:
        head = http_upgrade.complete_head(self._data, limit)
        if head is None:
            return
        connection = self._connection
        edge = connection.factory
        request = http_upgrade.parse(head)
        if request is None:
            connection.answer(http_upgrade.page(edge.server), CloseReason.PLAIN_REQUEST)
            return
        route = edge.routes.find(request.target)
        self._subprotocol = route.subprotocol(request)
        connection.admit(request.headers, route.origins)
        self._data = self._data[len(head) + len(http_upgrade.END_OF_HEAD) :]
        self._request = request
        self._route = route
        if edge.authenticator.all_anonymous:
            self._identified(ANONYMOUS)
            return
        asked = request_of(connection, request)
        self._waiting = waiting = edge.authenticator.authenticate(asked)
        waiting.addCallbacks(self._identified, self._refused)
        waiting.addErrback(connection.broken)

    def _check_early_frames(self, limit: int) -> None:
        """A client may send frames before it knows that it is let in, but not endlessly."""
        if len(self._data) > limit:
            raise HandshakeRefused(CloseReason.HEADER_TOO_LARGE, "Frames came too early.")

    def _identified(self, identity: Identity) -> None:
        connection = self._connection
        request, route = self._request, self._route
        if request is None or route is None:
            return
        try:
            conversation = connection.begin(route, request, identity, self._subprotocol)
        except HandshakeRefused as error:
            self._answer(error)
            return
        if conversation is None:
            return
        doorkeeper = connection.factory.doorkeeper
        if doorkeeper is None:
            self._open(request, conversation)
            return
        asked = request_of(connection, request)
        arrival = ConnectAttempt(identity, asked, conversation.subscriber)
        self._waiting = waiting = maybeDeferred(doorkeeper.connecting, arrival)
        waiting.addCallbacks(lambda _: self._open(request, conversation), self._refused)
        waiting.addErrback(connection.broken)

    def _open(self, request: Handshake, conversation: Conversation) -> None:
        self._connection.open(request, conversation, self._subprotocol, self._data)

    def _refused(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        failure.trap(AuthenticationRefused)
        error = failure.value
        if isinstance(error, AuthenticationRefused):
            self._answer(HandshakeRefused(error.reason, error.detail))

    def _answer(self, error: HandshakeRefused) -> None:
        self._connection.answer(http_upgrade.refusal(error), error.reason, error.detail)
