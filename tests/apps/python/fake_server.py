"""The server as Python apps use it, without a broker, and handlers that run on a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from twisted.internet.task import Clock

from tests.broker.world import World
from wampush.apps.incidents import Incidents
from wampush.apps.python.context_factory import Contexts
from wampush.apps.python.event_loop import EventLoop
from wampush.apps.python.replies import Replies
from wampush.apps.python.runner import Runner
from wampush.apps.python.server_api import ServerApi
from wampush.apps.python.session_registry import Sessions
from wampush.apps.python.threads import Threads
from wampush.broker.publication import Publication
from wampush.broker.session_ends import EndedSessions, OnEnded
from wampush.broker.subscriber import Subscriber
from wampush.errors import CloseReason

Value = TypeVar("Value")


class FakePresence:
    """Presence with fixed numbers."""

    num_online = 2
    num_clients = 3

    def is_online(self, user: str) -> bool:
        return user == "7"

    def users(self, topic: str) -> Mapping[str, int]:
        return {topic: 1}


class FakeServer:
    """Records what apps do.

    :ivar reactor_calls: functions that were called in the reactor's thread.
    """

    def __init__(self) -> None:
        self.published: list[Publication] = []
        self.sent: list[tuple[Subscriber, str, bytes]] = []
        self.ended: list[tuple[str, CloseReason, str]] = []
        self.reactor_calls: list[str] = []
        self.clock: Any = Clock()
        self.world = World()
        self.api = ServerApi(
            broker=self,
            presence=FakePresence(),
            now=lambda: 1000.5,
            in_reactor=self._in_reactor,
            ended_in_reactor=self._ended_in_reactor,
            end_user=self._end_user,
            max_topic_bytes=20,
        )
        self.sessions = Sessions(self.api)
        self.contexts = Contexts("shop.live:app", self.api, self.sessions)
        incidents = Incidents(self.clock.seconds)
        self.runner = Runner(
            self.clock,
            Threads(1, self.clock),
            EventLoop(self.clock),
            incidents,
            10.0,
            self.clock.seconds,
        )
        self.replies = Replies(incidents)

    def publish(self, publication: Publication) -> int:
        self.published.append(publication)
        return 5

    def send(self, subscriber: Subscriber, topic: str, payload: bytes) -> None:
        self.sent.append((subscriber, topic, payload))

    def _end_user(
        self, user: str, reason: CloseReason, detail: str, done: OnEnded
    ) -> EndedSessions:
        self.ended.append((user, reason, detail))
        ended = EndedSessions(2, ("b",))
        done(ended)
        return ended

    def subscriber(self) -> Subscriber:
        """A client that has got its WELCOME."""
        subscriber: Subscriber = self.world.client().subscriber
        return subscriber

    def _in_reactor(self, function: Callable[..., Value], *arguments: Any) -> Value:
        self.reactor_calls.append(function.__name__)
        return function(*arguments)

    def _ended_in_reactor(self, ask: Callable[[OnEnded], EndedSessions]) -> EndedSessions:
        self.reactor_calls.append("end_user")
        outcome: list[EndedSessions] = []
        ask(outcome.append)
        return outcome[0]
