"""What a handler of an app gets: who asks, and what it can do.

Owns: Context, ConnectContext, Session, and when a session can be sent to.
Must not import: Twisted, the edges.

Everything here may be used from any thread: what touches the server runs in the reactor's thread,
and the caller waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from wampush.apps.python import json_values
from wampush.broker.audience import targets_of
from wampush.broker.presence.presence import PresenceView
from wampush.broker.publication import EVERYONE, Audience, Publication, Targets
from wampush.errors import CloseReason, PushRefused, Refusal, shown
from wampush.topics import is_reserved

if TYPE_CHECKING:
    from twisted.logger import Logger

    from wampush.broker.identity import Identity
    from wampush.broker.requests.connect import ConnectRequest
    from wampush.broker.subscriber import Subscriber

Value = TypeVar("Value")

To = Targets | dict[str, Any] | None
"""Who of a topic's subscribers gets a publication: ``{"users": ["7"]}`` and so on; None for all."""


class Broker(Protocol):
    """The broker, as apps use it."""

    def publish(self, publication: Publication) -> int:
        """Publish; tells for how many receivers."""

    def send(self, subscriber: Subscriber, topic: str, payload: bytes) -> None:
        """Queue an event for one session."""


class InReactor(Protocol):
    """Calls a function in the reactor's thread, from whichever this is, and gives its result."""

    def __call__(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """What the function returns or raises."""


class Server:
    """What the server does for apps.

    :param broker: the way to the clients.
    :param presence: who is here.
    :param now: seconds since the epoch.
    :param in_reactor: see :class:`InReactor`.
    :param topic_bytes: the longest topic, in bytes of UTF-8.
    """

    def __init__(
        self,
        broker: Broker,
        presence: PresenceView,
        now: Callable[[], float],
        in_reactor: InReactor,
        topic_bytes: int,
    ) -> None:
        self._topic_bytes = topic_bytes
        self.broker: Final = broker
        self.presence: Final = presence
        self.now: Final = now
        self.in_reactor: Final = in_reactor

    def checked(self, topic: object) -> str:
        """A topic that apps may use.

        :raises PushRefused: with what is wrong with it.
        """
        if not isinstance(topic, str):
            raise PushRefused(Refusal.TOPIC_NOT_STRING, f"It is {shown(topic)}.")
        if not topic:
            raise PushRefused(Refusal.TOPIC_EMPTY)
        if len(topic.encode("utf-8", "surrogatepass")) > self._topic_bytes:
            raise PushRefused(Refusal.TOPIC_TOO_LONG, f"{self._topic_bytes} are allowed.")
        if is_reserved(topic):
            raise PushRefused(Refusal.TOPIC_RESERVED, f"It is {shown(topic)}.")
        return topic


class Session:
    """A client from its handshake to its end. Later it can still be asked, and does nothing.

    :param server: does the work.
    :param subscriber: the client as the broker sees it; None where it does not speak WAMP.
    :param identity: who it is.
    :param address: of the client, proxies believed.
    """

    __slots__ = (
        "__weakref__",
        "_data",
        "_ending",
        "_identity",
        "_is_open",
        "_kept",
        "_server",
        "_subscriber",
        "address",
        "id",
    )

    def __init__(
        self, server: Server, subscriber: Subscriber | None, identity: Identity, address: str
    ) -> None:
        self._server = server
        self._subscriber = subscriber
        self._identity = identity
        self._data: SimpleNamespace | None = None
        # Events for a session that has not got its WELCOME.
        self._kept: list[tuple[str, bytes]] = []
        self._ending: str | None = None
        self._is_open = False
        self.address: Final = address
        #: As told in WELCOME; "" for a plain WebSocket.
        self.id: Final = "" if subscriber is None else subscriber.session_id

    def __repr__(self) -> str:
        return f"<Session {self.id} of {self.address}>"

    @property
    def identity(self) -> Identity:
        """Who it belongs to, as known by now: user, groups, language, web_session, data."""
        subscriber = self._subscriber
        return self._identity if subscriber is None else subscriber.identity

    @property
    def user(self) -> str | None:
        """The user id; None when nobody is logged in."""
        return self.identity.user

    @property
    def is_open(self) -> bool:
        """Whether it has got its WELCOME and is not lost."""
        return self._is_open

    @property
    def data(self) -> SimpleNamespace:
        """Room for the app's own attributes, as long as the session: ``ctx.session.data.n = 1``."""
        if self._data is None:
            self._data = SimpleNamespace()
        return self._data

    def send(self, topic: str, data: object) -> None:
        """Send an event to this session alone, whether it has subscribed or not.

        Before WELCOME it is kept, and follows it. Nothing happens when the session is gone.

        :param data: any JSON value.
        :raises PushRefused: when it can not be a topic.
        :raises NotSerialisable: when the data has no JSON form.
        """
        server = self._server
        server.in_reactor(self._send, server.checked(topic), json_values.text_of(data))

    def end(self, reason: str = "") -> None:
        """End the session once what is queued for it is sent, with close code 3000.

        A page of AutobahnJS does not come back by itself then. In ``on_connect`` the client is not
        let in.

        :param reason: for the client, cut to 123 bytes.
        """
        self._server.in_reactor(self._end, reason)

    def _send(self, topic: str, payload: bytes) -> None:
        subscriber = self._subscriber
        if subscriber is None:
            return
        if self._is_open:
            self._server.broker.send(subscriber, topic, payload)
        else:
            self._kept.append((topic, payload))

    def _end(self, reason: str) -> None:
        subscriber = self._subscriber
        if not self._is_open:
            self._ending = reason
        elif subscriber is not None and subscriber.peer is not None:
            subscriber.peer.end(CloseReason.ENDED_BY_APPLICATION, reason)

    # For ``sessions``, see there.

    @property
    def ending(self) -> str | None:
        """Why the client shall not be let in; None when it may."""
        return self._ending

    def on_open(self) -> None:
        """It has got its WELCOME."""
        self._is_open = True
        kept, self._kept = self._kept, []
        for topic, payload in kept:
            self._send(topic, payload)

    def on_lost(self) -> None:
        """It is gone: keep who it was, and nothing of the connection."""
        self._identity = self.identity
        self._is_open = False
        self._subscriber = None
        self._kept = []


class Presence:
    """Who is here, for any thread.

    :param server: does the work.
    """

    __slots__ = ("_server",)

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def num_online(self) -> int:
        """How many users have a session, or had one until a moment ago."""
        return self._server.presence.num_online

    @property
    def num_clients(self) -> int:
        """How many sessions there are, with a user and without."""
        return self._server.presence.num_clients

    def is_online(self, user: str) -> bool:
        """Whether a user has a session, or had one until a moment ago."""
        return self._server.in_reactor(self._server.presence.is_online, user)

    def users(self, topic: str) -> Mapping[str, int]:
        """Who has subscribed to a topic, with the number of sessions that have.

        Where presence is on, those who were lost a moment ago have the number 0.
        """
        return self._server.in_reactor(self._server.presence.users, topic)


class Context:
    """What a handler gets first.

    :param server: does the work.
    :param session: on whose behalf the handler runs.
    :param log: for the app's own lines.
    """

    __slots__ = ("_server", "log", "session")

    def __init__(self, server: Server, session: Session, log: Logger) -> None:
        self._server = server
        #: The client that this is about.
        self.session: Final = session
        #: Writes to the daemon's log, with the app's name as its namespace.
        self.log: Final = log

    @property
    def presence(self) -> Presence:
        """Who is here."""
        return Presence(self._server)

    def now(self) -> float:
        """The time, in seconds since the epoch."""
        return self._server.now()

    def publish(self, topic: str, data: object, to: To = None) -> int:
        """Publish an event.

        :param data: any JSON value.
        :param to: who of the subscribers gets it; None for all.
        :returns: for how many sessions it was queued.
        :raises PushRefused: when topic or targets can not be used.
        :raises NotSerialisable: when the data has no JSON form.
        """
        targets = to if isinstance(to, Targets) else targets_of(to)
        audience = EVERYONE if targets is None else Audience(to=targets)
        server = self._server
        publication = Publication(server.checked(topic), json_values.text_of(data), audience)
        return server.in_reactor(server.broker.publish, publication)


class ConnectContext(Context):
    """What an ``on_connect`` handler gets.

    :param request: the handshake: path, query, headers, cookies, address.
    """

    __slots__ = ("request",)

    def __init__(
        self, server: Server, session: Session, log: Logger, request: ConnectRequest
    ) -> None:
        super().__init__(server, session, log)
        #: The handshake.
        self.request: Final = request
