"""The one path from a publication to its receivers, and the changes of the indexes it follows.

Owns: publish, deliver, subscribe, unsubscribe, and the sessions by their ids. Must not import:
Twisted, the edges.

Whatever publishes (ZeroMQ, a client) calls :meth:`Broker.publish`; it alone calls
:meth:`Broker.deliver`. The hub is changed here only, and each change settles the fan-out first,
because the fan-out may hold a live set of the hub. What clients may ask for is the business of
``clients``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from wampush.broker.fanout import Fanout
from wampush.broker.hub import Hub
from wampush.broker.identity import Identity
from wampush.broker.ledger import Ledger
from wampush.broker.permissions import Action
from wampush.broker.policy import Policy
from wampush.broker.publication import EVERYONE, Audience, Publication
from wampush.broker.subscriber import Subscriber
from wampush.wamp.codec import event_text


class Broker:
    """Connects publishers and subscribers.

    :param hub: the indexes.
    :param fanout: the way to the outboxes.
    :param policy: who may do what.
    :param ledger: what became of every input.
    """

    def __init__(
        self, hub: Hub[Subscriber], fanout: Fanout, policy: Policy, ledger: Ledger
    ) -> None:
        self.hub: Final = hub
        self.fanout: Final = fanout
        self.policy = policy
        self.ledger: Final = ledger
        self.sessions: Final[dict[str, Subscriber]] = {}

    # Sessions.

    def opened(self, subscriber: Subscriber) -> None:
        """A session begins: it is known by its id and gets WELCOME."""
        self.sessions[subscriber.session_id] = subscriber
        self.fanout.reply(subscriber.outbox, subscriber.session.welcome())

    def subscribe(self, subscriber: Subscriber, topic: str) -> None:
        """From now on it gets the events of a topic; subscribing twice is the same as once."""
        self.fanout.settle()
        self.hub.add(subscriber, topic)

    def unsubscribe(self, subscriber: Subscriber, topic: str) -> None:
        """It gets no more events of a topic."""
        self.fanout.settle()
        self.hub.discard(subscriber, topic)

    def lost(self, subscriber: Subscriber) -> None:
        """A session ended: indexes are cleared and its queue is freed."""
        self.fanout.settle()
        self.hub.drop(subscriber)
        self.sessions.pop(subscriber.session_id, None)
        subscriber.outbox.close()

    def permissions_for(self, subscriber: Subscriber, identity: Identity) -> object:
        """What a session may do once it has this identity, as WAMP-CRA tells it."""
        return self.policy.effective(identity, subscriber.is_local)

    def review(self, subscriber: Subscriber) -> None:
        """It has become somebody else: end the subscriptions that this one may not have.

        They end silently, because WAMP v1 has no message for it.
        """
        permissions = self.policy.permissions
        if permissions is None:
            return
        identity = subscriber.identity
        lapsed = [
            topic
            for topic in self.hub.topics(subscriber)
            if not permissions.decide(identity, Action.SUBSCRIBE, topic).allowed
        ]
        for topic in lapsed:
            self.unsubscribe(subscriber, topic)

    # Publications.

    def publish(self, publication: Publication) -> int:
        """Publish on behalf of anybody who may.

        :returns: how many receivers it was queued for.
        """
        return self.deliver(publication)

    def deliver(self, publication: Publication) -> int:
        """Queue a publication for its receivers on this node.

        :returns: how many there are.
        """
        topic = publication.topic
        receivers: Collection[Subscriber] = self.hub.subscribers(topic)
        if publication.audience is not EVERYONE and receivers:
            receivers = self._select(publication.audience, receivers)
        if receivers:
            self.fanout.deliver(
                topic,
                event_text(topic, publication.payload),
                receivers,
                self.policy.slow_client(topic),
            )
        return len(receivers)

    def send(self, subscriber: Subscriber, topic: str, payload: bytes) -> None:
        """Queue an event for one session, whether it is subscribed or not.

        :param payload: JSON text.
        """
        self.fanout.reply(subscriber.outbox, event_text(topic, payload))

    def _select(
        self, audience: Audience, receivers: Collection[Subscriber]
    ) -> Collection[Subscriber]:
        exclude = audience.exclude
        if audience.eligible is None:
            known = [self.sessions[each] for each in exclude if each in self.sessions]
            if not any(each in receivers for each in known):
                return receivers
            return [each for each in receivers if each.session_id not in exclude]
        named = (self.sessions.get(each) for each in audience.eligible - exclude)
        return [each for each in named if each is not None and each in receivers]
