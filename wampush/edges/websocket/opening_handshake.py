"""The opening of one connection: request header, admission, identity, connect hook.

Owns: the steps before a conversation begins, and their state until then.
Must not import: Autobahn, the connection, the composition root, any conversation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure

from wampush.broker.delivery.outbox import Outbox
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.memory import Memory
from wampush.broker.memory_costs import handshake_bytes
from wampush.broker.requests.connect_request import ConnectAttempt, ConnectRequest
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.auth.authenticator import Authenticator
from wampush.edges.websocket import http_upgrade
from wampush.edges.websocket.admission import Ticket
from wampush.edges.websocket.compression import Agreement, agree
from wampush.edges.websocket.conversation import Conversation, Line, Route, Routes
from wampush.edges.websocket.http_upgrade import HandshakeRefused, PageRequest, UpgradeRequest
from wampush.errors import AuthenticationRefused, CloseReason
from wampush.net.accepting.slim_sockets import SlimServer


class ConnectHook(Protocol):
    """Application code that has the last word on whether a client may connect."""

    def connecting(self, arrival: ConnectAttempt) -> Deferred[None]:
        """Decide about a client whose identity is known, before its handshake is answered.

        :returns: fires when the client may connect; fails with AuthenticationRefused when it may
            not, and the client gets the HTTP status and the sentence of its reason. It is
            cancelled when the client goes away or ``websocket.handshake_timeout`` has passed.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRules:
    """What decides whether connections open; the same for all of them.

    :param settings: the ``[websocket]`` table.
    :param routes: what is said under which path.
    :param authenticator: finds out the identities of clients.
    :param connect_hook: asked last; None when no application decides.
    :param memory: counts what connections make the node keep.
    :param server: name and version of the server, for people who open the port in a browser.
    """

    settings: WebSocketSettings
    routes: Routes
    authenticator: Authenticator
    connect_hook: ConnectHook | None
    memory: Memory
    server: str


def peer_of(transport: Any) -> str:
    """Return the address at the other end of a transport."""
    if isinstance(transport, SlimServer):
        # Without the object that Twisted makes of it, three times for each connection.
        return transport.host
    return str(getattr(transport.getPeer(), "host", None) or "unix socket")


class Opening(Line, Protocol):
    """The connection that an opening handshake is about."""

    def on_accepted(
        self, conversation: Conversation, response: bytes, agreement: Agreement | None, rest: bytes
    ) -> None:
        """The connection opens.

        :param conversation: that begins.
        :param response: to the request; its head, for an ordinary one.
        :param agreement: on compression; None for no compression.
        :param rest: what the client has sent after its request.
        """

    def on_answered(self, response: bytes, reason: CloseReason, detail: str) -> None:
        """The connection ends after this response, which opens no WebSocket.

        :param detail: for the log.
        """

    def on_defect(self, failure: Failure) -> None:
        """An error of the authenticator, the hook or a conversation has come up."""


class OpeningHandshake:
    """Reads a client's request, finds out its identity, and decides whether its connection opens.

    It calls exactly one of :meth:`Opening.on_accepted` and :meth:`Opening.on_answered`, unless
    it is cancelled or a defect comes up first, and that once.

    :param rules: what decides.
    :param line: the connection.
    :param outbox: the client's queue, for the conversation.
    :param ticket: what the connection counts for.
    :param transport: of the connection; names its peer, and is TLS or not.
    """

    __slots__ = (
        "_cors",
        "_data",
        "_done",
        "_is_plain",
        "_line",
        "_outbox",
        "_rules",
        "_ticket",
        "_transport",
        "_waiting",
    )

    def __init__(
        self,
        rules: OpeningRules,
        line: Opening,
        outbox: Outbox,
        ticket: Ticket,
        transport: Any,
    ) -> None:
        self._rules = rules
        self._line = line
        self._outbox = outbox
        self._ticket = ticket
        self._transport = transport
        self._data = b""
        # Header lines that let the page of an ordinary request read the response; "" before the
        # request is admitted, and for handshakes, whose responses no page can read.
        self._cors = ""
        # Whether it is an ordinary request.
        self._is_plain = False
        self._done = False
        # The answer of the authenticator or of the connect hook; None while neither is asked.
        self._waiting: Deferred[Any] | None = None

    def receive(self, data: bytes) -> None:
        """Take bytes of the client."""
        if self._done:
            return
        self._data += data
        headers = 0
        try:
            if self._waiting is None:
                headers = self._read_request()
            else:
                self._limit_early_frames()
            if not self._done:
                self._count(data, headers)
        except HandshakeRefused as error:
            self._refuse(error)

    def unread(self) -> bytes | None:
        """Return what has come of the request; None once it is complete."""
        return None if self._done or self._waiting is not None else self._data

    def refuse(self, reason: CloseReason) -> None:
        """Answer the request, if it is not answered yet, with the refusal of this reason."""
        if not self._done:
            self._refuse(HandshakeRefused(reason))

    def cancel(self) -> None:
        """Give up: the connection has ended. Nothing is called any more."""
        self._done = True
        self._rules.memory.forget(self._line)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()

    def _read_request(self) -> int:
        """Read the request if it is complete; return how many headers it has."""
        rules = self._rules
        head = http_upgrade.complete_head(self._data, rules.settings.max_header_bytes)
        if head is None:
            return 0
        upgrade = http_upgrade.parse(head)
        if isinstance(upgrade, PageRequest):
            self._ticket.on_request(upgrade.method, upgrade.target)
            self._read_page_request(upgrade)
            return len(upgrade.headers)
        self._ticket.on_request("WebSocket", upgrade.target)
        route = rules.routes.find(upgrade.target)
        subprotocol = route.subprotocol(upgrade.subprotocols)
        ticket, transport = self._ticket, self._transport
        ticket.admit(peer_of(transport), upgrade.headers, route.origins)
        self._data = self._data[len(head) + len(http_upgrade.END_OF_HEAD) :]
        scheme = ticket.scheme(upgrade.headers, ISSLTransport.providedBy(transport))
        request = ConnectRequest(upgrade.target, upgrade.headers, ticket.address, scheme)
        self._identify(upgrade, request, route, subprotocol)
        return len(upgrade.headers)

    def _read_page_request(self, page: PageRequest) -> None:
        rules, ticket, transport = self._rules, self._ticket, self._transport
        file = rules.routes.find_file(page.target)
        if file is not None:
            response = file.response(page.method, page.headers.get("if-none-match", ""))
            self._answer(response, CloseReason.PLAIN_REQUEST)
            return
        route = rules.routes.find_plain(page.target)
        if route is None:
            response = http_upgrade.page(rules.server, page.method)
            self._answer(response, CloseReason.PLAIN_REQUEST)
            return
        self._is_plain = True
        ticket.admit(peer_of(transport), page.headers, route.origins, is_plain=True)
        self._cors = http_upgrade.shared_with(page.headers)
        self._data = b""
        scheme = ticket.scheme(page.headers, ISSLTransport.providedBy(transport))
        request = ConnectRequest(page.target, page.headers, ticket.address, scheme, page.method)
        if page.method == "OPTIONS":
            self._answer(http_upgrade.preflight(self._cors), CloseReason.PLAIN_REQUEST)
            return
        head = route.head(request, self._cors)
        if page.method == "HEAD" and head:
            self._answer(head, CloseReason.PLAIN_REQUEST)
        else:
            self._identify(head, request, route, None)

    def _limit_early_frames(self) -> None:
        """Bound what a client sends before its handshake is answered."""
        if len(self._data) > self._rules.settings.max_header_bytes:
            detail = "The client sent too many frames before its handshake was answered."
            raise HandshakeRefused(CloseReason.HEADER_TOO_LARGE, detail)

    def _count(self, data: bytes, headers: int) -> None:
        """Count what a handshake that is not answered yet makes the node keep.

        :param headers: that have been read of the request just now.
        """
        memory, line = self._rules.memory, self._line
        before = memory.of_owner(line)
        cost = handshake_bytes(len(data), headers, is_first=not before)
        refusal = memory.hold(line, before + cost)
        if refusal is not None:
            raise HandshakeRefused(CloseReason.HANDSHAKE_MEMORY, refusal.sentence)

    def _identify(
        self,
        asked: UpgradeRequest | bytes,
        request: ConnectRequest,
        route: Route,
        subprotocol: str | None,
    ) -> None:
        """Determine the identity.

        :param asked: the handshake; for an ordinary request, the begin of the response.
        """
        authenticator = self._rules.authenticator
        if authenticator.all_anonymous:
            self._on_identity(ANONYMOUS, asked, request, route, subprotocol)
            return
        self._waiting = waiting = authenticator.authenticate(request)
        found = (asked, request, route, subprotocol)
        waiting.addCallbacks(self._on_identity, self._on_refused, callbackArgs=found)
        waiting.addErrback(self._line.on_defect)

    def _on_identity(
        self,
        identity: Identity,
        asked: UpgradeRequest | bytes,
        request: ConnectRequest,
        route: Route,
        subprotocol: str | None,
    ) -> None:
        if self._done:
            return
        try:
            self._ticket.belong_to(identity.user)
            conversation = route.begin(self._line, self._outbox, request, identity, subprotocol)
        except HandshakeRefused as error:
            self._refuse(error)
            return
        hook = self._rules.connect_hook
        if hook is None:
            self._open(asked, subprotocol, conversation)
            return
        attempt = ConnectAttempt(identity, request, conversation.subscriber)
        self._waiting = waiting = maybeDeferred(hook.connecting, attempt)
        waiting.addCallbacks(
            lambda _: self._open(asked, subprotocol, conversation), self._on_refused
        )
        waiting.addErrback(self._line.on_defect)

    def _on_refused(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        failure.trap(AuthenticationRefused)
        error = failure.value
        if isinstance(error, AuthenticationRefused):
            self._refuse(HandshakeRefused(error.reason, error.detail))

    def _open(
        self, asked: UpgradeRequest | bytes, subprotocol: str | None, conversation: Conversation
    ) -> None:
        if self._done:
            return
        self._done = True
        if isinstance(asked, bytes):
            self._line.on_accepted(conversation, asked, None, b"")
            return
        agreement: Agreement | None = None
        if self._rules.settings.compression:
            agreement = agree(asked.headers.get("sec-websocket-extensions", ""))
        extension = "" if agreement is None else agreement.header
        response = http_upgrade.accept(asked.key, subprotocol, extension, conversation.cookie)
        self._line.on_accepted(conversation, response, agreement, self._data)

    def _refuse(self, error: HandshakeRefused) -> None:
        response = http_upgrade.refusal(error, self._cors, is_plain=self._is_plain)
        self._answer(response, error.reason, error.detail)

    def _answer(self, response: bytes, reason: CloseReason, detail: str = "") -> None:
        if not self._done:
            self.cancel()
            self._line.on_answered(response, reason, detail)
