"""The users on one topic.

Owns: the users of a topic and the number of their subscriptions. Must not import: Twisted, the
edges.

Anonymous sessions are not counted here; they are the topic's other subscribers.
"""

from __future__ import annotations

from wampush.broker.presence.grace_period import GracePeriod


class TopicMembers:
    """The users on one topic.

    :param grace: the grace period of those whose last connection was lost.
    """

    __slots__ = ("_grace", "connections", "users")

    def __init__(self, grace: GracePeriod) -> None:
        self._grace = grace
        #: The number of subscriptions by user; 0 within the grace period.
        self.users: dict[str, int] = {}
        #: The number of subscriptions of all users.
        self.connections = 0

    def join(self, user: str) -> bool:
        """Count one more subscription of a user.

        :returns: whether the user was not a member before.
        """
        count = self.users.get(user)
        self.users[user] = (count or 0) + 1
        self.connections += 1
        if count == 0:
            self._grace.cancel(user)
        return count is None

    def leave(self, user: str) -> bool:
        """Count one subscription less, because the user has ended it.

        :returns: whether it was the last one, so that the user is not a member any more.
        """
        if self._count_less(user):
            return False
        del self.users[user]
        return True

    def lose(self, user: str) -> None:
        """Count one subscription less, because its connection was lost."""
        if not self._count_less(user):
            self._grace.start(user)

    def expect(self, user: str) -> None:
        """Begin the grace period of a user who has left another process, if there is none here."""
        if user not in self.users:
            self.users[user] = 0
            self._grace.start(user)

    def remove(self, user: str) -> None:
        """Remove a user whose grace period has expired."""
        del self.users[user]

    def _count_less(self, user: str) -> int:
        self.connections -= 1
        count = self.users[user] = self.users[user] - 1
        return count
