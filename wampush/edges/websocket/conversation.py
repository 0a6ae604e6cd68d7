"""What is said over a connection to the WebSocket port, and which path speaks what.

Owns: the protocols between a connection, which reads and writes frames and keeps time and limits,
and the conversation held over it; the client's connection as the broker knows it; the routes by
path.
Must not import: Autobahn, the connection, any conversation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from wampush.broker.identity import ANONYMOUS

if TYPE_CHECKING:
    from wampush.broker.delivery.outbox import Outbox
    from wampush.broker.identity import Identity
    from wampush.broker.requests.connect_request import ConnectRequest
    from wampush.broker.requests.handler import RequestHandler
    from wampush.broker.subscriber import Subscriber
    from wampush.broker.transfer.session_transfer import SessionState
    from wampush.edges.client_files import ClientFile
    from wampush.edges.websocket.lifecycle import Stage
    from wampush.errors import CloseReason
    from wampush.net.origins import Origins

_NO_ROUTES: Final[Mapping[str, Any]] = MappingProxyType({})


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
    def stage(self) -> Stage | None:
        """Takes what the client sends, where that is not WebSocket frames; None where it is."""

    @property
    def ping(self) -> bytes:
        """The bytes that are sent after ``websocket.ping_interval`` without a sign of life."""

    @property
    def pings_when_heard(self) -> bool:
        """Whether they are sent as often to a client that is heard."""

    def on_pong(self, payload: bytes) -> None:
        """The client has answered a ping that had a payload."""

    @property
    def identity(self) -> Identity:
        """The client's identity; the connection ends when it expires."""

    @property
    def cookie(self) -> str:
        """The value of Set-Cookie in the response to a handshake; "" for none."""

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


class MovableConversation(Conversation, Protocol):
    """A conversation with which another process may go on; others end with this one."""

    @property
    def can_move(self) -> bool:
        """Whether another process can go on now."""

    def snapshot(self) -> Mapping[str, object]:
        """Return what another process needs to go on; this one must not, from then on.

        :returns: the values of a :class:`SessionState`, without those that are its defaults.
        """


def movable(conversation: Conversation | None) -> MovableConversation | None:
    """Return a conversation with which another process can go on; None for any other."""
    if conversation is None or not getattr(conversation, "can_move", False):
        return None
    return cast("MovableConversation", conversation)


class ClientPeer:
    """The connection of one client as the broker knows it (``Peer``), and its session's end.

    :param handler: carries out what the client asks for.
    :param line: the connection.
    :param is_local: whether the client is on this machine, and not a page of another host.
    """

    __slots__ = ("_handler", "_line", "is_local", "subscriber")

    #: Whether pings go to the client, and its answers to the broker.
    answers_pings = False
    #: The name of the browser for gap replay; None if it has a user, or none is needed.
    visitor: str | None = None
    #: The value of Set-Cookie in the response to the handshake; "" for none.
    cookie: str = ""

    def __init__(self, handler: RequestHandler, line: Line, is_local: bool) -> None:
        self._handler = handler
        self._line = line
        self.is_local = is_local
        #: The client; None once the connection is lost, or each would keep the other in memory.
        self.subscriber: Subscriber | None = None

    # For the connection.

    @property
    def identity(self) -> Identity:
        """The current identity of the session."""
        return ANONYMOUS if self.subscriber is None else self.subscriber.identity

    @property
    def pings_when_heard(self) -> bool:
        """Whether pings are sent to a client that is heard."""
        return False

    def on_pong(self, payload: bytes) -> None:
        """Do nothing with an answer to a ping."""

    def on_lost(self) -> None:
        """The connection is lost: the session ends."""
        subscriber, self.subscriber = self.subscriber, None
        if subscriber is not None:
            self._handler.on_lost(subscriber)

    # For the broker.

    @property
    def address(self) -> str:
        """The client's address; if a trusted proxy forwards for it, as the proxy reports it."""
        return self._line.address

    @property
    def address_name(self) -> str | None:
        """The name under which the address is counted; None for one without limits."""
        return self._line.address_name

    @property
    def ended(self) -> CloseReason | None:
        """Why the connection has ended; None while it has not, and where it was lost."""
        return self._line.reason

    def accept_identity(self, identity: Identity) -> bool:
        """Count the connection for the user of this identity.

        :returns: False when the connection does not go on.
        """
        return self.subscriber is not None and self._line.accept_identity(identity)

    def on_gap(self, topic: str) -> None:
        """Do nothing: the client sees the gap by positions, if it sees them."""

    def end(self, reason: CloseReason, detail: str = "") -> None:
        """End the connection once everything queued is sent."""
        self._line.end(reason, detail)


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


class ResumingRoute(Route, Protocol):
    """A route that goes on with conversations of another process."""

    def resume(
        self, line: Line, outbox: Outbox, state: SessionState, *, is_local: bool
    ) -> Conversation:
        """Go on with a conversation that another process had; its connection is open.

        :param line: the connection.
        :param outbox: the client's queue, with what waited for it there.
        :param state: of the session.
        :param is_local: whether the client is on this machine, and not a page of another host.
        """


class PlainRoute(Route, Protocol):
    """Begins the responses to ordinary GET requests for one path.

    Such a request takes the same way as a handshake: admission, identity, connect hook.
    """

    def head(self, request: ConnectRequest, shared_with: str) -> bytes:
        """Return the begin of a response, up to what its conversation sends.

        If that is nothing, the conversation sends all of it, also of the response to HEAD.

        :param request: may be of method HEAD, whose response is this alone.
        :param shared_with: header lines that let the page read the response, or "".
        """


class Routes:
    """The route of every path.

    :param others: for every path without a route of its own.
    :param by_path: by path as clients write it, without the query.
    :param plain: for ordinary requests, by path, or by the first segment of the path, in slashes;
        other paths get a page about this port.
    :param files: by path, what anyone may load.
    """

    __slots__ = ("_by_path", "_files", "_others", "_plain")

    def __init__(
        self,
        others: Route,
        by_path: Mapping[str, Route] = _NO_ROUTES,
        plain: Mapping[str, PlainRoute] = _NO_ROUTES,
        files: Mapping[str, ClientFile] = _NO_ROUTES,
    ) -> None:
        self._others = others
        self._by_path = by_path
        self._files = files
        self._plain = plain

    @property
    def resuming(self) -> ResumingRoute:
        """The route that goes on with conversations of another process."""
        return cast("ResumingRoute", self._others)

    def find_file(self, target: str) -> ClientFile | None:
        """Return the file that an ordinary request asks for; None where it asks for something else.

        :param target: path and query as sent.
        """
        return self._files.get(target.partition("?")[0])

    def find_plain(self, target: str) -> PlainRoute | None:
        """Return the route of an ordinary request; None where there is none.

        :param target: path and query as sent.
        """
        path = target.partition("?")[0]
        return self._plain.get(path) or self._plain.get(path[: path.find("/", 1) + 1])

    def find(self, target: str) -> Route:
        """Return the route of a request.

        :param target: path and query as sent.
        """
        if not self._by_path:
            return self._others
        return self._by_path.get(target.partition("?")[0], self._others)
