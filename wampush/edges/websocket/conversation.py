"""What is said over a connection, as the connection sees it.

Owns: the protocols between a connection, which reads and writes frames, keeps time and limits and
ends, and what is said over it; which of them is spoken under which path.
Must not import: Autobahn; nor any conversation.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from wampush.broker.delivery.outbox import Outbox
    from wampush.broker.identity import Identity
    from wampush.broker.subscriber import Subscriber
    from wampush.edges.websocket.connection import Connection
    from wampush.edges.websocket.http_upgrade import Handshake
    from wampush.net.origins import Origins

_NO_ROUTES: Final[Mapping[str, Route]] = MappingProxyType({})


class Conversation(Protocol):
    """What is said over one connection. Whatever the client sends, nothing is raised."""

    @property
    def identity(self) -> Identity:
        """Who is at the other end; the connection ends when this expires."""

    @property
    def subscriber(self) -> Subscriber | None:
        """The client as the broker sees it; None where the broker does not know it."""

    def on_open(self) -> None:
        """The handshake is answered; frames go both ways from now on."""

    def text(self, text: bytes) -> None:
        """The client sent a text.

        :param text: UTF-8.
        """

    def binary(self, data: bytes) -> None:
        """The client sent a binary message."""

    def on_lost(self) -> None:
        """The connection is gone; called once, if ``on_open`` was."""


class Route(Protocol):
    """A way of speaking, for all connections that ask for it."""

    @property
    def origins(self) -> Origins | None:
        """The pages that may connect here; None for those of ``[websocket]``."""

    def subprotocol(self, request: Handshake) -> str | None:
        """The subprotocol to answer with; None for none.

        :raises HandshakeRefused: when the client must offer one and did not.
        """

    def begin(
        self,
        connection: Connection,
        outbox: Outbox,
        request: Handshake,
        identity: Identity,
        subprotocol: str | None,
    ) -> Conversation:
        """The conversation of a connection that may open; the handshake is not answered yet.

        :param outbox: the way to the client; nothing may go there before ``on_open``.
        :param subprotocol: what the handshake will be answered with.
        :raises HandshakeRefused: when who it is may not speak so.
        """


class Routes:
    """Which route a client has asked for.

    :param others: for every path that has no route of its own.
    :param by_path: by path, as clients write it, without the query.
    """

    __slots__ = ("_by_path", "_others")

    def __init__(self, others: Route, by_path: Mapping[str, Route] = _NO_ROUTES) -> None:
        self._others = others
        self._by_path = by_path

    def find(self, target: str) -> Route:
        """The route of a request.

        :param target: path and query as sent.
        """
        if not self._by_path:
            return self._others
        return self._by_path.get(target.partition("?")[0], self._others)
