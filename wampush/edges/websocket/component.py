"""Plain WebSocket components over a connection.

Owns: the route to a component, and what passes between a connection and the component.
Must not import: Twisted, Autobahn, the apps. Components are handed in as a :class:`Host`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from wampush.broker.identity import AWAITING, Identity
from wampush.broker.ledger import Source
from wampush.edges.websocket.framing import PING
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.errors import CloseReason

if TYPE_CHECKING:
    from wampush.broker.delivery.outbox import Outbox
    from wampush.broker.ledger import Ledger
    from wampush.broker.requests.connect_request import ConnectRequest
    from wampush.edges.websocket.conversation import Line
    from wampush.net.origins import Origins


class Runner(Protocol):
    """A component's side of one connection. No method raises."""

    def on_open(self) -> None:
        """The handshake is answered."""

    def on_message(self, data: str | bytes) -> None:
        """The client has sent a text or a binary message."""

    def on_lost(self) -> None:
        """The connection is lost."""


class Host(Protocol):
    """A component, for all connections of its route."""

    def begin(
        self, line: Line, identity: Identity, request: ConnectRequest, subprotocol: str | None
    ) -> Runner:
        """Begin with one more connection, which may still be refused."""


class ComponentRoute:
    """Begins the conversations of one component.

    :param host: the component.
    :param ledger: counts messages.
    :param origins: the pages that may connect; None for those of ``[websocket]``.
    :param subprotocols: those that the component speaks; the first one offered is chosen.
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

    def subprotocol(self, offered: Sequence[str]) -> str | None:
        """Choose the first one offered that the component speaks; None for none.

        :param offered: by the client, in its order of preference.
        """
        return next((each for each in offered if each in self._subprotocols), None)

    def begin(
        self,
        line: Line,
        outbox: Outbox,
        request: ConnectRequest,
        identity: Identity,
        subprotocol: str | None,
    ) -> ComponentConversation:
        """Make the conversation of a connection whose handshake is not answered yet.

        :raises HandshakeRefused: when only WAMP-CRA could authenticate the client.
        """
        if identity.source == AWAITING:
            detail = "WAMP-CRA is available on WAMP connections only."
            raise HandshakeRefused(CloseReason.AUTHENTICATION_REQUIRED, detail)
        runner = self._host.begin(line, identity, request, subprotocol)
        return ComponentConversation(runner, identity, self._ledger)


class ComponentConversation:
    """What one client of a component says.

    :param runner: the component's side.
    :param identity: of the client.
    :param ledger: counts messages.
    """

    __slots__ = ("_ledger", "_runner", "identity")

    #: The client sends frames.
    stage = None
    ping = PING
    pings_when_heard = False
    cookie = ""
    #: The broker does not know clients of components.
    subscriber = None

    def __init__(self, runner: Runner, identity: Identity, ledger: Ledger) -> None:
        self._runner = runner
        self._ledger = ledger
        self.identity: Final = identity

    def on_open(self) -> None:
        """The handshake is answered."""
        self._runner.on_open()

    def on_text(self, text: bytes) -> None:
        """The client has sent a text message.

        :param text: UTF-8.
        """
        self._ledger.accept(Source.COMPONENT)
        self._runner.on_message(text.decode())

    def on_binary(self, data: bytes) -> None:
        """The client has sent a binary message."""
        self._ledger.accept(Source.COMPONENT)
        self._runner.on_message(data)

    def on_pong(self, payload: bytes) -> None:
        """Do nothing: pings of components have no payload."""

    def on_lost(self) -> None:
        """The connection is lost."""
        self._runner.on_lost()
