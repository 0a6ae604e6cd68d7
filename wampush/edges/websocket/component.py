"""A plain WebSocket component over a connection.

Owns: how its conversation begins, and what passes between the connection and the component.
Must not import: Twisted, Autobahn, the apps; components are handed in behind :class:`Host`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from wampush.broker.identity import AWAITING, Identity
from wampush.broker.ledger import Source
from wampush.edges.websocket.connect_request import request_of
from wampush.edges.websocket.http_upgrade import Handshake, HandshakeRefused
from wampush.errors import CloseReason

if TYPE_CHECKING:
    from wampush.broker.delivery.outbox import Outbox
    from wampush.broker.ledger import Ledger
    from wampush.broker.requests.connect import ConnectRequest
    from wampush.edges.websocket.connection import Connection
    from wampush.net.origins import Origins


class Talk(Protocol):
    """What a component has to do with one connection. Nothing here raises."""

    def on_open(self) -> None:
        """The handshake is answered."""

    def message(self, data: str | bytes) -> None:
        """The client has sent a text or a binary message."""

    def on_lost(self) -> None:
        """The connection is gone."""


class Host(Protocol):
    """A component, for all connections of its route."""

    def begin(
        self,
        line: Connection,
        identity: Identity,
        request: ConnectRequest,
        subprotocol: str | None,
    ) -> Talk:
        """One more connection, which may still be refused."""


class ComponentRoute:
    """Connections to one component.

    :param host: the component.
    :param ledger: told of each message.
    :param origins: the pages that may connect; None for those of ``[websocket]``.
    :param subprotocols: what the component speaks, of which the client's first is chosen.
    """

    __slots__ = ("_host", "_ledger", "_subprotocols", "origins")

    def __init__(
        self,
        host: Host,
        ledger: Ledger,
        origins: Origins | None = None,
        subprotocols: Sequence[str] = (),
    ) -> None:
        self._host = host
        self._ledger = ledger
        self.origins: Final = origins
        self._subprotocols: Final = frozenset(subprotocols)

    def subprotocol(self, request: Handshake) -> str | None:
        """The first offer that the component speaks; None for none."""
        return next((each for each in request.subprotocols if each in self._subprotocols), None)

    def begin(
        self,
        connection: Connection,
        outbox: Outbox,
        request: Handshake,
        identity: Identity,
        subprotocol: str | None,
    ) -> ComponentConversation:
        """A conversation that is not open yet.

        :raises HandshakeRefused: when the client could only prove by WAMP who it is.
        """
        if identity.source == AWAITING:
            detail = "WAMP-CRA is spoken on WAMP connections only."
            raise HandshakeRefused(CloseReason.AUTHENTICATION_REQUIRED, detail)
        asked = request_of(connection, request)
        talk = self._host.begin(connection, identity, asked, subprotocol)
        return ComponentConversation(talk, identity, self._ledger)


class ComponentConversation:
    """What one client of a component says."""

    __slots__ = ("_ledger", "_talk", "identity")

    #: The broker does not know it.
    subscriber = None

    def __init__(self, talk: Talk, identity: Identity, ledger: Ledger) -> None:
        self._talk = talk
        self._ledger = ledger
        self.identity: Final = identity

    def on_open(self) -> None:
        """The component hears of the client."""
        self._talk.on_open()

    def text(self, text: bytes) -> None:
        """A text message."""
        self._ledger.accept(Source.COMPONENT)
        self._talk.message(text.decode())

    def binary(self, data: bytes) -> None:
        """A binary message."""
        self._ledger.accept(Source.COMPONENT)
        self._talk.message(data)

    def on_lost(self) -> None:
        """The client is gone."""
        self._talk.on_lost()
