"""What sessions get of a topic's history, in one piece.

Owns: which stored events a session may see, and the joined frames that sessions share.
Must not import: Twisted, the edges.

When ten thousand clients return at once, they have mostly missed the same events. These are written
once per format, and each outbox takes a reference to the same bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from wampush.broker.delivery.fanout import Fanout
from wampush.broker.delivery.format import Format
from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.history.stored_event import StoredEvent
from wampush.broker.history.topic_log import TopicLog
from wampush.broker.ledger import Ledger
from wampush.broker.publication import EVERYONE, Position
from wampush.broker.receiver_selection import select
from wampush.broker.subscriber import Subscriber
from wampush.broker.users import UserIndex

#: How many runs of frames are kept for the next session.
_KEPT_RUNS: Final = 8
#: The policy under which the ledger counts events that a replay leaves out.
REPLAY: Final = "replay"


class Recovery(NamedTuple):
    """How a session has got what it missed.

    :ivar is_complete: whether it has got every event that it may see; never true if one is gone.
    :ivar position: of the newest event of the topic.
    """

    is_complete: bool
    position: Position


class _Run(NamedTuple):
    """Stored events that many sessions may get, and the format for them."""

    topic: str
    epoch: str
    #: The revision of the log for values, whose offsets have gaps; 0 for events in a row.
    revision: int
    first: int
    last: int
    wire_format: Format


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
        self._fanout = fanout
        self._ledger = ledger
        self._users = users
        self._sessions = sessions
        self._max_bytes = max_bytes
        self._runs: OrderedDict[_Run, bytes] = OrderedDict()

    def on_subscribe(self, subscriber: Subscriber, topic: str) -> None:
        """Queue what a topic keeps for its new subscribers: its values, or its newest events."""
        log = self.history.log(topic)
        if log is None:
            return
        rule = log.rule
        if rule.replay:
            self._send(subscriber, topic, log, log.newest(rule.replay), 0)
        else:
            self._send(subscriber, topic, log, tuple(log.values.values()), log.revision)

    def recover(self, subscriber: Subscriber, topic: str, since: Position) -> Recovery | None:
        """Queue what a session has missed; if that is gone, what a new subscriber gets.

        :param since: the position of the newest event that the session knows.
        :returns: None for a topic without history.
        """
        missed = self.history.missed(topic, since)
        if missed is None:
            return None
        log = self.history.log(topic)
        if missed.is_complete:
            size = sum([len(each.payload) for each in missed.events])
            if size <= self._max_bytes:
                if log is not None:
                    self._send(subscriber, topic, log, missed.events, 0)
                return Recovery(True, missed.position)
        self.on_subscribe(subscriber, topic)
        return Recovery(False, missed.position)

    def visible(self, subscriber: Subscriber, events: Sequence[StoredEvent]) -> list[StoredEvent]:
        """Return the events that a session may see, as the user that it is now."""
        return [
            each
            for each in events
            if each.audience is EVERYONE
            or select(each.audience, {subscriber}, self._users, self._sessions)
        ]

    def _send(
        self,
        subscriber: Subscriber,
        topic: str,
        log: TopicLog,
        events: Sequence[StoredEvent],
        revision: int,
    ) -> None:
        shown = self.visible(subscriber, events)
        fitting = self._fitting(shown)
        if not fitting:
            return
        outbox = subscriber.outbox
        run = None
        if len(fitting) == len(events):
            first, last = fitting[0].offset, fitting[-1].offset
            run = _Run(topic, log.epoch, revision, first, last, outbox.format)
        chunk = None if run is None else self._runs.get(run)
        if chunk is None:
            event, epoch = outbox.format.event, log.epoch
            chunk = b"".join(
                [event(topic, each.payload, Position(epoch, each.offset)) for each in fitting]
            )
            if run is not None:
                self._runs[run] = chunk
                if len(self._runs) > _KEPT_RUNS:
                    self._runs.popitem(last=False)
        self._ledger.deliveries += len(fitting)
        self._fanout.send(outbox, chunk)

    def _fitting(self, events: list[StoredEvent]) -> Sequence[StoredEvent]:
        """Return the newest events that fit into one replay; count the others."""
        size = 0
        for index in range(len(events) - 1, -1, -1):
            size += len(events[index].payload)
            if size > self._max_bytes:
                self._ledger.drop_event(REPLAY, index + 1)
                return events[index + 1 :]
        return events
