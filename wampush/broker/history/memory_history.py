"""The history of all topics, in memory.

Owns: which topics have a log, the limit for all of them together, epochs.
Must not import: Twisted, the edges. The clocks are handed in.

Offsets are assigned when an event is published, and read in the same reactor turn, so that the turn
is the barrier between what a session gets from the history and what it gets live.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from wampush.broker.history.rule import HistoryRules
from wampush.broker.history.stored_event import EventFields, StoredEvent, fields_of
from wampush.broker.history.topic_log import TopicLog
from wampush.broker.publication import Position, Publication
from wampush.errors import PublicationRefused, Refusal

#: Bytes that a topic with history takes besides its events; measured with tracemalloc.
TOPIC_BYTES: Final = 1500


class Missed(NamedTuple):
    """What a session has missed.

    :ivar events: in their order.
    :ivar position: of the newest event of the topic.
    :ivar is_complete: whether these are all; never true if one is gone.
    """

    events: Sequence[StoredEvent]
    position: Position
    is_complete: bool


class MemoryHistory:
    """Keeps events and values of topics until the process ends.

    When all topics together exceed the limit, the topic that was published to longest ago loses its
    oldest events first, then its values, then its log; then it is the turn of the next one.

    :param rules: what is kept of which topics.
    :param max_bytes: of memory for all topics together.
    :param now: the time in seconds since 1970, for people.
    :param seconds: the time in seconds of a clock that never goes back, for ages.
    """

    def __init__(
        self,
        rules: HistoryRules,
        max_bytes: int,
        now: Callable[[], float],
        seconds: Callable[[], float],
    ) -> None:
        self.rules: Final = rules
        self._max_bytes = max_bytes
        self._now = now
        self._seconds = seconds
        # The topic that was published to longest ago comes first.
        self._logs: OrderedDict[str, TopicLog] = OrderedDict()
        self._epoch = _new_epoch()
        #: Bytes of memory that all topics take.
        self.size = 0
        #: Events and values that went because of the limit for all topics.
        self.evicted = 0

    @property
    def topic_count(self) -> int:
        """How many topics have a log."""
        return len(self._logs)

    def append(self, publication: Publication) -> Publication:
        """Keep a publication.

        :returns: the same with its position; as it is where the topic has no history.
        :raises PublicationRefused: STALE, when a newer version is known.
        """
        topic = publication.topic
        log = self._logs.get(topic)
        if log is None:
            rule = self.rules.of(topic)
            if rule is None:
                return publication
            log = TopicLog(rule, self._epoch)
            self._logs[topic] = log
            self.size += TOPIC_BYTES
        else:
            self._logs.move_to_end(topic)
        before = log.size
        seen = self._seconds()
        fields = fields_of(publication.payload, log.rule)
        _check_version(log, fields)
        audience = publication.audience
        event = StoredEvent(log.offset + 1, self._now(), publication.payload, audience, seen)
        is_for_all = audience.eligible is None and audience.to is None
        log.append(event, fields, is_value=is_for_all)
        log.expire(seen)
        self.size += log.size - before
        if self.size > self._max_bytes:
            self._evict()
        position = Position(log.epoch, event.offset)
        return Publication(topic, publication.payload, audience, position)

    def check(self, publication: Publication) -> None:
        """Check that :meth:`append` takes a publication.

        :raises PublicationRefused: STALE, when a newer version is known.
        """
        log = self._logs.get(publication.topic)
        if log is not None:
            _check_version(log, fields_of(publication.payload, log.rule))

    def position(self, topic: str) -> Position | None:
        """Return the position of the newest event of a topic; None for one without history."""
        log = self._logs.get(topic)
        if log is not None:
            return log.position
        return None if self.rules.of(topic) is None else Position(self._epoch, 0)

    def log(self, topic: str) -> TopicLog | None:
        """Return the log of a topic, without what is too old; None if nothing was published."""
        log = self._logs.get(topic)
        if log is not None:
            before = log.size
            log.expire(self._seconds())
            self.size += log.size - before
        return log

    def missed(self, topic: str, since: Position) -> Missed | None:
        """Return what a session has missed.

        :param since: the position of the newest event that it knows.
        :returns: None for a topic without history.
        """
        position = self.position(topic)
        if position is None:
            return None
        log = self.log(topic)
        if since.epoch != position.epoch:
            return Missed((), position, is_complete=False)
        if log is None:
            return Missed((), position, is_complete=since.offset == 0)
        events = log.since(since.offset)
        return Missed(events or (), position, is_complete=events is not None)

    def _evict(self) -> None:
        while self.size > self._max_bytes and self._logs:
            topic, log = next(iter(self._logs.items()))
            before = log.size
            if log.drop_oldest():
                self.evicted += 1
                self.size += log.size - before
            else:
                del self._logs[topic]
                self.size -= TOPIC_BYTES
                # Whoever knows a position of this topic must not mistake it for one of its next
                # log, whose offsets begin at 1 again.
                self._epoch = _new_epoch()


def _check_version(log: TopicLog, fields: EventFields) -> None:
    newer = log.newer_version(fields)
    if newer is not None:
        detail = f"{log.rule.version_by} is {fields.version}; {newer} was published before."
        raise PublicationRefused(Refusal.STALE, detail)


def _new_epoch() -> str:
    """Return the name of an epoch: 72 random bits, as URL-safe characters."""
    return secrets.token_urlsafe(9)
