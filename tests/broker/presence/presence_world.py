"""A broker with presence, and a clock that a test moves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Sequence
from typing import Any

from tests.broker.world import Client, World
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Policy, Publishing
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.nodes.registry import Nodes
from wampush.broker.occupancy import Occupancy
from wampush.broker.presence.presence import Presence
from wampush.broker.requests.application import Application
from wampush.broker.requests.authorization import RequestLimits
from wampush.broker.requests.presence import PresenceProcedures
from wampush.broker.requests.procedures import Procedures
from wampush.broker.router import Router
from wampush.broker.topic_rules import TopicRule
from wampush.choices import PublishPolicy, SlowClient
from wampush.clock import Clock
from wampush.config.tables.permissions import PermissionSettings
from wampush.wamp.uris import PRESENCE_CHANGES, TOPIC_NUM_CLIENTS, TOPIC_NUM_ONLINE

ONLINE, CLIENTS = TOPIC_NUM_ONLINE, TOPIC_NUM_CLIENTS
GRACE = 2.0
RULES = (
    TopicRule("room.quiet", SlowClient.DISCONNECT),
    TopicRule("room.*", SlowClient.DISCONNECT, presence=True),
)


def changes(topic: str) -> str:
    """Return where the joins and leaves of a topic are published."""
    return PRESENCE_CHANGES + topic


def person(user: str | None, *groups: str) -> Identity:
    """Somebody with a token; nobody in particular for None."""
    return ANONYMOUS if user is None else Identity(user, frozenset(groups), source="token")


class PresenceWorld(World):
    """A world with presence on the topics ``room.*``, but for ``room.quiet``."""

    def __init__(
        self,
        *,
        grace: float = GRACE,
        list_users: int = 1000,
        rules: Sequence[TopicRule] = RULES,
        permissions: Sequence[PermissionSettings] = (),
        auto_subscribe: Sequence[str] = (),
        occupancy: Occupancy | None = None,
        nodes: Nodes | None = None,
    ) -> None:
        allowed = Permissions(
            permissions, default_decisions(publish=PublishPolicy.ALWAYS), lambda: self.clock.now
        )
        policy = Policy(Publishing.EVERYBODY, allowed if permissions else None)
        self.grace = grace
        self.list_users = list_users
        super().__init__(
            auto_subscribe=auto_subscribe,
            presence=self._presence,
            policy=policy,
            rules=rules,
            occupancy=occupancy,
            nodes=nodes,
        )

    def _presence(self, router: Router) -> Presence:
        clock = Clock(lambda: self.clock.now, self.clock.call_later)
        self.presence = Presence(router, self.grace, clock)
        return self.presence

    def serve(
        self,
        procedures: Procedures | None = None,
        application: Application | None = None,
        reserved: Container[str] = (),
        limits: RequestLimits | None = None,
    ) -> None:
        """The procedures of presence are answered unless a test gives others."""
        super().serve(procedures, application, reserved, limits)
        if procedures is None:
            presence_procedures = PresenceProcedures(
                self.presence, self.checks.may_learn, self.list_users
            )
            super().serve(presence_procedures.procedures, application, reserved, limits)

    def join(self, user: str | None, *topics: str) -> Client:
        """A session that subscribes as clients do."""
        client = self.client(identity=person(user), limit=10_000_000)
        self.say(client, *([5, topic] for topic in topics))
        return client

    def say(self, client: Client, *messages: object) -> None:
        """Messages of a client, and the end of the turn."""
        for message in messages:
            self.says(client, json.dumps(message))
        self.end_turn()

    def lose(self, *clients: Client) -> None:
        """Connections are lost."""
        for client in clients:
            self.clients.on_lost(client.subscriber)
        self.end_turn()

    def become(self, client: Client, user: str | None, *groups: str) -> None:
        """An open session becomes somebody else."""
        client.become(person(user, *groups))
        self.end_turn()

    def wait(self, seconds: float) -> None:
        """Time passes, and every timer goes off at its time."""
        end = self.clock.now + seconds
        while times := [timer.time for timer in self.clock.pending if timer.time <= end]:
            self.clock.advance(max(0.0, min(times) - self.clock.now))
            self.end_turn()
        self.clock.advance(end - self.clock.now)

    def call(self, client: Client, procedure: str, *arguments: object) -> Any:
        """The answer to a call, without its type and id: a result, or URI, text, details."""
        self.events(client)
        self.says(client, json.dumps([2, "id", procedure, *arguments]))
        self.end_turn()
        # What comes before the answer was on its way already.
        answer = self._take(client)[-1]
        assert answer[:2] in ([3, "id"], [4, "id"])
        return answer[2] if answer[0] == 3 else answer[2:]

    def listed(self, client: Client, topic: str) -> dict[str, int]:
        """What ``wampush.presence.list`` says about users."""
        answer = self.call(client, "wampush.presence.list", topic)
        users = {each["user"]: each["connections"] for each in answer["users"]}
        assert len(users) == len(answer["users"]) == answer["num_users"]
        assert answer["truncated"] is False
        return users

    def _take(self, client: Client) -> list[Any]:
        messages = [json.loads(text) for text in client.texts]
        client.wire.received.clear()
        return messages

    def events(self, client: Client) -> list[tuple[str, Any]]:
        """Topic and value of each event that a client got since the last look."""
        return [(each[1], each[2]) for each in self._take(client) if each[0] == 8]

    def announced(self, client: Client) -> list[str]:
        """The same for joins and leaves, in short: ``+7`` and ``-7``."""
        words: list[str] = []
        for topic, event in self.events(client):
            if not topic.startswith(PRESENCE_CHANGES):
                continue
            if event["event"] == "many":
                words += [f"+{user}" for user in event["joined"]]
                words += [f"-{user}" for user in event["left"]]
            else:
                words.append(("+" if event["event"] == "join" else "-") + event["user"])
        return words


def twice(words: Sequence[str]) -> list[str]:
    """The words that occur more than once."""
    return [word for word, count in Counter(words).items() if count > 1]
