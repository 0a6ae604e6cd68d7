"""What one topic keeps: its latest events, and its values by key.

Owns: offsets, the order of events, what is removed by count, age and size.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from wampush.broker.history.rule import HistoryRule
from wampush.broker.history.stored_event import EventFields, StoredEvent, fields_of
from wampush.broker.memory_costs import named_bytes
from wampush.broker.publication import Position

#: The part of the bytes of a topic that versions may take; beyond it, those that were published
#: longest ago are forgotten.
_PART_OF_VERSIONS: Final = 4


class TopicLog:
    """The history of one topic within one epoch.

    The events are the newest of the topic without a gap. Values are the newest events by key, in
    the order in which they were published; only events for everyone become values, because one for
    a few would hide the one before from the others.

    :param rule: what is kept.
    :param epoch: see :class:`~wampush.broker.publication.Position`.
    """

    __slots__ = (
        "_versions",
        "_versions_size",
        "epoch",
        "events",
        "needs_fields",
        "offset",
        "revision",
        "rule",
        "size",
        "values",
    )

    def __init__(self, rule: HistoryRule, epoch: str) -> None:
        self.rule = rule
        #: As in the rule, which would work it out for each event.
        self.needs_fields = rule.needs_fields
        self.epoch = epoch
        #: The offset of the newest event; 0 before the first.
        self.offset = 0
        #: How often something was added or removed.
        self.revision = 0
        #: Bytes of memory that events, values and versions take.
        self.size = 0
        self.events: deque[StoredEvent] = deque()
        self.values: dict[str, StoredEvent] = {}
        # The one that was published longest ago comes first.
        self._versions: dict[str, int | float] = {}
        self._versions_size = 0

    @property
    def position(self) -> Position:
        """The position of the newest event."""
        return Position(self.epoch, self.offset)

    def newer_version(self, fields: EventFields) -> int | float | None:
        """Return the known version that is newer than an event; None if the event is no older."""
        known = None if fields.key is None else self._versions.get(fields.key)
        if known is None or fields.version is None or fields.version >= known:
            return None
        return known

    def fields(self, payload: bytes) -> EventFields | None:
        """Return what an event says about itself; None where that does not matter."""
        return fields_of(payload, self.rule) if self.needs_fields else None

    def append(self, event: StoredEvent, fields: EventFields | None) -> None:
        """Add the event after the newest.

        :param event: its offset is the next.
        :param fields: as :meth:`fields` returns them.
        """
        rule = self.rule
        self.offset = event.offset
        self.revision += 1
        if fields is not None:
            self._apply(event, fields)
        if rule.events:
            events = self.events
            events.append(event)
            self.size += event.size
            if len(events) > rule.events:
                self.drop_event()
        while self.size > rule.max_bytes and self.drop_oldest():
            pass

    def _apply(self, event: StoredEvent, fields: EventFields) -> None:
        if fields.version is not None and fields.key is not None:
            self._set_version(fields.key, fields.version)
        if (self.rule.last or self.rule.last_by) and not event.audience.is_limited:
            self._set_value(event, fields)

    def restore(self, offset: int, events: Iterable[StoredEvent]) -> None:
        """Fill the empty log with what is left of the topic.

        Only the newest events without a gap remain events; the others are there for values.

        :param offset: of the newest event, which may be gone.
        :param events: in the order of their offsets.
        """
        for event in events:
            if event.offset != self.offset + 1:
                self._drop_events()
            self.append(event, self.fields(event.payload))
        if self.offset != offset:
            self._drop_events()
            self.offset = offset

    @property
    def versions(self) -> Mapping[str, int | float]:
        """The newest version of each key, the one that was published longest ago first."""
        return self._versions

    def restore_versions(self, versions: Mapping[str, int | float]) -> None:
        """Take versions whose events may be gone; call it after :meth:`restore`."""
        for key, version in versions.items():
            if self.rule.version_by:
                self._set_version(key, version)

    def expire(self, seen: float) -> None:
        """Drop what is too old.

        :param seen: the time now, in seconds of the clock of :attr:`StoredEvent.seen`.
        """
        if not self.rule.max_age:
            return
        oldest = seen - self.rule.max_age
        while self.events and self.events[0].seen < oldest:
            self.drop_event()
        while self.values and next(iter(self.values.values())).seen < oldest:
            self._drop_value(next(iter(self.values)))

    def drop_oldest(self) -> bool:
        """Drop the oldest event; the oldest value when there is no event left, then versions.

        :returns: whether there was anything.
        """
        if self.events:
            self.drop_event()
        elif self.values:
            self._drop_value(next(iter(self.values)))
        elif self._versions:
            self._drop_version(next(iter(self._versions)))
        else:
            return False
        return True

    def drop_event(self) -> None:
        """Drop the oldest event."""
        self.size -= self.events.popleft().size
        self.revision += 1

    def since(self, offset: int) -> Sequence[StoredEvent] | None:
        """Return the events after an offset; None if some of them are gone.

        :param offset: of the newest event that is known already.
        """
        if offset == self.offset:
            return ()
        if offset > self.offset or not self.events or self.events[0].offset > offset + 1:
            return None
        return self.newest(self.offset - offset)

    def keeps_after(self, offset: int) -> bool:
        """Return whether all events after an offset are there.

        :param offset: less than that of the newest event.
        """
        return bool(self.events) and self.events[0].offset <= offset + 1

    def slice_after(self, offset: int, count: int, size: int) -> Sequence[StoredEvent]:
        """Return the next events after an offset, at least one.

        :param offset: less than that of the newest event; see :meth:`keeps_after`.
        :param count: at most so many.
        :param size: of their payloads in bytes, if it is more than one event.
        """
        events = self.events
        # Access by index takes a deque less time than to pass over everything before.
        start = offset + 1 - events[0].offset
        found = [events[start]]
        size -= len(found[0].payload)
        for index in range(start + 1, min(start + count, len(events))):
            size -= len(events[index].payload)
            if size < 0:
                break
            found.append(events[index])
        return found

    def newest(self, count: int) -> Sequence[StoredEvent]:
        """Return the newest events, in their order.

        :param count: at most so many.
        """
        # From the end: going there from the beginning would take a step for each event.
        return tuple(islice(reversed(self.events), count))[::-1]

    def _drop_events(self) -> None:
        while self.events:
            self.drop_event()

    def _set_value(self, event: StoredEvent, fields: EventFields) -> None:
        key = fields.key
        if key is None:
            if fields.removes:
                for each in list(self.values):
                    self._drop_value(each)
            return
        if key in self.values:
            self._drop_value(key)
        if not fields.removes:
            # At the end: the order of a dictionary is that of insertion.
            self.values[key] = event
            self.size += event.size + named_bytes(key)
            if len(self.values) > self.rule.keys:
                self._drop_value(next(iter(self.values)))

    def _drop_value(self, key: str) -> None:
        self.size -= self.values.pop(key).size + named_bytes(key)
        self.revision += 1

    def _set_version(self, key: str, version: float) -> None:
        if key in self._versions:
            self._drop_version(key)
        self._versions[key] = version
        self._resize_versions(named_bytes(key))
        most = self.rule.max_bytes // _PART_OF_VERSIONS
        while len(self._versions) > self.rule.keys or self._versions_size > most:
            self._drop_version(next(iter(self._versions)))

    def _drop_version(self, key: str) -> None:
        del self._versions[key]
        self._resize_versions(-named_bytes(key))

    def _resize_versions(self, change: int) -> None:
        self._versions_size += change
        self.size += change
