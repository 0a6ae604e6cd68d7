"""What holds for single topics: what slow clients lose, and whether there is presence.

Owns: which rule of ``[[topics]]`` decides about a topic. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wampush.choices import SlowClient
from wampush.topics import matches

# Read once per push; reading a member from its enumeration takes as long as a call.
_DISCONNECT: Final = SlowClient.DISCONNECT


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
class TopicRules:
    """The rules for topics.

    :param rules: the first that matches a topic decides.
    """

    rules: Sequence[TopicRule] = ()

    def slow_client(self, topic: str) -> SlowClient:
        """Return what happens to events for a slow client; without a rule, it is disconnected."""
        for rule in self.rules:
            if matches(rule.match, topic):
                return rule.slow_client
        return _DISCONNECT

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
