"""The services of the server for Python apps.

Owns: ServerApi, and the rule for topics that apps may use.
Must not import: Twisted's reactor, the edges.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from twisted.logger import Logger

from wampush.broker.presence.presence import PresenceView
from wampush.broker.session_ends import EndedSessions, OnEnded
from wampush.errors import CloseReason, PushRefused, Refusal
from wampush.excerpts import shown
from wampush.topics import is_reserved

if TYPE_CHECKING:
    from wampush.broker.publication import Publication
    from wampush.broker.subscriber import Subscriber

Value = TypeVar("Value")

_log = Logger(namespace="wampush.apps")


class Publisher(Protocol):
    """The broker, as apps use it."""

    def publish(self, publication: Publication) -> int | None:
        """Publish, and return the number of receivers; None where it is stored first."""

    def send(self, subscriber: Subscriber, topic: str, payload: bytes) -> None:
        """Queue an event for one session."""


class EndUser(Protocol):
    """Ends the sessions of a user at all nodes."""

    def __call__(self, user: str, reason: CloseReason, detail: str, done: OnEnded) -> EndedSessions:
        """End them; see :meth:`~wampush.broker.session_ends.SessionEnds.end_user`."""


class EndedInReactor(Protocol):
    """Calls a function in the reactor's thread that answers later."""

    def __call__(self, ask: Callable[[OnEnded], EndedSessions]) -> EndedSessions:
        """Return the answer; in the reactor's thread, what is known at once."""


class InReactor(Protocol):
    """Calls a function in the reactor's thread, from any thread."""

    def __call__(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """Return what the function returns, or raise what it raises."""


class ServerApi:
    """What sessions and contexts of apps use of the server.

    :param broker: publishes and sends.
    :param presence: which users are online.
    :param now: seconds since the epoch.
    :param in_reactor: see :class:`InReactor`.
    :param ended_in_reactor: see :class:`EndedInReactor`.
    :param end_user: see :class:`EndUser`.
    :param max_topic_bytes: length limit of topics, in bytes of UTF-8.
    """

    def __init__(
        self,
        *,
        broker: Publisher,
        presence: PresenceView,
        now: Callable[[], float],
        in_reactor: InReactor,
        ended_in_reactor: EndedInReactor,
        end_user: EndUser,
        max_topic_bytes: int,
    ) -> None:
        self._max_topic_bytes = max_topic_bytes
        self._has_lost_data = False
        self.broker: Final = broker
        self.presence: Final = presence
        self.now: Final = now
        self.in_reactor: Final = in_reactor
        self._ended_in_reactor = ended_in_reactor
        self._end_user = end_user

    def end_user_sessions(self, user: str, reason: str) -> EndedSessions:
        """End the sessions of a user at all nodes; from any thread.

        :param reason: for the clients.
        """
        code = CloseReason.ENDED_BY_APPLICATION
        return self._ended_in_reactor(partial(self._end_user, user, code, reason))

    def on_lost_data(self, session: object, name: str, value: object) -> None:
        """Log that attributes of an app do not go to another process; once, not for each session.

        :param session: whose attributes they are.
        :param name: of one that cannot.
        :param value: of the same.
        """
        if not self._has_lost_data:
            self._has_lost_data = True
            _log.warn(
                "session.data of {session} is lost at this upgrade, and so may be that of others: "
                "{name} is {value}, which is not plain JSON data",
                session=repr(session),
                name=name,
                value=shown(value),
            )

    def check_topic(self, topic: object) -> str:
        """Return a topic that apps may use.

        :raises PushRefused: when it is not valid.
        """
        if not isinstance(topic, str):
            raise PushRefused(Refusal.TOPIC_NOT_STRING, f"It is {shown(topic)}.")
        if not topic:
            raise PushRefused(Refusal.TOPIC_EMPTY)
        size = len(topic.encode("utf-8", "surrogatepass"))
        if size > self._max_topic_bytes:
            raise PushRefused(
                Refusal.TOPIC_TOO_LONG, f"{size} bytes, {self._max_topic_bytes} allowed."
            )
        if is_reserved(topic):
            raise PushRefused(Refusal.TOPIC_RESERVED, f"It is {shown(topic)}.")
        return topic
