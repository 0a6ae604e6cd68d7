"""The history of all topics, in memory.

Owns: which topics have a log, the limit for all of them together, epochs.
Must not import: Twisted, the edges. The clocks are handed in.

Offsets are assigned when an event is published, and read in the same reactor turn, so that the turn
is the barrier between what a session gets from the history and what it gets live.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from wampush.broker.history.journal import StoredRow, StoredTopic
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.broker.history.stored_event import EventFields, StoredEvent
from wampush.broker.history.topic_log import TopicLog
from wampush.broker.memory_costs import string_bytes
from wampush.broker.publication import Position, Publication
from wampush.errors import PublicationRefused, Refusal

#: Bytes that a topic with history takes besides its events and the characters of its name; measured
#: with tracemalloc.
TOPIC_BYTES: Final = 1500
#: Of the changes of one log.
_REVISION_BITS: Final = 40
_NO_VERSIONS: Final[Mapping[str, int | float]] = MappingProxyType({})


class Missed(NamedTuple):
    """What a session has missed.

    :ivar events: in their order.
    :ivar position: of the newest event of the topic.
    :ivar is_complete: whether these are all; never true if one is gone.
    """

    events: Sequence[StoredEvent]
    position: Position
    is_complete: bool


class KeptTopic(NamedTuple):
    """What is kept of one topic, for another process.

    :ivar stored: its position, events and values.
    :ivar versions: by key; those of events that are gone as well.
    """

    stored: StoredTopic
    versions: Mapping[str, int | float]


class MemoryHistory:
    """Keeps events and values of topics until the process ends.

    When all topics together exceed the limit, the topic that was published to longest ago loses its
    oldest events first, then its values, then its log; then it is the turn of the next one.

    :param rules: what is kept of which topics.
    :param max_bytes: of memory for all topics together.
    :param now: the time in seconds since 1970, for people.
    :param seconds: the time in seconds of a clock that never goes back, for ages.
    :param on_forgotten: called with a durable topic whose log goes because of the limit.
    :param is_mirror: whether it holds copies of what is kept elsewhere: then positions come from
        there, and a topic has none here until it is loaded.
    """

    def __init__(
        self,
        rules: HistoryRules,
        max_bytes: int,
        now: Callable[[], float],
        seconds: Callable[[], float],
        on_forgotten: Callable[[str], None] | None = None,
        *,
        is_mirror: bool = False,
    ) -> None:
        self._is_mirror = is_mirror
        self.rules: Final = rules
        self._max_bytes = max_bytes
        self._now = now
        self._seconds = seconds
        self._on_forgotten = on_forgotten
        # The topic that was published to longest ago comes first.
        self._logs: OrderedDict[str, TopicLog] = OrderedDict()
        self._epoch = _new_epoch()
        # How many logs were begun that may go on with the epoch of another one.
        self._begun = 0
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
            rule = None if self._is_mirror else self.rules.of(topic)
            if rule is None:
                return publication
            log = TopicLog(rule, self._epoch)
            self._logs[topic] = log
            self.size += _topic_bytes(topic)
        else:
            self._logs.move_to_end(topic)
        before = log.size
        offset, payload, audience = log.offset + 1, publication.payload, publication.audience
        seen = self._seconds()
        fields = None
        if log.needs_fields:
            fields = log.fields(payload)
            _check_version(log, fields)
        log.append(StoredEvent(offset, self._now(), payload, audience, seen), fields)
        if log.rule.max_age:
            log.expire(seen)
        self.size += log.size - before
        if self.size > self._max_bytes:
            self._evict()
        return Publication(topic, payload, audience, Position(log.epoch, offset))

    def append_stored(
        self, publication: Publication, position: Position, time: float
    ) -> Publication:
        """Keep a publication that is stored already; see :meth:`append`.

        :param position: under which it is stored.
        :param time: when it was published, in seconds since 1970.
        """
        topic = publication.topic
        log = self._logs.get(topic)
        if log is None or log.epoch != position.epoch or log.offset != position.offset - 1:
            rule = self.rules.of(topic)
            if rule is None:
                return publication
            log = self._begin(topic, rule, position.epoch)
        self._logs.move_to_end(topic)
        before = log.size
        payload, audience, seen = publication.payload, publication.audience, self._seconds()
        event = StoredEvent(position.offset, time, payload, audience, seen)
        log.append(event, log.fields(payload))
        log.expire(seen)
        self.size += log.size - before
        if self.size > self._max_bytes:
            self._evict()
        return Publication(topic, payload, audience, position)

    def restore(self, stored: StoredTopic) -> bool:
        """Take what is stored of a topic.

        :returns: whether the topic is durable; if not, nothing is taken.
        """
        rule = self.rules.of(stored.topic)
        if rule is None or not rule.durable:
            return False
        self._fill(stored, rule)
        return True

    def _fill(
        self,
        stored: StoredTopic,
        rule: HistoryRule,
        versions: Mapping[str, int | float] = _NO_VERSIONS,
        now: float | None = None,
    ) -> None:
        log = self._begin(stored.topic, rule, stored.position.epoch)
        now, seconds = self._now() if now is None else now, self._seconds()
        # A clock that was set back makes nothing older than it is.
        log.restore(
            stored.position.offset,
            [StoredEvent(*row, seconds - max(now - row.time, 0.0)) for row in stored.rows],
        )
        log.restore_versions(versions)
        log.expire(seconds)
        self.size += log.size
        if self.size > self._max_bytes:
            self._evict()

    # Mirrors of what is kept elsewhere.

    def load(self, stored: StoredTopic, now: float) -> None:
        """Take what is kept elsewhere of a topic, instead of what is known of it.

        :param now: the time there, in seconds since 1970.
        """
        rule = self.rules.of(stored.topic)
        if rule is not None:
            self._fill(stored, rule, now=now)

    def forget(self, topic: str) -> None:
        """Drop the log of a topic; does nothing if there is none."""
        log = self._logs.pop(topic, None)
        if log is not None:
            self.size -= log.size + _topic_bytes(topic)

    # Another process goes on with what is kept.

    @property
    def topics(self) -> list[str]:
        """The topics that have a log; the one that was published to longest ago comes first."""
        return list(self._logs)

    @property
    def next_epoch(self) -> str:
        """The epoch of topics that have no log."""
        return self._epoch

    def snapshot(self, topic: str) -> KeptTopic | None:
        """Return everything that is kept of a topic; None where it has no log any more."""
        log = self._logs.get(topic)
        if log is None:
            return None
        rows = {each.offset: each for each in (*log.values.values(), *log.events)}
        stored = [StoredRow(*rows[offset][:4]) for offset in sorted(rows)]
        return KeptTopic(StoredTopic(topic, log.position, stored), log.versions)

    def take(self, kept: KeptTopic) -> None:
        """Go on with what another process has kept of a topic, as far as the rules keep it."""
        rule = self.rules.of(kept.stored.topic)
        if rule is not None:
            self._fill(kept.stored, rule, kept.versions)

    def take_epoch(self, epoch: str) -> None:
        """Begin logs in the epoch of another process."""
        self._epoch = epoch

    def check(self, publication: Publication) -> None:
        """Check that :meth:`append` takes a publication.

        :raises PublicationRefused: STALE, when a newer version is known.
        """
        log = self._logs.get(publication.topic)
        if log is not None and log.rule.version_by:
            _check_version(log, log.fields(publication.payload))

    def epoch(self, topic: str) -> str:
        """Return the epoch of a topic with history."""
        log = self._logs.get(topic)
        return self._epoch if log is None else log.epoch

    def position(self, topic: str) -> Position | None:
        """Return the position of the newest event of a topic; None for one without history.

        Also None for a mirror that is not loaded.
        """
        log = self._logs.get(topic)
        if log is not None:
            return log.position
        if self._is_mirror or self.rules.of(topic) is None:
            return None
        return Position(self._epoch, 0)

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

    def _begin(self, topic: str, rule: HistoryRule, epoch: str) -> TopicLog:
        """Begin the log of a topic in an epoch; the log of another epoch goes."""
        before = self._logs.pop(topic, None)
        if before is not None:
            self.size -= before.size + _topic_bytes(topic)
        log = self._logs[topic] = TopicLog(rule, epoch)
        # What was made of a log of the same epoch must not pass for one of this.
        self._begun += 1
        log.revision = self._begun << _REVISION_BITS
        self.size += _topic_bytes(topic)
        return log

    def _evict(self) -> None:
        if self._is_mirror:
            self._evict_contents()
            return
        while self.size > self._max_bytes and self._logs:
            topic, log = next(iter(self._logs.items()))
            before = log.size
            if log.drop_oldest():
                self.evicted += 1
                self.size += log.size - before
            else:
                del self._logs[topic]
                self.size -= _topic_bytes(topic)
                # Whoever knows a position of this topic must not mistake it for one of its next
                # log, whose offsets begin at 1 again.
                self._epoch = _new_epoch()
                if log.rule.durable and self._on_forgotten is not None:
                    self._on_forgotten(topic)

    def _evict_contents(self) -> None:
        """Drop what topics keep, but not their positions: they are followed, and go on."""
        for log in self._logs.values():
            before = log.size
            while self.size + log.size - before > self._max_bytes and log.drop_oldest():
                self.evicted += 1
            self.size += log.size - before
            if self.size <= self._max_bytes:
                return


def _topic_bytes(topic: str) -> int:
    """Return what a topic takes besides what it keeps."""
    return TOPIC_BYTES + string_bytes(topic)


def _check_version(log: TopicLog, fields: EventFields | None) -> None:
    newer = None if fields is None else log.newer_version(fields)
    if fields is not None and newer is not None:
        detail = f"{log.rule.version_by} is {fields.version}; {newer} was published before."
        raise PublicationRefused(Refusal.STALE, detail)


def _new_epoch() -> str:
    """Return the name of an epoch: 72 random bits, as URL-safe characters."""
    return secrets.token_urlsafe(9)
