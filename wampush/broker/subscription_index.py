"""The subscriptions: which subscriber has which topics.

Owns: the two indexes and nothing else. Must not import: anything of wampush.

The sets that :meth:`SubscriptionIndex.subscribers` returns are live: iterating over them costs no
copy, and a caller must not keep one across a change.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

SubscriberType = TypeVar("SubscriberType", bound=Hashable)


class SubscriptionIndex(Generic[SubscriberType]):
    """The subscribers of each topic and the topics of each subscriber."""

    def __init__(self) -> None:
        self._subscribers: dict[str, set[SubscriberType]] = {}
        self._topics: dict[SubscriberType, set[str]] = {}
        self._nobody: frozenset[SubscriberType] = frozenset()
        self._nothing: frozenset[str] = frozenset()

    @property
    def topic_count(self) -> int:
        """The number of topics that have a subscriber."""
        return len(self._subscribers)

    @property
    def subscription_count(self) -> int:
        """The number of pairs of subscriber and topic; counted at each call."""
        return sum(map(len, self._topics.values()))

    @property
    def occupied_topics(self) -> Collection[str]:
        """The live view of the topics that have a subscriber, in the order of their first one."""
        return self._subscribers.keys()

    def subscribers(self, topic: str) -> AbstractSet[SubscriberType]:
        """Return the live set of a topic's subscribers; empty if there are none."""
        return self._subscribers.get(topic, self._nobody)

    def topics(self, subscriber: SubscriberType) -> AbstractSet[str]:
        """Return the live set of a subscriber's topics; empty if there are none."""
        return self._topics.get(subscriber, self._nothing)

    def add(self, subscriber: SubscriberType, topic: str) -> bool:
        """Subscribe; subscribing twice is the same as once.

        :returns: whether this is the topic's first subscriber.
        """
        topics = self._topics.get(subscriber)
        if topics is None:
            self._topics[subscriber] = {topic}
        else:
            topics.add(topic)
        subscribers = self._subscribers.get(topic)
        if subscribers is None:
            self._subscribers[topic] = {subscriber}
            return True
        subscribers.add(subscriber)
        return False

    def discard(self, subscriber: SubscriberType, topic: str) -> bool:
        """Unsubscribe; does nothing if there is no such subscription.

        :returns: whether this was the topic's last subscriber.
        """
        topics = self._topics.get(subscriber)
        if topics is None or topic not in topics:
            return False
        topics.discard(topic)
        if not topics:
            del self._topics[subscriber]
        return self._remove_pair(subscriber, topic)

    def remove(self, subscriber: SubscriberType) -> list[str]:
        """End all subscriptions of a subscriber.

        :returns: the topics whose last subscriber this was.
        """
        topics = self._topics.pop(subscriber, None)
        if topics is None:
            return []
        return [topic for topic in topics if self._remove_pair(subscriber, topic)]

    def _remove_pair(self, subscriber: SubscriberType, topic: str) -> bool:
        subscribers = self._subscribers[topic]
        subscribers.discard(subscriber)
        if subscribers:
            return False
        del self._subscribers[topic]
        return True
