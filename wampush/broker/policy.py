"""Who may do what, and what a slow client loses.

Owns: whether permissions are asked at all, and the rules for topics.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from wampush.broker.identity import Identity
from wampush.broker.outbox import SlowClient
from wampush.broker.permissions import Action, Permissions, usual
from wampush.topic_patterns import covers


@dataclass(frozen=True, slots=True)
class TopicRule:
    """What holds for some topics.

    :param match: a topic, or a prefix of topics that ends in ``*``.
    :param slow_client: what a slow client loses on these topics.
    """

    match: str
    slow_client: SlowClient


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force.

    :param clients_publish: whether clients may PUBLISH where no permission decides.
    :param rules: the first that covers a topic decides.
    :param permissions: who may subscribe, publish, call; None when that is the same for everybody:
        everything, but for what ``clients_publish`` says.
    """

    clients_publish: bool
    rules: Sequence[TopicRule] = ()
    permissions: Permissions | None = None

    def slow_client(self, topic: str) -> SlowClient:
        """What a slow client loses on this topic; without a rule its connection."""
        for rule in self.rules:
            if covers(rule.match, topic):
                return rule.slow_client
        return SlowClient.DISCONNECT

    def letting_clients_publish(self) -> Policy:
        """The same policy, with publishing allowed where no permission decides."""
        permissions = self.permissions
        if permissions is not None:
            permissions = permissions.with_default(Action.PUBLISH, True)
        return replace(self, clients_publish=True, permissions=permissions)

    def effective(self, identity: Identity) -> Mapping[str, object]:
        """What an identity may do, as the permissions object of WAMP-CRA."""
        permissions = self.permissions
        if permissions is None:
            publish = "always" if self.clients_publish else "never"
            permissions = Permissions((), usual(publish=publish), monotonic)
        return permissions.effective(identity)
