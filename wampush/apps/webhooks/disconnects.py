"""The sessions that have ended, until the application is notified of them.

Owns: the queue of ended sessions, and its limit. Must not import: the edges.
"""

from __future__ import annotations

from collections import deque

from wampush.apps.webhooks import requests
from wampush.apps.webhooks.notifications import Batch


class EndedSessions:
    """The queue of sessions whose end the application has not been notified of.

    :param places: how many it holds; beyond that the oldest are dropped.
    :param batch: the most in one request.
    """

    def __init__(self, places: int, batch: int) -> None:
        self._places = places
        self._batch = batch
        self._ended: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._ended)

    @property
    def ready(self) -> int:
        """How many may be sent now: all."""
        return len(self._ended)

    def add(self, ended: bytes) -> bool:
        """Queue a session that has ended.

        :param ended: JSON text, see :func:`requests.ended_session`.
        :returns: whether there was a place; if not, the oldest was dropped for it.
        """
        had_place = len(self._ended) < self._places
        if not had_place:
            self._ended.popleft()
        self._ended.append(ended)
        return had_place

    def take(self, time: float) -> Batch:
        """Remove the oldest, and return the request about them."""
        count = min(len(self._ended), self._batch)
        ended = [self._ended.popleft() for _ in range(count)]
        return Batch(requests.disconnect(ended, time), count)

    def on_ended(self) -> None:
        """Do nothing: nothing depends on the order of sessions."""

    def clear(self) -> None:
        """Forget all."""
        self._ended.clear()
