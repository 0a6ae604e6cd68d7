"""What is kept of some topics, and what sessions get of it when they subscribe.

Owns: the rules and their choice by topic. Must not import: Twisted, the edges, the settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wampush.topics import REMEMBERED_TOPICS, is_reserved, matches


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRule:
    """What a topic keeps. All sizes are upper limits.

    :param last: whether the newest event is kept and sent to new subscribers.
    :param last_by: the field of events that makes their key; the newest event of each key is kept
        and sent to new subscribers. "" for no keys.
    :param tombstone: the field of events that is true when their key is to be removed; "" for
        none.
    :param keys: how many keys are kept; the one that was updated longest ago is removed first.
    :param events: how many events are kept.
    :param replay: how many of these new subscribers get.
    :param max_age: of anything kept, in seconds; 0 for any age.
    :param max_bytes: of everything that is kept of one topic.
    :param version_by: the field of events with a number that must not become smaller; "" for none.
    :param durable: whether events are stored before anyone gets them, and survive a restart.
    :param gap_replay: whether a new session of a user gets what earlier ones have not received.
    :param skips_gaps: whether a slow client that sees positions goes on with the oldest event that
        is kept when earlier ones are gone; all others are disconnected.
    """

    last: bool = False
    last_by: str = ""
    tombstone: str = ""
    keys: int = 1000
    events: int = 0
    replay: int = 0
    max_age: float = 0.0
    max_bytes: int = 16 * 1024 * 1024
    version_by: str = ""
    durable: bool = False
    gap_replay: bool = False
    skips_gaps: bool = False

    @property
    def needs_fields(self) -> bool:
        """Whether it matters what events say about themselves."""
        return self.last or self.reads_payload

    @property
    def reads_payload(self) -> bool:
        """Whether events must be decoded to apply the rule."""
        return bool(self.last_by or self.version_by)


class HistoryRules:
    """The rules for topics. Those of wampush itself have no history, whatever pattern they match.

    :param rules: patterns of topics and their rules; the first pattern that matches decides, and
        None means that these topics have no history.
    """

    def __init__(self, rules: Sequence[tuple[str, HistoryRule | None]] = ()) -> None:
        self._rules: Final = tuple(rules)
        # Topics without history. Those with one are not asked for again once they have a log.
        self._without: set[str] = set()

    @property
    def any(self) -> bool:
        """Whether any topic can have a history."""
        return any(rule is not None for _, rule in self._rules)

    @property
    def any_durable(self) -> bool:
        """Whether any topic is durable."""
        return any(rule is not None and rule.durable for _, rule in self._rules)

    @property
    def any_gap_replay(self) -> bool:
        """Whether any topic has gap replay."""
        return any(rule is not None and rule.gap_replay for _, rule in self._rules)

    def of(self, topic: str) -> HistoryRule | None:
        """Return the rule of a topic; None where it has no history."""
        if topic in self._without:
            return None
        if not is_reserved(topic):
            for pattern, rule in self._rules:
                if matches(pattern, topic):
                    if rule is not None:
                        return rule
                    break
        # To try ten patterns takes as long as the rest of a push.
        if len(self._without) >= REMEMBERED_TOPICS:
            self._without.clear()
        self._without.add(topic)
        return None
