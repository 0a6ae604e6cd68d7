"""The session of a client, as apps see it.

Owns: Session, its states, and events that are kept until it has opened.
Must not import: Twisted, the edges.

A session may be used from any thread: what touches the server runs in the reactor's thread, and the
caller waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from wampush.apps.python import json_values
from wampush.errors import CloseReason
from wampush.state_machine import moved

if TYPE_CHECKING:
    from wampush.apps.python.server_api import ServerApi
    from wampush.broker.identity import Identity
    from wampush.broker.subscriber import Subscriber


@unique
class SessionState(Enum):
    """Where a session is between handshake and end."""

    CONNECTING = "connecting"
    OPEN = "open"
    ENDED = "ended"


_MOVES: Final[Mapping[SessionState, frozenset[SessionState]]] = MappingProxyType(
    {
        SessionState.CONNECTING: frozenset((SessionState.OPEN, SessionState.ENDED)),
        SessionState.OPEN: frozenset((SessionState.ENDED,)),
        # Handlers about its end ask for an ended session again.
        SessionState.ENDED: frozenset((SessionState.ENDED,)),
    }
)


class Session:
    """A client from its handshake to its end. Later it can still be read, and does nothing.

    :param api: the server.
    :param subscriber: the client as the broker sees it; None if it does not use WAMP.
    :param identity: of the client at the handshake.
    :param address: of the client; behind a trusted proxy, the address that the proxy reports.
    """

    __slots__ = (
        "__weakref__",
        "_api",
        "_data",
        "_end_reason",
        "_identity",
        "_kept",
        "_state",
        "_subscriber",
        "address",
        "id",
    )

    def __init__(
        self, api: ServerApi, subscriber: Subscriber | None, identity: Identity, address: str
    ) -> None:
        self._api = api
        self._subscriber = subscriber
        self._identity = identity
        self._data: SimpleNamespace | None = None
        # Events for a session that has not got its WELCOME.
        self._kept: list[tuple[str, bytes]] = []
        self._end_reason: str | None = None
        self._state = SessionState.CONNECTING
        self.address: Final = address
        #: As in WELCOME; "" for a plain WebSocket.
        self.id: Final = "" if subscriber is None else subscriber.session_id

    def __repr__(self) -> str:
        return f"<Session {self.id} of {self.address}>"

    @property
    def identity(self) -> Identity:
        """The present identity: user, groups, language, web_session, data."""
        subscriber = self._subscriber
        return self._identity if subscriber is None else subscriber.identity

    @property
    def user(self) -> str | None:
        """The user id; None when nobody is logged in."""
        return self.identity.user

    @property
    def is_open(self) -> bool:
        """Whether it has got its WELCOME and has not ended."""
        return self._state is SessionState.OPEN

    @property
    def data(self) -> SimpleNamespace:
        """A namespace for attributes of the app, kept as long as the session.

        ``ctx.session.data.count = 1``

        An upgrade keeps them if all are as :func:`json.loads` returns values: strings, numbers,
        true, false, None, and lists and dictionaries of these. If one is anything else, all are
        lost, which is logged.
        """
        if self._data is None:
            self._data = SimpleNamespace()
        return self._data

    def send(self, topic: str, data: object) -> None:
        """Send an event to this session alone, whether it has subscribed or not.

        Before WELCOME it is kept, and follows WELCOME. Does nothing when the session has ended.

        :param data: any JSON value.
        :raises PushRefused: when the topic is not valid.
        :raises NotSerialisable: when the data has no JSON form.
        """
        api = self._api
        api.in_reactor(self._send, api.check_topic(topic), json_values.text_of(data))

    def end(self, reason: str = "") -> None:
        """End the session once what is queued for it is sent, with close code 3000.

        AutobahnJS does not reconnect by itself after this code. In ``on_connect`` the client is
        refused.

        :param reason: for the client, truncated to 123 bytes.
        """
        self._api.in_reactor(self._end, reason)

    def _send(self, topic: str, payload: bytes) -> None:
        subscriber = self._subscriber
        if subscriber is None:
            return
        if self.is_open:
            self._api.broker.send(subscriber, topic, payload)
        else:
            self._kept.append((topic, payload))

    def _end(self, reason: str) -> None:
        subscriber = self._subscriber
        if not self.is_open:
            self._end_reason = reason
        elif subscriber is not None and subscriber.peer is not None:
            subscriber.peer.end(CloseReason.ENDED_BY_APPLICATION, reason)

    # For ``sessions`` and ``host``.

    @property
    def end_reason(self) -> str | None:
        """Why the client must not connect; None when it may."""
        return self._end_reason

    def snapshot(self) -> Mapping[str, Any] | None:
        """Return the attributes of the app for another process; None if none can travel."""
        values = {} if self._data is None else vars(self._data)
        for name, value in values.items():
            if not json_values.is_plain(value):
                self._api.on_lost_data(self, name, value)
                return None
        return values or None

    def restore(self, values: Mapping[str, Any]) -> None:
        """Take the attributes of the app from another process."""
        vars(self.data).update(values)

    def on_open(self) -> None:
        """Send what was kept: the session has got its WELCOME."""
        self._move(SessionState.OPEN)
        kept, self._kept = self._kept, []
        for topic, payload in kept:
            self._send(topic, payload)

    def on_lost(self) -> None:
        """Keep the last identity, and nothing of the connection: the session has ended."""
        self._move(SessionState.ENDED)
        self._identity = self.identity
        self._subscriber = None
        self._kept = []

    def _move(self, state: SessionState) -> None:
        self._state = moved(_MOVES, self._state, state)
