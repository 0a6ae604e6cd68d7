"""The opening of one connection: request header, admission, identity.

Owns: what is needed before a session opens, and only until then.
Must not import: Autobahn, the composition root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from wampush.broker.identity import ANONYMOUS, Identity
from wampush.edges import handshake
from wampush.edges.authentication_request import AuthenticationRequest
from wampush.edges.handshake import Handshake, HandshakeRefused
from wampush.errors import AuthenticationRefused, CloseReason

if TYPE_CHECKING:
    from wampush.edges.connection import Connection


class Opening:
    """Reads the request of a client and finds out who it is; then opens the connection or ends it.

    :param connection: the connection that opens.
    """

    __slots__ = ("_connection", "_data", "_request", "_waiting")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._data = b""
        self._request: Handshake | None = None
        self._waiting: Deferred[Identity] | None = None

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
            connection.answer(handshake.refusal(error), error.reason, error.detail)

    def cancel(self) -> None:
        """The connection ends; nobody waits for the identity any more."""
        if self._waiting is not None:
            self._waiting.cancel()

    def _read(self, limit: int) -> None:
        head = handshake.complete_head(self._data, limit)
        if head is None:
            return
        connection = self._connection
        edge = connection.factory
        request = handshake.parse(head)
        if request is None:
            connection.answer(handshake.page(edge.server), CloseReason.PLAIN_REQUEST)
            return
        handshake.subprotocol(request, edge.settings.require_subprotocol)
        address = connection.admit(request.headers)
        self._data = self._data[len(head) + len(handshake.END_OF_HEAD) :]
        self._request = request
        if edge.authenticator.knows_nobody:
            self._open(ANONYMOUS)
            return
        self._waiting = edge.authenticator.authenticate(
            AuthenticationRequest(request.target, request.headers, address)
        )
        self._waiting.addCallbacks(self._open, self._refused)
        self._waiting.addErrback(connection.broken)

    def _check_early_frames(self, limit: int) -> None:
        """A client may send frames before it knows that it is let in, but not endlessly."""
        if len(self._data) > limit:
            raise HandshakeRefused(CloseReason.HEADER_TOO_LARGE, "Frames came too early.")

    def _open(self, identity: Identity) -> None:
        connection = self._connection
        if self._request is None:
            return
        try:
            connection.open(self._request, identity, self._data)
        except HandshakeRefused as error:
            connection.answer(handshake.refusal(error), error.reason, error.detail)

    def _refused(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        failure.trap(AuthenticationRefused)
        error = failure.value
        if isinstance(error, AuthenticationRefused):
            refused = HandshakeRefused(error.reason, error.detail)
            self._connection.answer(handshake.refusal(refused), error.reason, error.detail)
