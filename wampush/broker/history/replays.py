"""What sessions get of a topic's history, in one piece.

Owns: which stored events a session may see, and how many it gets at once.
Must not import: Twisted, the edges.

Many sessions get the same: a run that anyone may see is looked up, and its events are not touched
again. Looking at each event for each of ten thousand sessions would take longer than their
connects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from wampush.broker.delivery.catch_up import FOR_NEWCOMERS, READ_BYTES, Refill
from wampush.broker.delivery.chunks import SharedChunk
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.history.shared_runs import Run, RunKey, SharedRuns
from wampush.broker.history.stored_event import StoredEvent
from wampush.broker.history.topic_log import TopicLog
from wampush.broker.ledger import Ledger
from wampush.broker.publication import EVERYONE, Audience, Position
from wampush.broker.receiver_selection import select
from wampush.broker.subscriber import Subscriber
from wampush.broker.users import UserIndex
from wampush.choices import SlowClient

#: Events that are read at once for a slow client. A slice ends at a multiple of this, so that
#: clients that stopped at different events come to share their frames.
_SLICE_EVENTS: Final = 64
#: Bytes of such slices that are kept for the next client.
_SLICES_BYTES: Final = 32 * READ_BYTES
#: The policy under which the ledger counts events that a replay leaves out.
REPLAY: Final = "replay"


class Recovery(NamedTuple):
    """How a session has got what it missed.

    :ivar is_complete: whether it has got every event that it may see; never true if one is gone.
    :ivar position: of the newest event of the topic.
    """

    is_complete: bool
    position: Position


class Replays:
    """Queues stored events for sessions.

    :param history: what topics keep.
    :param fanout: the way to the outboxes.
    :param ledger: counts deliveries, and events that a replay leaves out.
    :param users: sessions by user and group.
    :param sessions: all open sessions by their ids.
    :param max_bytes: of payloads in one replay.
    """

    def __init__(
        self,
        history: MemoryHistory,
        *,
        fanout: Fanout,
        ledger: Ledger,
        users: UserIndex,
        sessions: Mapping[str, Subscriber],
        max_bytes: int,
    ) -> None:
        self.history: Final = history
        self.fanout: Final = fanout
        self._ledger = ledger
        self._users = users
        self._sessions = sessions
        self._max_bytes = max_bytes
        self._runs: Final = SharedRuns()
        self._slices: Final = SharedRuns(_SLICES_BYTES)
        fanout.slow_clients.read_on_by(self.read_on)

    def on_subscribe(self, subscriber: Subscriber, topic: str) -> None:
        """Queue what a topic keeps for its new subscribers: its values, or its newest events."""
        run = self._run_for_newcomers(subscriber, topic)
        if run is not None:
            self._queue(subscriber, topic, FOR_NEWCOMERS, run)

    def recover(
        self,
        subscriber: Subscriber,
        topic: str,
        since: Position,
        on_gap: Callable[[], None] = lambda: None,
    ) -> Recovery | None:
        """Queue what a session has missed; if that is gone, what a new subscriber gets.

        :param since: the position of the newest event that the session knows.
        :param on_gap: called before the latter is queued.
        :returns: None for a topic without history.
        """
        # What follows is all that a slow client has to read of this topic.
        subscriber.outbox.end_catch_up(topic)
        log = self.history.log(topic)
        key = run = None
        if log is not None and log.epoch == since.epoch:
            wire_format = subscriber.outbox.format
            key = RunKey(topic, log.epoch, log.revision, since.offset, wire_format)
            # What another session has got before need not be looked up.
            run = self._runs.get(key, subscriber.session_id)
        if run is None:
            missed = self.history.missed(topic, since)
            if missed is None:
                return None
            if not missed.is_complete or _size(missed.events) > self._max_bytes:
                on_gap()
                self.on_subscribe(subscriber, topic)
                return Recovery(False, missed.position)
            run = None if key is None else self._make_run(subscriber, key, missed.events)
            if run is None:
                return Recovery(True, missed.position)
        return Recovery(True, self._queue_missed(subscriber, topic, since, run))

    def _queue_missed(
        self, subscriber: Subscriber, topic: str, since: Position, run: Run
    ) -> Position:
        """Queue the events after a position; return the position up to which all are queued."""
        rule, newest = self.history.rules.of(topic), self.history.position(topic)
        # Where one event is kept, it is also what new subscribers get.
        later = FOR_NEWCOMERS if rule is not None and rule.events == 1 else since
        is_queued = self._queue(subscriber, topic, later, run)
        return newest if is_queued and newest is not None else since

    def sent_up_to(self, subscriber: Subscriber, topic: str) -> Position | None:
        """Return the position in a topic up to which a session has been sent everything.

        :returns: None for a topic without history, and where that is nothing yet.
        """
        catch_up = subscriber.outbox.catch_up
        if catch_up is not None and topic in catch_up:
            return catch_up.position(topic)
        return self.history.position(topic)

    def read_on(
        self, subscriber: Subscriber, topic: str, position: Position, size: int
    ) -> Refill | None:
        """Return the next events for a client that was too slow for them when they were published.

        They were counted as delivered then.

        :param position: of the last event that it has got or was not to get; FOR_NEWCOMERS if it
            is to get what the topic keeps for new subscribers.
        :param size: of the payloads in bytes, if it is more than one event.
        :returns: None if the client must not go on, because events are gone.
        """
        if position is FOR_NEWCOMERS:
            run = self._run_for_newcomers(subscriber, topic)
            if run is not None:
                self._count(run)
            refill = Refill(b"" if run is None else run.chunk, None)
        else:
            found = self._next_events(subscriber, topic, position, size)
            if found is None:
                return None
            refill = found
        outbox = subscriber.outbox
        if refill.position is None and outbox.catch_up and outbox.catch_up.ends_with(topic):
            outbox.format = outbox.format.caught_up(self.history.position)
        return refill

    def _next_events(
        self, subscriber: Subscriber, topic: str, position: Position, size: int
    ) -> Refill | None:
        log = self.history.log(topic)
        if log is None or log.epoch != position.epoch:
            return None
        offset = position.offset
        if offset < log.offset and not log.keeps_after(offset):
            oldest = self._skip_gap(subscriber, log, offset)
            if oldest is None:
                return None
            offset = oldest
        if offset >= log.offset:
            return Refill(b"", None)
        chunk, offset = self._slice(subscriber, topic, log, offset, size)
        return Refill(chunk, None if offset == log.offset else Position(log.epoch, offset))

    def _slice(
        self, subscriber: Subscriber, topic: str, log: TopicLog, offset: int, size: int
    ) -> tuple[bytes, int]:
        """Return the joined frames of the next events, and the offset of the last of them.

        :param offset: after which they begin; the log keeps them.
        :param size: as for :meth:`read_on`.
        """
        key = RunKey(topic, log.epoch, 0, offset, subscriber.outbox.format)
        run = self._slices.get(key, subscriber.session_id)
        if run is not None:
            # What another client has got before need not be looked up.
            return run.chunk, offset + run.events
        events = log.slice_after(offset, _SLICE_EVENTS - offset % _SLICE_EVENTS, size)
        last = events[-1].offset
        shown = self.visible(subscriber, events)
        if not shown:
            return b"", last
        if not key.wire_format.is_shared:
            return _chunk(key, shown), last
        excluded = None if last == log.offset else _excluded(events)
        if excluded is None or len(shown) < len(events):
            key, excluded = key._replace(events=tuple([each.offset for each in shown])), frozenset()
            run = self._slices.get(key, subscriber.session_id)
            if run is not None:
                return run.chunk, last
        run = Run(_chunk(key, shown), len(shown), 0, excluded)
        self._slices.keep(key, run)
        return run.chunk, last

    def _skip_gap(self, subscriber: Subscriber, log: TopicLog, offset: int) -> int | None:
        """Return the offset before the oldest event for a client that sees the gap by positions."""
        if not log.rule.skips_gaps or not subscriber.outbox.format.shows_gaps:
            return None
        oldest = log.events[0].offset - 1 if log.events else log.offset
        self._ledger.drop_event(SlowClient.CATCH_UP.value, oldest - offset)
        return oldest

    def visible(self, subscriber: Subscriber, events: Sequence[StoredEvent]) -> list[StoredEvent]:
        """Return the events that a session may see, as the user that it is now."""
        return [
            each
            for each in events
            if each.audience is EVERYONE or self._may_see(subscriber, each.audience)
        ]

    def _may_see(self, subscriber: Subscriber, audience: Audience) -> bool:
        if audience.is_limited:
            return bool(select(audience, {subscriber}, self._users, self._sessions))
        return subscriber.session_id not in audience.exclude

    def _run_for_newcomers(self, subscriber: Subscriber, topic: str) -> Run | None:
        """Return what a topic keeps for its new subscribers, as far as a session may see it."""
        log = self.history.log(topic)
        if log is None:
            return None
        key = RunKey(topic, log.epoch, log.revision, None, subscriber.outbox.format)
        run = self._runs.get(key, subscriber.session_id)
        if run is not None:
            return run
        rule = log.rule
        events = log.newest(rule.replay) if rule.replay else tuple(log.values.values())
        return self._make_run(subscriber, key, events)

    def _make_run(
        self, subscriber: Subscriber, key: RunKey, events: Sequence[StoredEvent]
    ) -> Run | None:
        """Return the events that a session may see, and keep them for others; None if it is none.

        :param key: of all events.
        """
        excluded = _excluded(events)
        shown = events if excluded == frozenset() else self.visible(subscriber, events)
        if not shown:
            return None
        if excluded is None or len(shown) < len(events):
            offsets = tuple([each.offset for each in shown])
            key, excluded = key._replace(revision=0, events=offsets), frozenset()
            run = self._runs.get(key, subscriber.session_id)
            if run is not None:
                return run
        fitting = self._fitting(shown)
        left_out = len(shown) - len(fitting)
        run = Run(SharedChunk(_chunk(key, fitting)), len(fitting), left_out, excluded)
        if key.wire_format.is_shared:
            self._runs.keep(key, run)
        return run

    def _queue(self, subscriber: Subscriber, topic: str, since: Position, run: Run) -> bool:
        """Queue a run, or have it read later.

        :param since: after which it is read later.
        :returns: whether it is queued.
        """
        is_queued = not run.events or self.fanout.replay(subscriber, topic, since, run.chunk)
        if is_queued or since is not FOR_NEWCOMERS:
            self._count(run)
        return is_queued

    def _count(self, run: Run) -> None:
        if run.left_out:
            self._ledger.drop_event(REPLAY, run.left_out)
        self._ledger.deliveries += run.events

    def _fitting(self, events: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        """Return the newest events that fit into one replay."""
        if _size(events) <= self._max_bytes:
            return events
        size = 0
        for index in range(len(events) - 1, -1, -1):
            size += len(events[index].payload)
            if size > self._max_bytes:
                return events[index + 1 :]
        return events


def _chunk(key: RunKey, events: Sequence[StoredEvent]) -> bytes:
    """Return the joined frames of events."""
    topic, epoch, wire_format = key.topic, key.epoch, key.wire_format
    event = wire_format.event
    if wire_format.with_positions is not wire_format:
        # A frame without a place for the position: making one takes as long as the frame.
        return b"".join([event(topic, each.payload, None) for each in events])
    return b"".join([event(topic, each.payload, Position(epoch, each.offset)) for each in events])


def _excluded(events: Sequence[StoredEvent]) -> frozenset[str] | None:
    """Return the ids of sessions that may not see all events; None if only some may."""
    audiences = {each.audience for each in events if each.audience is not EVERYONE}
    if any(each.is_limited for each in audiences):
        return None
    return frozenset[str]().union(*[each.exclude for each in audiences])


def _size(events: Sequence[StoredEvent]) -> int:
    """Return the bytes of payloads."""
    return sum([len(each.payload) for each in events])
