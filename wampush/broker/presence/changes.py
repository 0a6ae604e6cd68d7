"""The joins and leaves of one topic.

Owns: which of them are yet to be published, and the events ``join``, ``leave`` and ``many``.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from typing import ClassVar, Final

import orjson

from wampush.broker.presence.delay_queue import DelayQueue
from wampush.broker.presence.publisher import RateLimitedPublisher

#: The most changes of one interval that are published one by one.
SINGLY: Final = 10
#: The most users in one event, and the most characters of their ids, so that events stay small.
BATCH_USERS: Final = 1000
BATCH_CHARACTERS: Final = 32_768


class TopicChanges(RateLimitedPublisher):
    """The joins and leaves of a topic that its watchers do not know yet.

    :param topic: the topic that users join and leave.
    :param interval: the shortest time between two publications.
    :param watchers: returns the subscribers of the joins and leaves.
    :param send: publishes the payload of an event, and returns the number of receivers.
    :param on_idle: called after an interval without changes.
    """

    __slots__ = ("_on_idle", "_send", "_topic", "_watchers", "pending")

    checks_again: ClassVar[bool] = True

    def __init__(
        self,
        topic: str,
        *,
        interval: DelayQueue,
        watchers: Callable[[], Sized],
        send: Callable[[bytes], int],
        on_idle: Callable[[], object],
    ) -> None:
        super().__init__(interval)
        self._topic = topic
        self._watchers = watchers
        self._send = send
        self._on_idle = on_idle
        #: Whether a user is on the topic now, for users of whom the watchers know the opposite.
        self.pending: dict[str, bool] = {}

    def add(self, user: str, here: bool) -> None:
        """Add a join or a leave; a join and a leave of the same user cancel each other."""
        if self.pending.pop(user, None) is None:
            self.pending[user] = here
        self.request()

    @property
    def has_news(self) -> bool:
        """Whether there are changes to publish, and anybody watches."""
        if self.pending and not self._watchers():
            self.pending.clear()
        return bool(self.pending)

    def publish(self) -> int:
        """Publish each change, or many of them in one event."""
        if len(self.pending) > SINGLY:
            return self._publish_many()
        pending, self.pending = self.pending, {}
        return sum(self._publish_one(user, here) for user, here in pending.items())

    def idle(self) -> None:
        """Report that nothing has changed for an interval."""
        self._on_idle()

    def _publish_one(self, user: str, here: bool) -> int:
        event = {"event": "join" if here else "leave", "user": user, "topic": self._topic}
        return self._send(orjson.dumps(event))

    def _publish_many(self) -> int:
        batch = list(_batch(self.pending))
        joined = [user for user in batch if self.pending[user]]
        left = [user for user in batch if not self.pending[user]]
        for user in batch:
            del self.pending[user]
        event = {"event": "many", "joined": joined, "left": left, "topic": self._topic}
        return self._send(orjson.dumps(event))


def _batch(users: dict[str, bool]) -> Iterator[str]:
    """Yield the first users that fit into one event; at least one."""
    characters = 0
    for number, user in enumerate(users):
        characters += len(user)
        if number and (number >= BATCH_USERS or characters > BATCH_CHARACTERS):
            return
        yield user
