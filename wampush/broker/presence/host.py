"""What presence needs of the rest of the broker.

Owns: PresenceHost. Must not import: the broker, Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from wampush.broker.publication import Publication
from wampush.broker.subscriber import Subscriber
from wampush.broker.subscription_index import SubscriptionIndex
from wampush.broker.topic_rules import TopicRules
from wampush.broker.users import UserIndex


class PresenceHost(Protocol):
    """The indexes, the rules for topics, and the way to subscribers, as presence sees them."""

    @property
    def subscriptions(self) -> SubscriptionIndex[Subscriber]:
        """The subscriptions."""

    @property
    def users(self) -> UserIndex:
        """The sessions of each user."""

    @property
    def sessions(self) -> Mapping[str, Subscriber]:
        """All sessions by id."""

    @property
    def topic_rules(self) -> TopicRules:
        """The rules that say on which topics presence is on."""

    def publish(self, publication: Publication) -> int:
        """Publish for the subscribers of a topic.

        :returns: the number of receivers.
        """

    def send(self, subscriber: Subscriber, topic: str, payload: bytes) -> None:
        """Send an event to one session."""
