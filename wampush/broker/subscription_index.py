"""The subscriptions: which subscriber has which topics.

Owns: the subscribers of each topic, and the set of topics that each subscriber holds. Must not
import: anything of wampush.

The subscribers that :meth:`SubscriptionIndex.subscribers` returns are live: iterating over them
costs no copy, and a caller must not keep them across a change. They are the keys of a dict, which
takes 30 bytes for each of 10,000, while a set takes 52: sets grow fourfold.

Most pages of a site subscribe to the same few topics. Sessions with few topics share the set of
them, which would otherwise be the largest object of an idle session.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final, Generic, Protocol, TypeVar

#: Topics of a subscriber whose set may be shared: adding to such a set copies it.
_MOST_SHARED: Final = 8
#: Of a subscriber without any.
NO_TOPICS: Final[frozenset[str]] = frozenset()


class HasTopics(Protocol):
    """A subscriber, hashed by identity."""

    #: Its topics; :data:`NO_TOPICS` at first, and changed by the index only. A set with more than
    #: :data:`_MOST_SHARED` topics is the subscriber's own.
    topics: frozenset[str] | set[str]


SubscriberType = TypeVar("SubscriberType", bound=HasTopics)


@lru_cache(maxsize=256)
def _shared_set(topics: frozenset[str], topic: str) -> frozenset[str]:
    """Return the set of one topic more, the same one for all subscribers."""
    return topics | {topic}


class SubscriptionIndex(Generic[SubscriberType]):
    """The subscribers of each topic and the topics of each subscriber."""

    def __init__(self) -> None:
        self._subscribers: dict[str, dict[SubscriberType, None]] = {}
        self._nobody: Final[Mapping[SubscriberType, None]] = {}
        #: Returns the live subscribers of a topic as keys; None if there are none. For each push:
        #: it is a call of Python code less than :meth:`subscribers`.
        self.find: Final[Callable[[str], Mapping[SubscriberType, None] | None]] = (
            self._subscribers.get
        )

    @property
    def topic_count(self) -> int:
        """The number of topics that have a subscriber."""
        return len(self._subscribers)

    @property
    def subscription_count(self) -> int:
        """The number of pairs of subscriber and topic; counted at each call."""
        return sum(map(len, self._subscribers.values()))

    @property
    def occupied_topics(self) -> Collection[str]:
        """The live view of the topics that have a subscriber, in the order of their first one."""
        return self._subscribers.keys()

    def subscribers(self, topic: str) -> AbstractSet[SubscriberType]:
        """Return the live set of a topic's subscribers; empty if there are none."""
        return self._subscribers.get(topic, self._nobody).keys()

    def topics(self, subscriber: SubscriberType) -> AbstractSet[str]:
        """Return the set of a subscriber's topics; empty if there are none.

        A change of the subscriptions may show in it or not.
        """
        return subscriber.topics

    def add(self, subscriber: SubscriberType, topic: str) -> bool:
        """Subscribe; subscribing twice is the same as once.

        :returns: whether this is the topic's first subscriber.
        """
        topics = subscriber.topics
        if isinstance(topics, set):
            topics.add(topic)
        elif len(topics) < _MOST_SHARED:
            subscriber.topics = _shared_set(topics, topic)
        else:
            subscriber.topics = {*topics, topic}
        subscribers = self._subscribers.get(topic)
        if subscribers is None:
            self._subscribers[topic] = {subscriber: None}
            return True
        subscribers[subscriber] = None
        return False

    def discard(self, subscriber: SubscriberType, topic: str) -> bool:
        """Unsubscribe; does nothing if there is no such subscription.

        :returns: whether this was the topic's last subscriber.
        """
        topics = subscriber.topics
        if topic not in topics:
            return False
        if len(topics) == 1:
            subscriber.topics = NO_TOPICS
        elif isinstance(topics, set):
            topics.discard(topic)
        else:
            subscriber.topics = topics - {topic}
        return self._remove_pair(subscriber, topic)

    def remove(self, subscriber: SubscriberType) -> list[str]:
        """End all subscriptions of a subscriber.

        :returns: the topics whose last subscriber this was.
        """
        topics, subscriber.topics = subscriber.topics, NO_TOPICS
        return [topic for topic in topics if self._remove_pair(subscriber, topic)]

    def _remove_pair(self, subscriber: SubscriberType, topic: str) -> bool:
        subscribers = self._subscribers[topic]
        subscribers.pop(subscriber, None)
        if subscribers:
            return False
        del self._subscribers[topic]
        return True
