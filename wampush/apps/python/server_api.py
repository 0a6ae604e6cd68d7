"""The services of the server for Python apps.

Owns: ServerApi, and the rule for topics that apps may use.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from wampush.broker.presence.presence import PresenceView
from wampush.errors import CloseReason, PushRefused, Refusal
from wampush.excerpts import shown
from wampush.topics import is_reserved

if TYPE_CHECKING:
    from wampush.broker.publication import Publication
    from wampush.broker.subscriber import Subscriber

Value = TypeVar("Value")


class Publisher(Protocol):
    """The broker, as apps use it."""

    def publish(self, publication: Publication) -> int | None:
        """Publish, and return the number of receivers; None where it is stored first."""

    def send(self, subscriber: Subscriber, topic: str, payload: bytes) -> None:
        """Queue an event for one session."""

    def end_user_sessions(self, user: str, reason: CloseReason, detail: str = "") -> int:
        """End all sessions of a user, and return how many."""


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
    :param max_topic_bytes: length limit of topics, in bytes of UTF-8.
    """

    def __init__(
        self,
        *,
        broker: Publisher,
        presence: PresenceView,
        now: Callable[[], float],
        in_reactor: InReactor,
        max_topic_bytes: int,
    ) -> None:
        self._max_topic_bytes = max_topic_bytes
        self.broker: Final = broker
        self.presence: Final = presence
        self.now: Final = now
        self.in_reactor: Final = in_reactor

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
