"""What is said over a WebSocket connection, and which path speaks what.

Owns: the protocols between a connection, which reads and writes frames and keeps time and limits,
and the conversation held over it; the routes by path.
Must not import: Autobahn, the connection, any conversation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from wampush.broker.delivery.outbox import Outbox
    from wampush.broker.identity import Identity
    from wampush.broker.requests.connect_request import ConnectRequest
    from wampush.broker.subscriber import Subscriber
    from wampush.errors import CloseReason
    from wampush.net.origins import Origins

_NO_ROUTES: Final[Mapping[str, Route]] = MappingProxyType({})


class Line(Protocol):
    """A connection, as the conversation held over it uses it."""

    @property
    def peer(self) -> str:
        """The address at the other end of the socket."""

    @property
    def address(self) -> str:
        """The client's address; if a trusted proxy forwards for it, as the proxy reports it."""

    @property
    def address_name(self) -> str | None:
        """The name under which the address is counted; None for one without limits."""

    @property
    def reason(self) -> CloseReason | None:
        """Why the connection has ended; None while it has not, and where it was lost."""

    def write_text(self, text: bytes) -> None:
        """Queue a text message; do nothing when the connection has ended.

        :param text: UTF-8.
        """

    def write_binary(self, data: bytes) -> None:
        """Queue a binary message; do nothing when the connection has ended."""

    def end(self, reason: CloseReason, detail: str = "", code: int | None = None) -> None:
        """End the connection once everything queued is sent.

        :param reason: counted and logged.
        :param detail: for the log and the Close frame.
        :param code: of the Close frame; None for the one of the reason, if it has one.
        """

    def drop(self, reason: CloseReason, detail: str = "") -> None:
        """End the connection at once, without sending what is queued."""

    def accept_identity(self, identity: Identity) -> bool:
        """Count the connection for the user of this identity, and end it when that expires.

        :returns: False when the connection has ended, or ends now because the user has too many.
        """


class Conversation(Protocol):
    """What is said over one connection. No input of the client makes a method raise."""

    @property
    def identity(self) -> Identity:
        """The client's identity; the connection ends when it expires."""

    @property
    def subscriber(self) -> Subscriber | None:
        """The client as the broker knows it; None for conversations without the broker."""

    def on_open(self) -> None:
        """The handshake is answered; messages go both ways from now on."""

    def on_text(self, text: bytes) -> None:
        """The client has sent a text message.

        :param text: UTF-8.
        """

    def on_binary(self, data: bytes) -> None:
        """The client has sent a binary message."""

    def on_lost(self) -> None:
        """The connection is lost; called once, if ``on_open`` was."""


class Route(Protocol):
    """Begins the conversations of the connections that asked for one path."""

    @property
    def origins(self) -> Origins | None:
        """The pages that may connect here; None for those of ``[websocket]``."""

    def subprotocol(self, offered: Sequence[str]) -> str | None:
        """Choose the subprotocol to answer with; None for none.

        :param offered: by the client, in its order of preference.
        :raises HandshakeRefused: when the client must offer a certain one and did not.
        """

    def begin(
        self,
        line: Line,
        outbox: Outbox,
        request: ConnectRequest,
        identity: Identity,
        subprotocol: str | None,
    ) -> Conversation:
        """Make the conversation of a connection whose handshake is not answered yet.

        :param line: the connection.
        :param outbox: the client's queue; nothing may be queued before ``on_open``.
        :param request: the handshake.
        :param identity: of the client.
        :param subprotocol: the one in the answer to the handshake.
        :raises HandshakeRefused: when this route is not available to this identity.
        """


class Routes:
    """The route of every path.

    :param others: for every path without a route of its own.
    :param by_path: by path as clients write it, without the query.
    """

    __slots__ = ("_by_path", "_others")

    def __init__(self, others: Route, by_path: Mapping[str, Route] = _NO_ROUTES) -> None:
        self._others = others
        self._by_path = by_path

    def find(self, target: str) -> Route:
        """Return the route of a request.

        :param target: path and query as sent.
        """
        if not self._by_path:
            return self._others
        return self._by_path.get(target.partition("?")[0], self._others)
