"""WAMP v1 over a connection.

Owns: how a session begins on a connection, and what passes between the connection and ``clients``.
Must not import: Twisted, Autobahn; nor know what a WAMP message means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wampush.broker.identity import ANONYMOUS
from wampush.broker.subscriber import Subscriber
from wampush.edges.websocket import http_upgrade
from wampush.errors import CloseReason, MessageRefused, Refusal
from wampush.net.origins import is_from_here
from wampush.wamp.session import PrefixLimits, Session

if TYPE_CHECKING:
    from wampush.broker.delivery.outbox import Outbox
    from wampush.broker.identity import Identity
    from wampush.broker.requests.handler import RequestHandler
    from wampush.edges.websocket.connection import Connection
    from wampush.edges.websocket.http_upgrade import Handshake
    from wampush.wamp.uris import Dialect


class WampRoute:
    """WAMP v1, for every client that asks for nothing else.

    :param clients: gets what clients send.
    :param dialect: how their WAMP v1 is read.
    :param server: name and version told in WELCOME.
    :param prefixes: what the prefixes of one client may cost.
    :param require_subprotocol: whether a client must offer ``wamp``.
    """

    __slots__ = ("_clients", "_dialect", "_prefixes", "_require_subprotocol", "_server")

    #: Pages as ``[websocket]`` has them.
    origins = None

    def __init__(
        self,
        clients: RequestHandler,
        dialect: Dialect,
        server: str,
        prefixes: PrefixLimits,
        require_subprotocol: bool,
    ) -> None:
        self._clients = clients
        self._dialect = dialect
        self._server = server
        self._prefixes = prefixes
        self._require_subprotocol = require_subprotocol

    def subprotocol(self, request: Handshake) -> str | None:
        """``wamp`` whenever it is offered.

        :raises HandshakeRefused: when it must be offered and was not.
        """
        return http_upgrade.subprotocol(request, self._require_subprotocol)

    def begin(
        self,
        connection: Connection,
        outbox: Outbox,
        request: Handshake,
        identity: Identity,
        subprotocol: str | None,
    ) -> WampConversation:
        """A session that knows its id; it is not open yet."""
        session = Session(self._dialect, self._server, self._prefixes)
        is_local = is_from_here(connection.peer, request.headers)
        conversation = WampConversation(self._clients, connection, is_local)
        conversation.subscriber = Subscriber(session, outbox, identity, conversation)
        return conversation


class WampConversation:
    """What one WAMP v1 client says; its connection, as the broker sees it (``Peer``).

    :param is_local: whether it came from this machine, and from no page of another host.
    """

    __slots__ = ("_clients", "_connection", "is_local", "subscriber")

    def __init__(self, clients: RequestHandler, connection: Connection, is_local: bool) -> None:
        self._clients = clients
        self._connection = connection
        self.is_local = is_local
        #: The client; None once the connection is lost, or each would keep the other in memory.
        self.subscriber: Subscriber | None = None

    # As the connection sees it.

    @property
    def identity(self) -> Identity:
        """Who the session belongs to by now."""
        return ANONYMOUS if self.subscriber is None else self.subscriber.identity

    def on_open(self) -> None:
        """The session begins: WELCOME."""
        if self.subscriber is not None:
            self._clients.on_open(self.subscriber)

    def text(self, text: bytes) -> None:
        """A message of WAMP v1."""
        if self.subscriber is not None:
            self._clients.on_text(self.subscriber, text)

    def binary(self, data: bytes) -> None:
        """WAMP v1 has no binary messages."""
        if self.subscriber is not None:
            error = MessageRefused(Refusal.BINARY_FRAME)
            self._clients.refuse(self.subscriber, error, data)

    def on_lost(self) -> None:
        """The session ends."""
        subscriber, self.subscriber = self.subscriber, None
        if subscriber is not None:
            self._clients.on_lost(subscriber)

    # As the broker sees it.

    @property
    def address(self) -> str:
        """The client's address, proxies believed."""
        return self._connection.address

    @property
    def ended(self) -> CloseReason | None:
        """Why the connection has ended; None while it has not, and where it was lost."""
        return self._connection.reason

    def accept_identity(self, identity: Identity) -> bool:
        """Count the connection for the user of this identity.

        :returns: False when the connection does not go on.
        """
        return self.subscriber is not None and self._connection.accept_identity(identity)

    def end(self, reason: CloseReason, detail: str = "") -> None:
        """End the connection once what is queued for it is sent."""
        self._connection.end(reason, detail)
