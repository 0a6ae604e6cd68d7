"""Presence where several nodes serve the same users.

Owns: how what other nodes report and what this one has make one presence.
Must not import: Twisted, the edges.

Each node keeps the grace period of the users that it has lost, and reports a user to the others
until that is over. So a user who goes from one node to another is always present at one of them.
Joins and leaves are published by each node to its own sessions, when a user is on the topic at the
first node or no longer at any. The users of a node that is gone stay for the grace period
(:mod:`wampush.broker.nodes.other_nodes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final

from wampush.broker.nodes.other_nodes import OtherNode
from wampush.broker.nodes.people import PeopleChange
from wampush.broker.nodes.registry import Nodes
from wampush.broker.presence.host import PresenceHost
from wampush.broker.presence.presence import Presence, PresenceState
from wampush.broker.subscriber import Subscriber
from wampush.clock import Clock

_NOBODY: Final[Mapping[str, int]] = MappingProxyType({})


class PresenceOverNodes(Presence):
    """Who is online at any node, and who is on which topic.

    :param host: the indexes of this node, and the way to its subscribers.
    :param grace: see :class:`Presence`.
    :param clock: likewise.
    :param nodes: the others, and what this one reports to them.
    """

    def __init__(self, host: PresenceHost, grace: float, clock: Clock, nodes: Nodes) -> None:
        super().__init__(host, grace, clock)
        self._own = nodes.own
        self._others = nodes.others
        #: Users who are present at other nodes only.
        self._only_elsewhere: set[str] = set()
        #: The subscriptions at all other nodes, by topic and user.
        self._elsewhere: dict[str, dict[str, int]] = {}
        # Of the session whose identity is being changed.
        self._user_before: str | None = None
        nodes.others.watch(self)

    # Reading, for application code.

    @property
    def num_online(self) -> int:
        """The number of users who are present at any node."""
        return super().num_online + len(self._only_elsewhere)

    @property
    def num_clients(self) -> int:
        """The number of sessions of all nodes."""
        return super().num_clients + sum(each.people.sessions for each in self._others)

    def is_online(self, user: str) -> bool:
        """Return whether a user is present at any node."""
        return super().is_online(user) or user in self._only_elsewhere

    def users(self, topic: str) -> Mapping[str, int]:
        """Return the users on a topic, with the number of their subscriptions at all nodes.

        Without presence, the nodes report nothing to each other about a topic; then these are the
        users of this node.
        """
        found = dict(super().users(topic))
        for user, connections in self._elsewhere_on(topic).items():
            found[user] = found.get(user, 0) + connections
        return found

    # Reading, for calls.

    def announced_users(self, topic: str) -> Iterator[tuple[str, int]]:
        """Yield the users on a topic as its watchers know them, with their subscriptions."""
        elsewhere = self._elsewhere_on(topic)
        for user, connections in super().announced_users(topic):
            yield user, connections + elsewhere.get(user, 0)
        changes = self._changes.get(topic)
        pending = _NOBODY if changes is None else changes.pending
        here = self._here_on(topic)
        for user, connections in elsewhere.items():
            if user not in here and user not in pending:
                yield user, connections

    def count_users(self, topic: str) -> int:
        """Return how many users :meth:`announced_users` yields."""
        only_elsewhere = self._elsewhere_on(topic).keys() - self._here_on(topic).keys()
        return super().count_users(topic) + len(only_elsewhere)

    def count_anonymous(self, topic: str) -> int:
        """Return how many subscribers of a topic with presence have no user, at all nodes."""
        there = sum(each.people.anonymous.get(topic, 0) for each in self._others)
        return super().count_anonymous(topic) + there

    # Notifications by the broker.

    def on_open(self, subscriber: Subscriber) -> None:
        """Handle a session that was sent its WELCOME."""
        self._tell_sessions()
        super().on_open(subscriber)

    def on_unsubscribe(self, subscriber: Subscriber, topic: str) -> None:
        """Handle the end of a subscription that a session had."""
        super().on_unsubscribe(subscriber, topic)
        if self._is_used and subscriber is not self._changing:
            self._tell_member(self._host.users.user_of(subscriber), topic)

    def on_identity_changing(self, subscriber: Subscriber) -> None:
        """Handle the start of a change of identity; the indexes still hold the old one."""
        self._user_before = self._host.users.user_of(subscriber)
        super().on_identity_changing(subscriber)

    def on_identity_changed(self, subscriber: Subscriber) -> None:
        """Handle the end of a change of identity; the indexes hold the new one."""
        if subscriber is self._changing and self._user_before:
            self._tell_user(self._user_before)
        super().on_identity_changed(subscriber)

    def on_lost(self, user: str | None, topics: AbstractSet[str]) -> None:
        """Handle the loss of a session, which is in no index any more."""
        super().on_lost(user, topics)
        if self._stopped:
            return
        self._tell_sessions()
        if user:
            self._tell_user(user)
        if self._is_used:
            for topic in topics:
                self._tell_member(user, topic)

    # Notifications by other nodes.

    def on_people(self, change: PeopleChange) -> None:
        """Handle new values of one node."""
        if self._stopped:
            return
        self._compare_users(change.users)
        for topic, users in change.members.items():
            if self.is_on(topic):
                self._compare_members(topic, users, announces=True)
        if change.users:
            self._num_online.on_change()
        if change.sessions is not None:
            self._num_clients.on_change()

    def on_departed(self, node: OtherNode) -> None:
        """Do nothing: what a node that is gone has reported changes like any other."""

    def on_nodes_changed(self) -> None:
        """Do nothing: a node without people changes nothing."""

    # Sessions that move to another process.

    def take(self, subscriber: Subscriber) -> None:
        """Count a session that another process had."""
        super().take(subscriber)
        self._tell_sessions()
        user = self._host.users.user_of(subscriber)
        if user:
            self._tell_user(user)
        if self._is_used:
            for topic in self._host.subscriptions.topics(subscriber):
                self._tell_member(user, topic)

    def resume(self, state: PresenceState) -> None:
        """Go on alone; what that process has known of the other nodes is known by now."""
        for node in self._others:
            self._compare_users(node.people.users)
            for topic, users in node.people.members.items():
                if self.is_on(topic):
                    self._compare_members(topic, users, announces=False)
        super().resume(state)
        for user in state.absent:
            self._tell_user(user)
        for topic, absent in state.members.items():
            for user in absent:
                self._tell_member(user, topic)

    # What this node reports.

    def _on_user(self, subscriber: Subscriber) -> None:
        user = self._host.users.user_of(subscriber)
        if user:
            self._tell_user(user)
        super()._on_user(subscriber)

    def _on_user_gone(self, user: str) -> None:
        self._tell_user(user)
        super()._on_user_gone(user)

    def _join(self, subscriber: Subscriber, topic: str) -> None:
        super()._join(subscriber, topic)
        self._tell_member(self._host.users.user_of(subscriber), topic)

    def _leave(self, subscriber: Subscriber, topic: str) -> None:
        super()._leave(subscriber, topic)
        self._tell_member(self._host.users.user_of(subscriber), topic)

    def _on_member_gone(self, topic: str, user: str) -> None:
        super()._on_member_gone(topic, user)
        self._tell_member(user, topic)

    def _announce(self, topic: str, user: str, here: bool) -> None:
        if not here:
            # Notices of other nodes may be under way, so the present state counts.
            self._compare_members(topic, (user,), announces=False)
        if user not in self._elsewhere_on(topic):
            super()._announce(topic, user, here)

    def _tell_sessions(self) -> None:
        self._own.set_sessions(len(self._host.sessions))

    def _tell_user(self, user: str) -> None:
        self._own.set_user(user, super().is_online(user))
        self._compare_user(user)

    def _tell_member(self, user: str | None, topic: str) -> None:
        if not self.is_on(topic):
            return
        if user:
            self._own.set_member(topic, user, self._here_on(topic).get(user))
        self._own.set_anonymous(topic, super().count_anonymous(topic))

    # What other nodes have reported.

    def _here_on(self, topic: str) -> Mapping[str, int]:
        members = self._members.get(topic)
        return _NOBODY if members is None else members.users

    def _elsewhere_on(self, topic: str) -> Mapping[str, int]:
        return self._elsewhere.get(topic, _NOBODY)

    def _compare_user(self, user: str) -> None:
        self._compare_users((user,))

    def _compare_users(self, users: Iterable[str]) -> None:
        tables = [each.people.users for each in self._others]
        is_here = super().is_online
        only_elsewhere = self._only_elsewhere
        for user in users:
            for each in tables:
                if user in each and not is_here(user):
                    only_elsewhere.add(user)
                    break
            else:
                only_elsewhere.discard(user)

    def _compare_members(self, topic: str, users: Iterable[str], *, announces: bool) -> None:
        here = self._here_on(topic)
        elsewhere = self._elsewhere.setdefault(topic, {})
        # Looked up once: a node that comes or goes may change a hundred thousand users.
        found = [each.people.members.get(topic) for each in self._others]
        tables = [each for each in found if each]
        for user in users:
            was_elsewhere = user in elsewhere
            counts = [each[user] for each in tables if user in each]
            if counts:
                elsewhere[user] = sum(counts)
            else:
                elsewhere.pop(user, None)
            if announces and bool(counts) != was_elsewhere and user not in here:
                super()._announce(topic, user, bool(counts))
        if not elsewhere:
            del self._elsewhere[topic]
