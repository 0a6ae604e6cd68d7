"""The one path from a publication to its receivers, and the changes of the indexes it follows.

Owns: publish, deliver, subscribe, unsubscribe, the sessions by their ids, and what changes when one
becomes somebody else. Must not import: Twisted, the edges.

Whatever publishes (ZeroMQ, a client) calls :meth:`Broker.publish`; it alone calls
:meth:`Broker.deliver`. The hub is changed here only, and each change settles the fan-out first,
because the fan-out may hold a live set of the hub. What clients may ask for is the business of
``clients``.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final

from wampush.broker.access.auto_subscribe import AutoSubscribe
from wampush.broker.access.policy import Policy
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.hub import Hub
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.ledger import Ledger
from wampush.broker.publication import EVERYONE, Publication
from wampush.broker.selection import select
from wampush.broker.subscriber import Subscriber
from wampush.broker.users import UserIndex
from wampush.choices import Action

if TYPE_CHECKING:
    from wampush.broker.presence.presence import Presence

_NOTHING: Final[frozenset[str]] = frozenset()


class Broker:
    """Connects publishers and subscribers.

    :param hub: the indexes.
    :param fanout: the way to the outboxes.
    :param policy: who may do what.
    :param ledger: what became of every input.
    :param automatic: the topics that sessions get without asking; None for none.
    """

    def __init__(
        self,
        hub: Hub[Subscriber],
        fanout: Fanout,
        policy: Policy,
        ledger: Ledger,
        automatic: AutoSubscribe | None = None,
    ) -> None:
        self.hub: Final = hub
        self.fanout: Final = fanout
        self.policy = policy
        self.ledger: Final = ledger
        self.automatic: Final = automatic
        self.sessions: Final[dict[str, Subscriber]] = {}
        self.people: Final = UserIndex()
        #: Hears of sessions and subscriptions once the indexes know them.
        self.presence: Presence | None = None

    # Sessions.

    def on_open(self, subscriber: Subscriber) -> None:
        """A session begins: it is known by its id and gets WELCOME, then its automatic topics."""
        self.sessions[subscriber.session_id] = subscriber
        self.fanout.reply(subscriber.outbox, subscriber.session.welcome())
        identity = subscriber.identity
        if identity is not ANONYMOUS:
            self.people.place(subscriber)
        if self.presence is not None:
            self.presence.on_open(subscriber)
        if self.automatic is not None:
            for topic in self.automatic.topics(identity):
                self.subscribe(subscriber, topic)

    def subscribe(self, subscriber: Subscriber, topic: str) -> None:
        """From now on it gets the events of a topic; subscribing twice is the same as once."""
        self.fanout.end_batch()
        is_new = topic not in self.hub.topics(subscriber)
        self.hub.add(subscriber, topic)
        if self.presence is not None:
            self.presence.on_subscribe(subscriber, topic, is_new)

    def unsubscribe(self, subscriber: Subscriber, topic: str) -> None:
        """It gets no more events of a topic."""
        if topic not in self.hub.topics(subscriber):
            return
        self.fanout.end_batch()
        self.hub.discard(subscriber, topic)
        if self.presence is not None:
            self.presence.on_unsubscribe(subscriber, topic)

    def on_lost(self, subscriber: Subscriber) -> None:
        """A session ended: indexes are cleared and its queue is freed."""
        self.fanout.end_batch()
        # The hub lets go of this set and leaves it as it is.
        user, topics = self.people.user_of(subscriber), self.hub.topics(subscriber)
        self.hub.drop(subscriber)
        self.people.forget(subscriber)
        self.sessions.pop(subscriber.session_id, None)
        subscriber.outbox.close()
        if self.presence is not None:
            self.presence.on_lost(user, topics)

    def permissions_for(self, subscriber: Subscriber, identity: Identity) -> object:
        """What a session may do once it has this identity, as WAMP-CRA tells it."""
        return self.policy.effective(identity, subscriber.is_local)

    def become(self, subscriber: Subscriber, identity: Identity) -> bool:
        """Give a session another identity, or the same with fresh credentials.

        The connection is asked first, because it counts for a user. Then automatic topics of the
        old identity that the new one does not have end, and the new one gets its own; what it has
        of both stays as the client left it. Then subscriptions end that the new identity may not
        have. All ends are silent, because WAMP v1 has no message for them.

        :returns: whether the session is open and goes on as this identity.
        """
        if subscriber.peer is not None and not subscriber.peer.accept_identity(identity):
            return False
        before, subscriber.identity = subscriber.identity, identity
        if self.sessions.get(subscriber.session_id) is not subscriber:
            # It has not got its WELCOME yet, and will open as this identity.
            return False
        presence = self.presence
        if presence is not None:
            presence.on_identity_changing(subscriber)
        self.people.place(subscriber)
        self._review(subscriber, self._renew_automatic(subscriber, before))
        if presence is not None:
            presence.on_identity_changed(subscriber)
        return True

    def asked_for(self, subscriber: Subscriber) -> int:
        """How many subscriptions a session has without the automatic ones."""
        topics = self.hub.topics(subscriber)
        if self.automatic is None:
            return len(topics)
        return len(topics - self.automatic.topics(subscriber.identity))

    def _renew_automatic(self, subscriber: Subscriber, before: Identity) -> AbstractSet[str]:
        """The automatic topics of a session, after those of its old identity are exchanged."""
        if self.automatic is None:
            return _NOTHING
        old = self.automatic.topics(before)
        new = self.automatic.topics(subscriber.identity)
        for topic in old - new:
            self.unsubscribe(subscriber, topic)
        for topic in new - old:
            self.subscribe(subscriber, topic)
        return new

    def _review(self, subscriber: Subscriber, automatic: AbstractSet[str]) -> None:
        permissions = self.policy.permissions
        if permissions is None:
            return
        identity = subscriber.identity
        lapsed = [
            topic
            for topic in self.hub.topics(subscriber)
            if topic not in automatic
            and not permissions.decide(identity, Action.SUBSCRIBE, topic).allowed
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
        subscribers = self.hub.subscribers(topic)
        receivers: Collection[Subscriber] = subscribers
        if publication.audience is not EVERYONE and subscribers:
            receivers = select(publication.audience, subscribers, self.people, self.sessions)
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
