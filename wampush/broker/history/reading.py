"""What a reader learns of a topic: its values or its events, and its position.

Owns: the order of limits and visibility, and the JSON of the answers. Must not import: Twisted, the
edges.

A procedure reads for a session, a request over HTTP for an identity; each hands in which events it
may see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import orjson

from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.history.stored_event import StoredEvent
from wampush.broker.publication import EVERYONE, Position
from wampush.errors import BackendError
from wampush.excerpts import shown

#: Events in one answer.
MAX_EVENTS: Final = 1000


class TopicUnavailable(BackendError):
    """What a topic keeps cannot be read now, because the store that all nodes share is away."""


Visible = Callable[[Sequence[StoredEvent]], Sequence[StoredEvent]]
"""Returns the events that the reader may see."""


class HistoryReader:
    """Reads what topics keep.

    :param history: what topics keep.
    :param max_bytes: of payloads in one answer; a single event may be longer.
    :param marks_restricted: whether events that are not for everyone have ``restricted: true``, for
        readers that see those of others, too.
    :param is_current: returns whether what is known of a topic is up to date; see ``mirrors``.
    """

    def __init__(
        self,
        history: MemoryHistory,
        max_bytes: int,
        *,
        marks_restricted: bool = False,
        is_current: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._is_current = is_current
        self._history = history
        self._max_bytes = max_bytes
        self._marks_restricted = marks_restricted

    def version(self, topic: str) -> tuple[Position, int] | None:
        """Return what changes with each change of what a topic keeps; None without history.

        :raises TopicUnavailable: it cannot be read now.
        """
        self._check(topic)
        log = self._history.log(topic)
        position = self._history.position(topic)
        return None if position is None else (position, 0 if log is None else log.revision)

    def values(self, topic: str, visible: Visible) -> Mapping[str, object] | None:
        """Return the values of a topic, and its position.

        :returns: ``events``, ``epoch``, ``offset``; None for a topic without history.
        :raises TopicUnavailable: it cannot be read now.
        """
        self._check(topic)
        log = self._history.log(topic)
        position = self._history.position(topic)
        if position is None:
            return None
        values = () if log is None else tuple(log.values.values())
        return {"events": self._as_json(visible(values)), **position_as_json(position)}

    def events(
        self, topic: str, visible: Visible, since: Position | None, limit: int
    ) -> Mapping[str, object] | None:
        """Return events of a topic, oldest first, and its position.

        :param since: the position of the newest event that the reader knows; None for the newest
            events.
        :param limit: how many at most.
        :returns: ``events``, ``complete``, ``epoch``, ``offset``; ``complete`` says whether all
            events after ``since`` are there, as far as the reader may see them. If not, and there
            are events, more follow these; if there are none, the first ones are gone. None for a
            topic without history.
        :raises TopicUnavailable: it cannot be read now.
        """
        self._check(topic)
        log = self._history.log(topic)
        position = self._history.position(topic)
        if position is None:
            return None
        if since is None:
            newest = () if log is None else log.newest(limit)
            is_complete = len(newest) == position.offset
            seen = visible(newest)
            taken = self._newest_that_fit(seen)
        else:
            missed = self._history.missed(topic, since)
            is_complete = missed is not None and missed.is_complete
            # Those that the reader may not see do not count: a part is only empty at the end.
            seen = () if missed is None else visible(missed.events)
            taken = self._first_that_fit(seen[:limit])
        return {
            "events": self._as_json(taken),
            "complete": is_complete and len(taken) == len(seen),
            **position_as_json(position),
        }

    def _check(self, topic: str) -> None:
        if not self._is_current(topic):
            raise TopicUnavailable(
                f"what topic {shown(topic)} keeps cannot be read now: Redis is away"
            )

    def _first_that_fit(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        return events[: self._count_that_fits(events)]

    def _newest_that_fit(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        count = self._count_that_fits(reversed(events))
        return events[len(events) - count :]

    def _count_that_fits(self, events: Iterable[StoredEvent]) -> int:
        """Return how many of the events fit into one answer; at least one, if there is one."""
        size = count = 0
        for each in events:
            size += len(each.payload)
            if size > self._max_bytes and count:
                break
            count += 1
        return count

    def _as_json(self, events: Iterable[StoredEvent]) -> list[Mapping[str, object]]:
        found: list[Mapping[str, object]] = []
        for each in events:
            event: dict[str, object] = {"offset": each.offset, "time": each.time}
            if self._marks_restricted and each.audience is not EVERYONE:
                event["restricted"] = True
            event["data"] = orjson.Fragment(each.payload)
            found.append(event)
        return found


def position_as_json(position: Position) -> Mapping[str, object]:
    """Return a position as clients get it."""
    return {"epoch": position.epoch, "offset": position.offset}
