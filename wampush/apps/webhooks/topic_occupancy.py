"""The topics that were occupied or vacated, until the application is notified of them.

Owns: which of them make a request. Must not import: the edges.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from wampush.apps.topic_changes import TopicChanges
from wampush.apps.webhooks import requests
from wampush.apps.webhooks.notifications import Batch


class OccupancyChanges:
    """The queue of topics, at most one entry for each.

    :param wanted: whether occupied topics (True) and vacated ones (False) are notified of.
    :param batch: the most in one request.
    """

    def __init__(self, wanted: AbstractSet[bool], batch: int) -> None:
        self._changes = TopicChanges(wanted)
        self._batch = batch
        #: The topics of the request that is under way.
        self._taken: list[str] = []

    def __len__(self) -> int:
        return len(self._changes)

    @property
    def ready(self) -> int:
        """How many may be sent now: those about whose topic no request is under way."""
        return self._changes.ready

    def add(self, topic: str, is_occupied: bool) -> None:
        """Queue a topic."""
        self._changes.add(topic, is_occupied)

    def take(self, time: float) -> Batch:
        """Remove topics of one kind, and return the request about them."""
        is_occupied, self._taken = self._changes.take(self._batch)
        request = requests.occupancy(self._taken, is_occupied, time)
        return Batch(request, len(self._taken))

    def on_ended(self) -> None:
        """Make the next changes of the same topics ready."""
        self._changes.done(self._taken)
        self._taken = []

    def clear(self) -> None:
        """Forget all topics that wait."""
        self._changes.clear()
