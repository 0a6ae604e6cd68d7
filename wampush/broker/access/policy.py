"""The policy: which permissions are in force, and what holds for each topic.

Owns: whether permissions are asked at all, the rules for topics, and who may publish by default.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, unique
from time import monotonic
from typing import Final

from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.identity import Identity
from wampush.choices import SlowClient
from wampush.topics import matches


@unique
class Publishing(Enum):
    """Which clients may PUBLISH where no permission decides; values are reasons for people."""

    NOBODY = "clients.publish allows no client to publish"
    #: Clients on this machine; a page counts only if it was loaded from this machine too.
    LOCAL = 'clients.publish = "auto" allows only clients and pages on this machine to publish'
    EVERYBODY = 'clients.publish = "always"'

    def includes(self, is_local: bool) -> bool:
        """Return whether a client may publish.

        :param is_local: whether the client counts as one on this machine.
        """
        return self is Publishing.EVERYBODY or (self is Publishing.LOCAL and is_local)


@dataclass(frozen=True, slots=True)
class TopicRule:
    """What holds for some topics.

    :param match: a topic, or a prefix of topics that ends in ``*``.
    :param slow_client: what happens to events for a slow client.
    :param presence: whether joins and leaves of these topics are published.
    """

    match: str
    slow_client: SlowClient
    presence: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force.

    :param publishing: which clients may PUBLISH where no permission decides.
    :param rules: the first that matches a topic decides.
    :param permissions: who may subscribe, publish and call; None when everybody may do everything,
        apart from what ``publishing`` says.
    """

    publishing: Publishing
    rules: Sequence[TopicRule] = ()
    permissions: Permissions | None = None

    def slow_client(self, topic: str) -> SlowClient:
        """Return what happens to events for a slow client; without a rule, it is disconnected."""
        for rule in self.rules:
            if matches(rule.match, topic):
                return rule.slow_client
        return SlowClient.DISCONNECT

    @property
    def uses_presence(self) -> bool:
        """Whether any topic may have presence."""
        return any(rule.presence for rule in self.rules)

    def has_presence(self, topic: str) -> bool:
        """Return whether joins and leaves of a topic are published."""
        for rule in self.rules:
            if matches(rule.match, topic):
                return rule.presence
        return False

    def with_publishing(self, publishing: Publishing) -> Policy:
        """Return the same policy, with other clients that may publish by default."""
        return replace(self, publishing=publishing)

    def effective(self, identity: Identity, is_local: bool) -> Mapping[str, object]:
        """Return what an identity may do on a client, as the permissions object of WAMP-CRA.

        :param is_local: whether the client counts as one on this machine.
        """
        permissions = self.permissions or _NO_RULES
        return permissions.effective(identity, self.publishing.includes(is_local))


_NO_RULES: Final = Permissions((), default_decisions(), monotonic)
