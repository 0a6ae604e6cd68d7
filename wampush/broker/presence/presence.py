"""Presence: who is online, and who is on which topic.

Owns: what sessions and their subscriptions mean for presence, and what application code may read
of it. Must not import: Twisted, the edges. The clock is handed in.

Only users are kept, and only on topics whose rules turn presence on. An anonymous session
or a topic without presence costs one look into an index that exists anyway. A user whose last
connection was lost counts as present for a grace period, so that going from one page to the next
is not a leave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from wampush.broker.presence.changes import TopicChanges
from wampush.broker.presence.counter import CounterTopic
from wampush.broker.presence.delay_queue import DelayQueue
from wampush.broker.presence.grace_period import GracePeriod
from wampush.broker.presence.host import PresenceHost
from wampush.broker.presence.members import TopicMembers
from wampush.broker.publication import Publication
from wampush.broker.subscriber import Subscriber
from wampush.clock import Clock
from wampush.topics import is_reserved
from wampush.wamp.uris import PRESENCE_CHANGES, TOPIC_NUM_CLIENTS, TOPIC_NUM_ONLINE

#: Seconds between two publications on one topic of presence: at most 5 per second.
INTERVAL: Final = 0.2


class PresenceView(Protocol):
    """What application code may read."""

    @property
    def num_online(self) -> int:
        """The number of users who have a session, or had one within the grace period."""

    @property
    def num_clients(self) -> int:
        """The number of sessions, with a user and without."""

    def is_online(self, user: str) -> bool:
        """Return whether a user has a session, or had one within the grace period."""

    def users(self, topic: str) -> Mapping[str, int]:
        """Return the users on a topic, with the number of their subscriptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceState:
    """What a process that goes on with the sessions of another needs besides them.

    :param absent: users without a session there who may come back.
    :param members: likewise, by topic.
    :param published: the numbers that all subscribers of a counter know, or None.
    """

    absent: Sequence[str] = ()
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    published: Sequence[int | None] = ()


class Presence:
    """Who is online, and who is on which topic.

    :param host: the indexes, and the way to subscribers.
    :param grace: seconds for which a user counts as present after the last connection was lost.
    :param clock: for the grace periods, and for publishing changes once per :data:`INTERVAL`.
    """

    def __init__(self, host: PresenceHost, grace: float, clock: Clock) -> None:
        self._host = host
        self._grace = DelayQueue(grace, clock)
        self._interval = DelayQueue(INTERVAL, clock)
        online = CounterTopic(TOPIC_NUM_ONLINE, lambda: self.num_online, host, self._interval)
        clients = CounterTopic(TOPIC_NUM_CLIENTS, lambda: self.num_clients, host, self._interval)
        self._num_online: Final = online
        self._num_clients: Final = clients
        self._counters: Final = {TOPIC_NUM_ONLINE: online, TOPIC_NUM_CLIENTS: clients}
        self._lost_users = GracePeriod(self._grace, self._on_user_gone)
        #: The members of each topic with presence that has any.
        self._members: dict[str, TopicMembers] = {}
        #: The changes of each topic that had any within the last interval.
        self._changes: dict[str, TopicChanges] = {}
        # The session whose identity is being changed, between the two notifications.
        self._changing: Subscriber | None = None
        self._is_used = host.topic_rules.uses_presence
        self._stopped = False
        self._is_held = False

    # Reading, for application code.

    @property
    def num_online(self) -> int:
        """The number of users who have a session, or had one within the grace period."""
        return self._host.users.user_count + len(self._lost_users)

    @property
    def num_clients(self) -> int:
        """The number of sessions, with a user and without."""
        return len(self._host.sessions)

    def is_online(self, user: str) -> bool:
        """Return whether a user has a session, or had one within the grace period."""
        return bool(self._host.users.of_user(user)) or user in self._lost_users

    def users(self, topic: str) -> Mapping[str, int]:
        """Return the users on a topic, with the number of their subscriptions.

        On a topic with presence, users within the grace period have the number 0.
        """
        if self.is_on(topic):
            members = self._members.get(topic)
            return {} if members is None else dict(members.users)
        found: dict[str, int] = {}
        for subscriber in self._host.subscriptions.subscribers(topic):
            user = self._host.users.user_of(subscriber)
            if user:
                found[user] = found.get(user, 0) + 1
        return found

    # Reading, for calls.

    def is_on(self, topic: str) -> bool:
        """Return whether joins and leaves of a topic are published."""
        return not is_reserved(topic) and self._host.topic_rules.has_presence(topic)

    def announced_users(self, topic: str) -> Iterator[tuple[str, int]]:
        """Yield the users on a topic as its watchers know them, with their subscriptions.

        Changes are published with a delay. A client that subscribes to the changes and then asks
        for the users misses nobody, because the answer does not run ahead of the changes.
        """
        changes = self._changes.get(topic)
        pending: Mapping[str, bool] = {} if changes is None else changes.pending
        members = self._members.get(topic)
        if members is not None:
            for user, connections in members.users.items():
                if user not in pending:
                    yield user, connections
        for user, here in pending.items():
            if not here:
                yield user, 0

    def count_users(self, topic: str) -> int:
        """Return how many users :meth:`announced_users` yields."""
        changes = self._changes.get(topic)
        members = self._members.get(topic)
        count = 0 if members is None else len(members.users)
        for here in () if changes is None else changes.pending.values():
            count += -1 if here else 1
        return count

    def count_anonymous(self, topic: str) -> int:
        """Return how many subscribers of a topic with presence have no user."""
        members = self._members.get(topic)
        connections = 0 if members is None else members.connections
        return len(self._host.subscriptions.subscribers(topic)) - connections

    # Notifications by the broker.

    def on_open(self, subscriber: Subscriber) -> None:
        """Handle a session that was sent its WELCOME."""
        self._on_user(subscriber)
        self._num_clients.on_change()

    def on_subscribe(self, subscriber: Subscriber, topic: str, is_new: bool) -> None:
        """Handle a subscription.

        :param is_new: whether the session did not have it already.
        """
        counter = self._counters.get(topic)
        if counter is not None:
            counter.on_subscribe(subscriber)
        elif is_new and self._is_used and subscriber is not self._changing:
            self._join(subscriber, topic)

    def on_unsubscribe(self, subscriber: Subscriber, topic: str) -> None:
        """Handle the end of a subscription that a session had."""
        if topic in self._members and subscriber is not self._changing:
            self._leave(subscriber, topic)

    def on_identity_changing(self, subscriber: Subscriber) -> None:
        """Handle the start of a change of identity; the indexes still hold the old one.

        Until :meth:`on_identity_changed`, changes of the session's subscriptions are ignored.
        """
        if self._host.users.user_of(subscriber) == (subscriber.identity.user or None):
            return
        for topic in self._host.subscriptions.topics(subscriber):
            if topic in self._members:
                self._leave(subscriber, topic)
        self._changing = subscriber

    def on_identity_changed(self, subscriber: Subscriber) -> None:
        """Handle the end of a change of identity; the indexes hold the new one."""
        if subscriber is not self._changing:
            return
        self._changing = None
        self._on_user(subscriber)
        self._num_online.on_change()
        if self._is_used:
            for topic in self._host.subscriptions.topics(subscriber):
                self._join(subscriber, topic)

    def on_lost(self, user: str | None, topics: AbstractSet[str]) -> None:
        """Handle the loss of a session, which is in no index any more.

        :param user: the session's user.
        :param topics: its subscriptions.
        """
        if self._stopped:
            return
        if user:
            if not self._host.users.of_user(user):
                self._lost_users.start(user)
            if self._members:
                for topic in topics:
                    members = self._members.get(topic)
                    if members is not None:
                        members.lose(user)
        if not self._is_held:
            self._num_clients.on_change()

    # Sessions that move to another process.

    def hold(self) -> None:
        """Publish no numbers until :meth:`resume`: another process still has sessions."""
        self._is_held = True

    def take(self, subscriber: Subscriber) -> None:
        """Count a session that another process had; it is indexed, and nobody is notified."""
        user = self._host.users.user_of(subscriber)
        if user and self._is_used:
            for topic in self._host.subscriptions.topics(subscriber):
                if self.is_on(topic):
                    self._members_of(topic).join(user)

    def publish_pending(self) -> None:
        """Publish now what waits for the end of an interval."""
        for changes in list(self._changes.values()):
            while changes.has_news:
                changes.publish()
        for counter in self._counters.values():
            if counter.has_news:
                counter.publish()

    def snapshot(self, is_moved: Callable[[Subscriber], bool]) -> PresenceState:
        """Return who is present without a session that has moved, and what watchers know.

        :param is_moved: whether another process has a session now.
        """
        host = self._host
        absent = [each for each in self._lost_users.users if not host.users.of_user(each)]
        absent += [
            user for user in host.users.names if not any(map(is_moved, host.users.of_user(user)))
        ]
        members: dict[str, list[str]] = {}
        for topic, each in self._members.items():
            moved = {
                host.users.user_of(session)
                for session in host.subscriptions.subscribers(topic)
                if is_moved(session)
            }
            waiting = [user for user in each.users if user not in moved]
            if waiting:
                members[topic] = waiting
        return PresenceState(
            absent=absent,
            members=members,
            published=[counter.published for counter in self._counters.values()],
        )

    def resume(self, state: PresenceState) -> None:
        """Go on alone: the other process has sent everything.

        Users who are present there without a session here may come back within the grace period.
        """
        self._is_held = False
        for user in state.absent:
            if not self._host.users.of_user(user):
                self._lost_users.start(user)
        for topic, users in state.members.items():
            if self.is_on(topic):
                for user in users:
                    self._members_of(topic).expect(user)
        for counter, number in zip(self._counters.values(), state.published, strict=False):
            counter.published = number
            counter.on_change()

    def stop(self) -> None:
        """Publish nothing any more: the node stops, and all sessions are about to be lost."""
        self._stopped = True
        self._grace.stop()
        self._interval.stop()

    # Joins and leaves.

    def _on_user(self, subscriber: Subscriber) -> None:
        user = self._host.users.user_of(subscriber)
        if user:
            self._lost_users.cancel(user)
            self._num_online.on_change()

    def _on_user_gone(self, _: str) -> None:
        if not self._is_held:
            self._num_online.on_change()

    def _join(self, subscriber: Subscriber, topic: str) -> None:
        user = self._host.users.user_of(subscriber)
        if not user or not self.is_on(topic):
            return
        if self._members_of(topic).join(user):
            self._announce(topic, user, here=True)

    def _members_of(self, topic: str) -> TopicMembers:
        members = self._members.get(topic)
        if members is None:
            grace = GracePeriod(self._grace, partial(self._on_member_gone, topic))
            members = self._members[topic] = TopicMembers(grace)
        return members

    def _leave(self, subscriber: Subscriber, topic: str) -> None:
        user = self._host.users.user_of(subscriber)
        if user and self._members[topic].leave(user):
            self._announce_leave(topic, user)

    def _on_member_gone(self, topic: str, user: str) -> None:
        self._members[topic].remove(user)
        self._announce_leave(topic, user)

    def _announce_leave(self, topic: str, user: str) -> None:
        if not self._members[topic].users:
            del self._members[topic]
        self._announce(topic, user, here=False)

    def _announce(self, topic: str, user: str, here: bool) -> None:
        changes = self._changes.get(topic)
        if changes is None:
            where = PRESENCE_CHANGES + topic
            if self._stopped or not self._host.subscriptions.subscribers(where):
                return
            changes = self._changes[topic] = TopicChanges(
                topic,
                interval=self._interval,
                watchers=partial(self._host.subscriptions.subscribers, where),
                send=partial(self._publish, where),
                on_idle=partial(self._changes.pop, topic, None),
            )
        changes.add(user, here)

    def _publish(self, topic: str, payload: bytes) -> int:
        return self._host.publish(Publication(topic, payload))
