"""The topics whose occupation an application has yet to be notified of.

Owns: the order of notifications about one topic, and which of them are not needed any more.
Must not import: Twisted, the edges, the broker.

A topic that is occupied and vacated again before its turn needs no notification at all, so a slow
application is not overtaken by clients that subscribe and unsubscribe quickly. While a notification
about a topic is under way, the next one about it waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final


class TopicChanges:
    """Changes that wait, at most one per topic.

    :param wanted: the changes to notify of: True for occupied, False for vacated.
    """

    def __init__(self, wanted: AbstractSet[bool] = frozenset((True, False))) -> None:
        self._wanted = wanted
        # Dictionaries in place of ordered sets.
        self._queues: Final[dict[bool, dict[str, None]]] = {True: {}, False: {}}
        #: The topics of notifications that are under way, and what these say.
        self._running: dict[str, bool] = {}
        #: Those whose state has changed since.
        self._changed: set[str] = set()
        self._next = True

    def __len__(self) -> int:
        """Return how many changes wait for their turn, or for another about the same topic."""
        return self.ready + len(self._changed)

    @property
    def ready(self) -> int:
        """How many of them wait for no other."""
        return len(self._queues[True]) + len(self._queues[False])

    def add(self, topic: str, is_occupied: bool) -> None:
        """Add a change; it cancels an opposite one that waits."""
        running = self._running.get(topic)
        if running is None:
            if topic in self._queues[not is_occupied]:
                del self._queues[not is_occupied][topic]
            else:
                self._queue(topic, is_occupied)
        elif running == is_occupied:
            self._changed.discard(topic)
        else:
            self._changed.add(topic)

    def take(self, most: int) -> tuple[bool, list[str]]:
        """Return changes of one kind; the kinds take turns.

        They are under way until :meth:`done` is called with their topics.

        :param most: at most so many.
        :returns: whether the topics are occupied, and the topics, those that waited longest first.
        """
        kind = self._next if self._queues[self._next] else not self._next
        self._next = not kind
        queue = self._queues[kind]
        topics = [topic for topic, _ in zip(queue, range(most), strict=False)]
        for topic in topics:
            del queue[topic]
            self._running[topic] = kind
        return kind, topics

    def done(self, topics: Iterable[str]) -> None:
        """Note that notifications have been delivered, or have failed for good."""
        for topic in topics:
            said = self._running.pop(topic)
            if topic in self._changed:
                self._changed.discard(topic)
                self._queue(topic, not said)

    def clear(self) -> None:
        """Forget all changes that wait."""
        self._queues[True].clear()
        self._queues[False].clear()
        self._changed.clear()

    def _queue(self, topic: str, is_occupied: bool) -> None:
        if is_occupied in self._wanted:
            self._queues[is_occupied][topic] = None
