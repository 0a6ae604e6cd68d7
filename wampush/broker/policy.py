"""Who may do what, and what a slow client loses.

Owns: the decision whether clients may publish, and the rules for topics.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wampush.broker.outbox import SlowClient


@dataclass(frozen=True, slots=True)
class TopicRule:
    """What holds for some topics.

    :param match: a topic, or a prefix of topics that ends in ``*``.
    :param slow_client: what a slow client loses on these topics.
    """

    match: str
    slow_client: SlowClient

    def covers(self, topic: str) -> bool:
        """Whether this rule is about the topic."""
        if self.match.endswith("*"):
            return topic.startswith(self.match[:-1])
        return topic == self.match


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force.

    :param clients_publish: whether clients may PUBLISH.
    :param rules: the first that covers a topic decides.
    """

    clients_publish: bool
    rules: Sequence[TopicRule] = ()

    def slow_client(self, topic: str) -> SlowClient:
        """What a slow client loses on this topic; without a rule its connection."""
        for rule in self.rules:
            if rule.covers(topic):
                return rule.slow_client
        return SlowClient.DISCONNECT
