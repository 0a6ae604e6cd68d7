"""WAMP v1 over a connection.

Owns: how a session begins on a connection, and what passes between the connection and the request
handler.
Must not import: Twisted, Autobahn. The meaning of WAMP messages does not matter here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wampush.broker.identity import AWAITING, identity_from_json
from wampush.broker.requests.cra_attempt import CraAttempt
from wampush.broker.subscriber import Subscriber
from wampush.broker.transfer.session_transfer import restore, snapshot
from wampush.edges.websocket import http_upgrade
from wampush.edges.websocket.conversation import ClientPeer
from wampush.edges.websocket.framing import PING, ping_frame
from wampush.errors import MessageRefused, Refusal
from wampush.net.origins import is_from_this_machine
from wampush.wamp.session import PrefixLimits, WampSession

if TYPE_CHECKING:
    from wampush.broker.delivery.outbox import Outbox
    from wampush.broker.identity import Identity
    from wampush.broker.requests.connect_request import ConnectRequest
    from wampush.broker.requests.handler import RequestHandler
    from wampush.broker.transfer.session_transfer import SessionState
    from wampush.edges.websocket.conversation import Line
    from wampush.wamp.uris import Dialect


class WampRoute:
    """Begins WAMP v1 sessions, on every path that is not a component's.

    :param handler: carries out what clients send.
    :param dialect: the variant of WAMP v1 that clients speak.
    :param server: name and version sent in WELCOME.
    :param prefixes: limits on the prefixes of one client.
    :param require_subprotocol: whether a client must offer ``wamp``.
    """

    __slots__ = ("_dialect", "_handler", "_prefixes", "_require_subprotocol", "_server")

    #: The pages of ``[websocket]`` may connect.
    origins = None

    def __init__(
        self,
        *,
        handler: RequestHandler,
        dialect: Dialect,
        server: str,
        prefixes: PrefixLimits,
        require_subprotocol: bool,
    ) -> None:
        self._handler = handler
        self._dialect = dialect
        self._server = server
        self._prefixes = prefixes
        self._require_subprotocol = require_subprotocol

    def subprotocol(self, offered: Sequence[str]) -> str | None:
        """Choose ``wamp`` whenever it is offered; None for none.

        :param offered: by the client, in its order of preference.
        :raises HandshakeRefused: when ``wamp`` must be offered and was not.
        """
        return http_upgrade.subprotocol(offered, self._require_subprotocol)

    def begin(
        self,
        line: Line,
        outbox: Outbox,
        request: ConnectRequest,
        identity: Identity,
        subprotocol: str | None,
    ) -> WampConversation:
        """Make a session with its id; its connection is not open yet."""
        session = WampSession(self._dialect, self._server, self._prefixes)
        is_local = is_from_this_machine(line.peer, request.headers)
        conversation = WampConversation(self._handler, line, is_local)
        conversation.subscriber = Subscriber(session, outbox, identity, conversation)
        self._greet_visitor(conversation, request, identity)
        return conversation

    def _greet_visitor(
        self, conversation: WampConversation, request: ConnectRequest, identity: Identity
    ) -> None:
        """Give a browser without a user a name, if that is needed to know what it misses."""
        if identity.user is not None or identity.source == AWAITING:
            return
        gaps = self._handler.broker.gaps
        # Programs send no Origin, and keep no cookies.
        if gaps is not None and request.headers.get("origin"):
            is_secure = request.scheme == "wss"
            looks = f"{request.address} {request.headers.get('user-agent', '')}"
            arrival = gaps.visitors.arrive(request.cookies, looks, is_secure=is_secure)
            conversation.visitor, conversation.cookie = arrival

    def resume(
        self, line: Line, outbox: Outbox, state: SessionState, *, is_local: bool
    ) -> WampConversation:
        """Go on with a session that another process had; its connection is open.

        :param line: the connection.
        :param outbox: the client's queue, with what waited for it there.
        :param state: of the session.
        :param is_local: whether the client is on this machine, and not a page of another host.
        """
        session = WampSession(
            self._dialect, self._server, self._prefixes, state.session_id, state.prefixes
        )
        conversation = WampConversation(self._handler, line, is_local)
        identity = identity_from_json(state.identity)
        subscriber = Subscriber(session, outbox, identity, conversation)
        conversation.subscriber = subscriber
        conversation.visitor = state.visitor
        if state.attempt is not None:
            subscriber.attempt = CraAttempt.resume(state.attempt)
        restore(self._handler.broker, subscriber, state)
        return conversation


class WampConversation(ClientPeer):
    """What one WAMP v1 client says; also the client's connection as the broker knows it."""

    __slots__ = ("cookie", "visitor")

    #: The client sends frames.
    stage = None
    answers_pings = True

    def __init__(self, handler: RequestHandler, line: Line, is_local: bool) -> None:
        super().__init__(handler, line, is_local)
        self.visitor: str | None = None
        self.cookie = ""

    @property
    def ping(self) -> bytes:
        """A ping, with a mark where its answer says what the client has received."""
        gaps, subscriber = self._handler.broker.gaps, self.subscriber
        if gaps is None or subscriber is None:
            return PING
        return ping_frame(gaps.mark(subscriber))

    @property
    def pings_when_heard(self) -> bool:
        """Whether pings are sent to a client that is heard, because their answers matter."""
        gaps, subscriber = self._handler.broker.gaps, self.subscriber
        return gaps is not None and subscriber is not None and gaps.is_tracking(subscriber)

    def on_pong(self, payload: bytes) -> None:
        """The client has answered a ping."""
        gaps, subscriber = self._handler.broker.gaps, self.subscriber
        if gaps is not None and subscriber is not None:
            gaps.on_pong(subscriber, payload)

    @property
    def can_move(self) -> bool:
        """Whether another process can go on with the session."""
        return self.subscriber is not None

    def snapshot(self) -> dict[str, object]:
        """Return the session, which has not ended, as the values of a ``SessionState``.

        :raises ValueError: it has.
        """
        if self.subscriber is None:
            raise ValueError("the session has ended")
        return snapshot(self._handler.broker, self.subscriber)

    def on_open(self) -> None:
        """The handshake is answered: the session begins with WELCOME."""
        self.cookie = ""
        if self.subscriber is not None:
            self._handler.on_open(self.subscriber)

    def on_text(self, text: bytes) -> None:
        """The client has sent a text message.

        :param text: UTF-8.
        """
        if self.subscriber is not None:
            self._handler.on_text(self.subscriber, text)

    def on_binary(self, data: bytes) -> None:
        """The client has sent a binary message, which WAMP v1 does not have."""
        if self.subscriber is not None:
            error = MessageRefused(Refusal.BINARY_FRAME)
            self._handler.refuse(self.subscriber, error, data)
