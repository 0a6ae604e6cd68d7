"""Who is here: figures of the node, joins and leaves of topics.

Owns: what an opened, lost or changed session and its subscriptions mean for presence, and what
application code may read of it. Must not import: Twisted, the edges. The clock is handed in.

Only users are kept, and only on topics where the policy has it: whoever is nobody in particular,
and topics without presence, cost a look into an index that is there anyway. A user who was lost
counts as there for the grace, so that going from one page to the next is no leave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final, Protocol

from wampush.broker.access.policy import Policy
from wampush.broker.hub import Hub
from wampush.broker.presence.timing import Clock, Delay, GracePeriod, RateLimitedPublisher
from wampush.broker.presence.topics import Changes, TopicMembers
from wampush.broker.publication import Publication
from wampush.broker.subscriber import Subscriber
from wampush.broker.users import UserIndex
from wampush.topics import is_reserved
from wampush.wamp.uris import (
    PRESENCE_CHANGES,
    TOPIC_NUM_CLIENTS,
    TOPIC_NUM_ONLINE,
)

#: Seconds between two events on one topic of presence: at most 5 a second.
INTERVAL: Final = 0.2


class PresenceHost(Protocol):
    """The broker, as presence sees it."""

    @property
    def hub(self) -> Hub[Subscriber]:
        """Who has subscribed to what."""

    @property
    def people(self) -> UserIndex:
        """The sessions of each user."""

    @property
    def sessions(self) -> Mapping[str, Subscriber]:
        """All sessions by their ids."""

    @property
    def policy(self) -> Policy:
        """On which topics presence is on."""

    def publish(self, publication: Publication) -> int:
        """Publish for all subscribers of a topic."""

    def send(self, subscriber: Subscriber, topic: str, payload: bytes) -> None:
        """Send an event to one session."""


class PresenceView(Protocol):
    """What application code may read."""

    @property
    def num_online(self) -> int:
        """How many users have a session, or had one until a moment ago."""

    @property
    def num_clients(self) -> int:
        """How many sessions there are, with a user and without."""

    def is_online(self, user: str) -> bool:
        """Whether a user has a session, or had one until a moment ago."""

    def users(self, topic: str) -> Mapping[str, int]:
        """Who has subscribed to a topic, with the number of sessions that have."""


class CounterTopic(RateLimitedPublisher):
    """A number that sessions may subscribe to.

    :param topic: where it is told.
    :param read: gives the number.
    :param outlet: the way to the subscribers.
    :param interval: between two events.
    """

    __slots__ = ("_outlet", "_read", "_told", "_topic")

    def __init__(
        self, topic: str, read: Callable[[], int], outlet: PresenceHost, interval: Delay
    ) -> None:
        super().__init__(interval)
        self._topic = topic
        self._read = read
        self._outlet = outlet
        # What all subscribers know; None when they know different numbers.
        self._told: int | None = None

    def changed(self) -> None:
        """The number may be another one by now."""
        if self._outlet.hub.subscribers(self._topic):
            self.request()

    def subscribed(self, subscriber: Subscriber) -> None:
        """A session has subscribed: it gets the number."""
        number = self._read()
        if len(self._outlet.hub.subscribers(self._topic)) == 1:
            self._told = number
        elif number != self._told:
            self._told = None
        self._outlet.send(subscriber, self._topic, b"%d" % number)

    @property
    def owes(self) -> bool:
        """Whether the subscribers, if there are any, know another number."""
        return self._read() != self._told and bool(self._outlet.hub.subscribers(self._topic))

    def tell(self) -> int:
        """Publish the number."""
        self._told = self._read()
        return self._outlet.publish(Publication(self._topic, b"%d" % self._told))

    def rest(self) -> None:
        """There is nothing to tell."""


class Presence:
    """Who is here.

    :param outlet: the broker.
    :param grace: seconds for which a user who was lost counts as there.
    :param clock: for the grace, and to tell changes at most every :data:`INTERVAL`.
    """

    def __init__(self, outlet: PresenceHost, grace: float, clock: Clock) -> None:
        self._outlet = outlet
        self._grace = Delay(grace, clock)
        self._interval = Delay(INTERVAL, clock)
        online = CounterTopic(TOPIC_NUM_ONLINE, lambda: self.num_online, outlet, self._interval)
        clients = CounterTopic(TOPIC_NUM_CLIENTS, lambda: self.num_clients, outlet, self._interval)
        self._num_online: Final = online
        self._num_clients: Final = clients
        self._figures: Final = {TOPIC_NUM_ONLINE: online, TOPIC_NUM_CLIENTS: clients}
        self._recent = GracePeriod(self._grace, self._gone)
        #: Topics with users on them, where presence is on.
        self._topics: dict[str, TopicMembers] = {}
        #: Topics of which something was told in the last interval, or is still to be told.
        self._changes: dict[str, Changes] = {}
        self._becoming: Subscriber | None = None
        self._is_used = outlet.policy.uses_presence
        self._stopped = False

    # What application code reads.

    @property
    def num_online(self) -> int:
        """How many users have a session, or had one until a moment ago."""
        return self._outlet.people.user_count + len(self._recent)

    @property
    def num_clients(self) -> int:
        """How many sessions there are, with a user and without."""
        return len(self._outlet.sessions)

    def is_online(self, user: str) -> bool:
        """Whether a user has a session, or had one until a moment ago."""
        return bool(self._outlet.people.of_user(user)) or user in self._recent

    def users(self, topic: str) -> Mapping[str, int]:
        """Who has subscribed to a topic, with the number of sessions that have.

        Where presence is on, those who were lost a moment ago have the number 0.
        """
        if self.is_on(topic):
            attendance = self._topics.get(topic)
            return {} if attendance is None else dict(attendance.users)
        found: dict[str, int] = {}
        for subscriber in self._outlet.hub.subscribers(topic):
            user = self._outlet.people.user_of(subscriber)
            if user:
                found[user] = found.get(user, 0) + 1
        return found

    # What calls are answered with.

    def is_on(self, topic: str) -> bool:
        """Whether joins and leaves of a topic are told."""
        return not is_reserved(topic) and self._outlet.policy.has_presence(topic)

    def told_users(self, topic: str) -> Iterator[tuple[str, int]]:
        """The users on a topic as those who watch it know them by now.

        So whoever subscribes to the changes and asks then misses nobody, although changes are told
        a little later.
        """
        changes = self._changes.get(topic)
        pending: Mapping[str, bool] = {} if changes is None else changes.pending
        attendance = self._topics.get(topic)
        if attendance is not None:
            for user, connections in attendance.users.items():
                if user not in pending:
                    yield user, connections
        for user, here in pending.items():
            if not here:
                yield user, 0

    def count_users(self, topic: str) -> int:
        """How many :meth:`told_users` gives."""
        changes = self._changes.get(topic)
        attendance = self._topics.get(topic)
        count = 0 if attendance is None else len(attendance.users)
        for here in () if changes is None else changes.pending.values():
            count += -1 if here else 1
        return count

    def count_anonymous(self, topic: str) -> int:
        """How many subscribers of a topic, where presence is on, have no user."""
        attendance = self._topics.get(topic)
        users = 0 if attendance is None else attendance.connections
        return len(self._outlet.hub.subscribers(topic)) - users

    # What the broker tells.

    def on_open(self, subscriber: Subscriber) -> None:
        """A session has got its WELCOME."""
        self._came(subscriber)
        self._num_clients.changed()

    def subscribed(self, subscriber: Subscriber, topic: str, is_new: bool) -> None:
        """A session has subscribed.

        :param is_new: whether it was not subscribed already.
        """
        figure = self._figures.get(topic)
        if figure is not None:
            figure.subscribed(subscriber)
        elif is_new and self._is_used and subscriber is not self._becoming:
            self._arrive(subscriber, topic)

    def unsubscribed(self, subscriber: Subscriber, topic: str) -> None:
        """A session has ended a subscription that it had."""
        if topic in self._topics and subscriber is not self._becoming:
            self._depart(subscriber, topic)

    def becoming(self, subscriber: Subscriber) -> None:
        """A session becomes somebody else; the indexes know it as who it was.

        Until :meth:`became` its subscriptions may change, as nobody's.
        """
        if self._outlet.people.user_of(subscriber) == (subscriber.identity.user or None):
            return
        for topic in self._outlet.hub.topics(subscriber):
            if topic in self._topics:
                self._depart(subscriber, topic)
        self._becoming = subscriber

    def became(self, subscriber: Subscriber) -> None:
        """A session has become somebody else; the indexes know it as who it is."""
        if subscriber is not self._becoming:
            return
        self._becoming = None
        self._came(subscriber)
        self._num_online.changed()
        if self._is_used:
            for topic in self._outlet.hub.topics(subscriber):
                self._arrive(subscriber, topic)

    def on_lost(self, user: str | None, topics: AbstractSet[str]) -> None:
        """A session is gone, and no index knows it any more.

        :param user: whose it was.
        :param topics: what it had subscribed to.
        """
        if self._stopped:
            return
        if user:
            if not self._outlet.people.of_user(user):
                self._recent.miss(user)
            if self._topics:
                for topic in topics:
                    attendance = self._topics.get(topic)
                    if attendance is not None:
                        attendance.lose(user)
        self._num_clients.changed()

    def stop(self) -> None:
        """Tell nothing any more: the node stops, and all sessions are about to be lost."""
        self._stopped = True
        self._grace.stop()
        self._interval.stop()

    # Joins and leaves.

    def _gone(self, _: str) -> None:
        self._num_online.changed()

    def _came(self, subscriber: Subscriber) -> None:
        user = self._outlet.people.user_of(subscriber)
        if user:
            self._recent.is_back(user)
            self._num_online.changed()

    def _arrive(self, subscriber: Subscriber, topic: str) -> None:
        user = self._outlet.people.user_of(subscriber)
        if not user or not self.is_on(topic):
            return
        attendance = self._topics.get(topic)
        if attendance is None:
            attendance = TopicMembers(GracePeriod(self._grace, partial(self._gone_from, topic)))
            self._topics[topic] = attendance
        if attendance.arrive(user):
            self._note(topic, user, here=True)

    def _depart(self, subscriber: Subscriber, topic: str) -> None:
        user = self._outlet.people.user_of(subscriber)
        if user and self._topics[topic].depart(user):
            self._left(topic, user)

    def _gone_from(self, topic: str, user: str) -> None:
        self._topics[topic].give_up(user)
        self._left(topic, user)

    def _left(self, topic: str, user: str) -> None:
        if not self._topics[topic].users:
            del self._topics[topic]
        self._note(topic, user, here=False)

    def _note(self, topic: str, user: str, here: bool) -> None:
        changes = self._changes.get(topic)
        if changes is None:
            watched = PRESENCE_CHANGES + topic
            if self._stopped or not self._outlet.hub.subscribers(watched):
                return
            changes = Changes(
                topic,
                self._interval,
                partial(self._outlet.hub.subscribers, watched),
                partial(self._publish, watched),
                partial(self._changes.pop, topic, None),
            )
            self._changes[topic] = changes
        changes.note(user, here)

    def _publish(self, topic: str, payload: bytes) -> int:
        return self._outlet.publish(Publication(topic, payload))
