"""What holds for single topics: what slow clients lose, and whether there is presence.

Owns: which rule of ``[[topics]]`` decides about a topic. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from wampush.choices import SlowClient
from wampush.topics import REMEMBERED_TOPICS, matches


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


class TopicRules:
    """The rules for topics.

    :param rules: the first that matches a topic decides.
    """

    def __init__(self, rules: Sequence[TopicRule] = ()) -> None:
        self._rules: Final = tuple(rules)
        #: Returns what happens to events of a topic for a slow client; without a rule, it is
        #: disconnected. Asked for each push, and remembered because it takes as long as the rest of
        #: a push to try ten rules.
        self.slow_client: Final[Callable[[str], SlowClient]] = lru_cache(REMEMBERED_TOPICS)(
            self._slow_client
        )

    def _slow_client(self, topic: str) -> SlowClient:
        for rule in self._rules:
            if matches(rule.match, topic):
                return rule.slow_client
        return SlowClient.DISCONNECT

    @property
    def uses_presence(self) -> bool:
        """Whether any topic may have presence."""
        return any(rule.presence for rule in self._rules)

    def has_presence(self, topic: str) -> bool:
        """Return whether joins and leaves of a topic are published."""
        for rule in self._rules:
            if matches(rule.match, topic):
                return rule.presence
        return False
