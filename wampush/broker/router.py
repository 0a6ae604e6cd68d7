"""The way of a publication to its receivers on this node.

Owns: the indexes of sessions, subscriptions and users; the path from a publication to the fan-out.
Must not import: Twisted, the edges.

Presence and applications publish through it; what opens, changes and ends sessions is the business
of :mod:`wampush.broker.broker`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from wampush.broker.access.policy import Policy
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.publication import EVERYONE, Publication
from wampush.broker.receiver_selection import select
from wampush.broker.subscriber import Subscriber
from wampush.broker.subscription_index import SubscriptionIndex
from wampush.broker.topic_rules import TopicRules
from wampush.broker.users import UserIndex


class Router:
    """Finds the receivers of publications.

    :param subscriptions: which subscriber has which topics.
    :param fanout: the way to the outboxes.
    :param policy: who may do what; may be replaced at any time.
    :param topic_rules: say what slow clients lose, and where presence is on.
    :param history: keeps publications for later; None when no topic has a history.
    """

    def __init__(
        self,
        subscriptions: SubscriptionIndex[Subscriber],
        fanout: Fanout,
        policy: Policy,
        topic_rules: TopicRules,
        history: MemoryHistory | None = None,
    ) -> None:
        self.subscriptions: Final = subscriptions
        self.fanout: Final = fanout
        self.policy = policy
        self.topic_rules: Final = topic_rules
        self.history: Final = history
        #: All open sessions by their ids.
        self.sessions: Final[dict[str, Subscriber]] = {}
        self.users: Final = UserIndex()
        self._watchers: tuple[Callable[[Publication], None], ...] = ()
        self._elsewhere: Callable[[Publication], None] | None = None

    def publish(self, publication: Publication) -> int:
        """Publish on behalf of anyone who may.

        :returns: ``local_receivers``, how many sessions of this node it was queued for; the sum if
            there are several topics.
        :raises PublicationRefused: when the history of a topic does not take it; then nobody gets
            it on any topic.
        """
        if self._elsewhere is not None:
            self._elsewhere(publication)
            return 0
        if publication.further_topics:
            publications = list(publication.by_topic())
            if self.history is not None:
                for each in publications:
                    self.history.check(each)
            return sum(map(self.deliver, publications))
        return self.deliver(publication)

    def deliver(self, publication: Publication) -> int:
        """Queue a publication for its receivers on this node.

        One with a position is in the history already.

        :returns: how many receivers there are.
        :raises PublicationRefused: when the history of its topic does not take it.
        """
        if self.history is not None and publication.position is None:
            publication = self.history.append(publication)
        topic = publication.topic
        if self._watchers:
            for on_publication in self._watchers:
                on_publication(publication)
        subscribers = self.subscriptions.find(topic)
        if subscribers is None:
            return 0
        receivers: Collection[Subscriber] = subscribers
        if publication.audience is not EVERYONE:
            receivers = select(publication.audience, subscribers.keys(), self.users, self.sessions)
            if not receivers:
                return 0
        self.fanout.deliver(publication, receivers, self.topic_rules.slow_client(topic))
        return len(receivers)

    def count_receivers(self, publication: Publication) -> int:
        """Return how many sessions of this node get a publication that is delivered now."""
        subscribers = self.subscriptions.subscribers(publication.topic)
        if publication.audience is EVERYONE or not subscribers:
            return len(subscribers)
        return len(select(publication.audience, subscribers, self.users, self.sessions))

    def divert(self, elsewhere: Callable[[Publication], None] | None) -> None:
        """Publish nothing from now on, and assign no positions; see :meth:`Broker.divert`.

        :param elsewhere: gets each publication instead; None to publish here again.
        """
        self._elsewhere = elsewhere

    def watch(self, on_publication: Callable[[Publication], None]) -> Callable[[], None]:
        """Hand over each publication on this node from now on.

        :param on_publication: called before the receivers are looked up; must not raise.
        :returns: a function that ends this.
        """

        def stop() -> None:
            self._watchers = tuple([each for each in self._watchers if each is not on_publication])

        self._watchers = (*self._watchers, on_publication)
        return stop

    def send(self, subscriber: Subscriber, topic: str, payload: bytes) -> None:
        """Queue an event for one session, whether it is subscribed or not.

        :param payload: JSON text.
        """
        self.fanout.send_event(subscriber.outbox, topic, payload)
