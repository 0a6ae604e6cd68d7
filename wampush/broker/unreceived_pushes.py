"""Pushes that no session received, which may have a misspelled topic.

Owns: when their topics are compared with those that have subscribers, and the log line.
Must not import: Twisted, the edges. Clock and logger are those of the ledger.

A push without receivers is not an error: nobody may be online. So it is only counted, unless a
topic with subscribers has nearly the same name.
"""

from __future__ import annotations

import difflib
import math
import re
from itertools import islice
from typing import Final

from wampush.broker.ledger import INPUT_NAMES, Ledger, Source
from wampush.broker.subscriber import Subscriber
from wampush.broker.subscription_index import SubscriptionIndex
from wampush.excerpts import shown

#: Seconds between two comparisons.
COMPARE_INTERVAL: Final = 10.0
#: Seconds between two lines about one topic.
REPEAT_INTERVAL: Final = 3600.0
#: Topics with subscribers that a comparison looks at.
MAX_COMPARED: Final = 500
#: Characters of the longest topic that is compared.
MAX_LENGTH: Final = 100
#: Topics for which a line is remembered.
MAX_REMEMBERED: Final = 1000
#: How similar two topics must be, from 0 to 1; one wrong letter in five is 0.8.
SIMILARITY: Final = 0.8

_DIGITS: Final = re.compile(r"[0-9]+")


class UnreceivedPushes:
    """Counts pushes without receivers and logs topics that are probably misspelled.

    :param subscriptions: the topics that have subscribers.
    :param ledger: counts the pushes, and has the clock and the logger.
    """

    def __init__(self, subscriptions: SubscriptionIndex[Subscriber], ledger: Ledger) -> None:
        self._subscriptions = subscriptions
        self._ledger = ledger
        self._compared_at = -math.inf
        self._logged: dict[str, float] = {}

    def note(self, source: Source, topic: str) -> None:
        """Count a push without receivers; log it if its topic is probably misspelled."""
        self._ledger.unheard[source] += 1
        # With subscribers, the push was for none of them: nothing is wrong with its topic.
        if len(topic) > MAX_LENGTH or self._subscriptions.subscribers(topic):
            return
        now = self._ledger.time()
        if 0 <= now - self._compared_at < COMPARE_INTERVAL:
            return
        self._compared_at = now
        near = self._similar(topic)
        if near is None or not self._is_due(topic, now):
            return
        self._ledger.warn(
            "{input} to topic {topic} had no receivers: the topic has no subscribers; "
            "did the backend mean {near}, which has {count}?",
            input=INPUT_NAMES[source],
            source=source.value,
            topic=shown(topic),
            near=shown(near),
            count=len(self._subscriptions.subscribers(near)),
        )

    def _similar(self, topic: str) -> str | None:
        """Return the topic with subscribers whose name is closest; None if none is close."""
        # Topics such as room.17 differ in their numbers on purpose.
        without_numbers = _DIGITS.sub("0", topic)
        candidates: dict[str, str] = {}
        for each in islice(self._subscriptions.occupied_topics, MAX_COMPARED):
            if len(each) <= MAX_LENGTH:
                candidates.setdefault(_DIGITS.sub("0", each), each)
        if without_numbers in candidates:
            return None
        found = difflib.get_close_matches(without_numbers, candidates, 1, SIMILARITY)
        return candidates[found[0]] if found else None

    def _is_due(self, topic: str, now: float) -> bool:
        before = self._logged.pop(topic, None)
        is_due = before is None or not 0 <= now - before < REPEAT_INTERVAL
        while len(self._logged) >= MAX_REMEMBERED:
            del self._logged[next(iter(self._logged))]
        self._logged[topic] = now if before is None or is_due else before
        return is_due
