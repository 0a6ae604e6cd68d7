"""Who may do what, and what a slow client loses.

Owns: whether permissions are asked at all, and the rules for topics.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, unique
from time import monotonic

from wampush.broker.access.permissions import Action, Permissions, usual
from wampush.broker.identity import Identity
from wampush.topics import covers


@unique
class SlowClient(Enum):
    """What happens to an event for which a slow client has no room, as its topic's rule says."""

    DISCONNECT = "disconnect"
    DROP_NEWEST = "drop-newest"
    LATEST = "latest"


@unique
class Publishing(Enum):
    """Which clients may PUBLISH where no permission decides."""

    NOBODY = "clients.publish lets no client publish"
    #: Clients on this machine; a page counts as one only if it came from this machine too.
    LOCAL = 'clients.publish = "auto" lets clients and pages of this machine alone publish'
    EVERYBODY = 'clients.publish = "always"'

    def includes(self, is_local: bool) -> bool:
        """Whether a client is one of them."""
        return self is Publishing.EVERYBODY or (self is Publishing.LOCAL and is_local)


@dataclass(frozen=True, slots=True)
class TopicRule:
    """What holds for some topics.

    :param match: a topic, or a prefix of topics that ends in ``*``.
    :param slow_client: what a slow client loses on these topics.
    :param presence: whether joins and leaves of these topics are told.
    """

    match: str
    slow_client: SlowClient
    presence: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force.

    :param publishing: which clients may PUBLISH where no permission decides.
    :param rules: the first that covers a topic decides.
    :param permissions: who may subscribe, publish, call; None when that is the same for everybody:
        everything, but for what ``publishing`` says.
    """

    publishing: Publishing
    rules: Sequence[TopicRule] = ()
    permissions: Permissions | None = None

    def slow_client(self, topic: str) -> SlowClient:
        """What a slow client loses on this topic; without a rule its connection."""
        for rule in self.rules:
            if covers(rule.match, topic):
                return rule.slow_client
        return SlowClient.DISCONNECT

    @property
    def knows_presence(self) -> bool:
        """Whether there may be a topic whose joins and leaves are told."""
        return any(rule.presence for rule in self.rules)

    def has_presence(self, topic: str) -> bool:
        """Whether joins and leaves of this topic are told."""
        for rule in self.rules:
            if covers(rule.match, topic):
                return rule.presence
        return False

    def letting_publish(self, publishing: Publishing) -> Policy:
        """The same policy, with publishing allowed to these where no permission decides."""
        return replace(self, publishing=publishing)

    def for_client(self, is_local: bool) -> Permissions:
        """The permissions as they hold for a client."""
        permissions = self.permissions
        allowed = self.publishing.includes(is_local)
        if permissions is None:
            return Permissions((), usual(publish="always" if allowed else "never"), monotonic)
        return permissions.with_default(Action.PUBLISH, allowed)

    def effective(self, identity: Identity, is_local: bool) -> Mapping[str, object]:
        """What an identity may do on such a client, as the permissions object of WAMP-CRA."""
        return self.for_client(is_local).effective(identity)
