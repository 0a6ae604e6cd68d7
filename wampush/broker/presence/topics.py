"""Who is on one topic, and how its joins and leaves are told.

Owns: the users of a topic with the number of their subscriptions; the events ``join``, ``leave``
and ``many``. Must not import: Twisted, the edges.

Anonymous sessions are not here at all: they are the subscribers of the topic that are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from typing import ClassVar, Final

import orjson

from wampush.broker.presence.timing import Delay, GracePeriod, RateLimitedPublisher

#: Up to so many changes of an interval are told one by one.
SINGLY: Final = 10
#: The most users in one event, and the most characters of their ids, so that it stays small.
BATCH_USERS: Final = 1000
BATCH_CHARACTERS: Final = 32_768


class TopicMembers:
    """The users on one topic.

    :param away: whoever of them was lost, and may be back in a moment.
    """

    __slots__ = ("_away", "connections", "users")

    def __init__(self, away: GracePeriod) -> None:
        self._away = away
        #: Subscriptions of each user; none of those who are away.
        self.users: dict[str, int] = {}
        #: Subscriptions of all users.
        self.connections = 0

    def arrive(self, user: str) -> bool:
        """A user has subscribed once more.

        :returns: whether the user was not here before.
        """
        count = self.users.get(user)
        self.users[user] = (count or 0) + 1
        self.connections += 1
        if count == 0:
            self._away.is_back(user)
        return count is None

    def depart(self, user: str) -> bool:
        """A user has ended one subscription.

        :returns: whether it was the last.
        """
        if self._fewer(user):
            return False
        del self.users[user]
        return True

    def lose(self, user: str) -> None:
        """A session of a user was lost."""
        if not self._fewer(user):
            self._away.miss(user)

    def give_up(self, user: str) -> None:
        """A user who was away has not come back."""
        del self.users[user]

    def _fewer(self, user: str) -> int:
        self.connections -= 1
        count = self.users[user] = self.users[user] - 1
        return count


class Changes(RateLimitedPublisher):
    """What those who watch a topic have still to be told.

    :param topic: the topic that users join and leave.
    :param interval: between two times of telling.
    :param watchers: gives whoever is to be told.
    :param publish: takes the payload of an event, and gives the number of receivers.
    :param rested: called when nothing was to be told for an interval.
    """

    __slots__ = ("_publish", "_rested", "_topic", "_watchers", "pending")

    looks_again: ClassVar[bool] = True

    def __init__(
        self,
        topic: str,
        interval: Delay,
        watchers: Callable[[], Sized],
        publish: Callable[[bytes], int],
        rested: Callable[[], object],
    ) -> None:
        super().__init__(interval)
        self._topic = topic
        self._watchers = watchers
        self._publish = publish
        self._rested = rested
        #: Whether a user is here by now, for those of whom the watchers know the opposite.
        self.pending: dict[str, bool] = {}

    def note(self, user: str, here: bool) -> None:
        """A user has come or gone."""
        if self.pending.pop(user, None) is None:
            self.pending[user] = here
        self.request()

    @property
    def owes(self) -> bool:
        """Whether there is something to tell, and somebody to be told."""
        if self.pending and not self._watchers():
            self.pending.clear()
        return bool(self.pending)

    def tell(self) -> int:
        """Tell each change, or many of them in one event."""
        if len(self.pending) > SINGLY:
            return self._tell_many()
        pending, self.pending = self.pending, {}
        return sum(self._tell_one(user, here) for user, here in pending.items())

    def rest(self) -> None:
        """There is nothing to tell."""
        self._rested()

    def _tell_one(self, user: str, here: bool) -> int:
        event = {"event": "join" if here else "leave", "user": user, "topic": self._topic}
        return self._publish(orjson.dumps(event))

    def _tell_many(self) -> int:
        batch = list(_batch(self.pending))
        joined = [user for user in batch if self.pending[user]]
        left = [user for user in batch if not self.pending[user]]
        for user in batch:
            del self.pending[user]
        event = {"event": "many", "joined": joined, "left": left, "topic": self._topic}
        return self._publish(orjson.dumps(event))


def _batch(users: dict[str, bool]) -> Iterator[str]:
    """The first users that fit into one event; at least one."""
    characters = 0
    for number, user in enumerate(users):
        characters += len(user)
        if number and (number >= BATCH_USERS or characters > BATCH_CHARACTERS):
            return
        yield user
