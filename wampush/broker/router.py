"""The way of a publication to its receivers on this node.

Owns: the indexes of sessions, subscriptions and users; the path from a publication to the fan-out.
Must not import: Twisted, the edges.

Presence and applications publish through it; what opens, changes and ends sessions is the business
of :mod:`wampush.broker.broker`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from wampush.broker.access.policy import Policy
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.hub import Hub
from wampush.broker.publication import EVERYONE, Publication
from wampush.broker.selection import select
from wampush.broker.subscriber import Subscriber
from wampush.broker.users import UserIndex


class Router:
    """Finds the receivers of publications.

    :param hub: the subscriptions.
    :param fanout: the way to the outboxes.
    :param policy: the rules in force; may be replaced at any time.
    """

    def __init__(self, hub: Hub[Subscriber], fanout: Fanout, policy: Policy) -> None:
        self.hub: Final = hub
        self.fanout: Final = fanout
        self.policy = policy
        #: All open sessions by their ids.
        self.sessions: Final[dict[str, Subscriber]] = {}
        self.users: Final = UserIndex()

    def publish(self, publication: Publication) -> int:
        """Publish on behalf of anyone who may.

        :returns: ``local_receivers``, how many sessions of this node it was queued for.
        """
        return self.deliver(publication)

    def deliver(self, publication: Publication) -> int:
        """Queue a publication for its receivers on this node.

        :returns: how many receivers there are.
        """
        topic = publication.topic
        subscribers = self.hub.subscribers(topic)
        receivers: Collection[Subscriber] = subscribers
        if publication.audience is not EVERYONE and subscribers:
            receivers = select(publication.audience, subscribers, self.users, self.sessions)
        if receivers:
            self.fanout.deliver(
                topic,
                publication.payload,
                receivers,
                self.policy.slow_client(topic),
                publication.position,
            )
        return len(receivers)

    def send(self, subscriber: Subscriber, topic: str, payload: bytes) -> None:
        """Queue an event for one session, whether it is subscribed or not.

        :param payload: JSON text.
        """
        self.fanout.send_event(subscriber.outbox, topic, payload)
