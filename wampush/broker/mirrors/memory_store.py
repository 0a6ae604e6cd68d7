"""A store that the brokers of one process share, for tests and simulations.

Owns: the store and its ends at the nodes. Must not import: Twisted, the edges. Clock and timers are
handed in.

It can be emptied, and go back to what it was before, as a server does that takes over from another
and lacks the newest events.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from wampush.broker.backplane.contract import topic_channel
from wampush.broker.backplane.memory_bus import MemoryBus, MemoryLink
from wampush.broker.backplane.node_message import NodeMessage, encoded
from wampush.broker.delivery.backlog import Timer
from wampush.broker.history.journal import StoredRow
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.broker.history.stored_event import EventFields, StoredEvent, fields_of
from wampush.broker.history.topic_log import TopicLog
from wampush.broker.mirrors.contract import (
    Cursor,
    Entry,
    OnCarriedOut,
    OnRead,
    OnStored,
    OnTops,
    Place,
    Run,
    Slice,
    Stored,
    Top,
)
from wampush.broker.publication import Publication
from wampush.errors import PublicationRefused, Refusal
from wampush.excerpts import shown_json

#: Seconds for which the id of a push is known.
KNOWN_SECONDS: Final = 300.0


class _Part(NamedTuple):
    """What a publication is to one topic; ``log`` is None without history."""

    publication: Publication
    log: _Log | None
    fields: EventFields | None


@dataclass(slots=True)
class _Log:
    """A topic in the store."""

    log: TopicLog
    runs: list[Run]
    previous: str = ""


@dataclass(slots=True)
class _Done:
    """Which publications of a node were carried out.

    :ivar newest: the greatest number of these.
    :ivar missing: lesser numbers that were not, and that may be sent again.
    """

    newest: int = 0
    missing: set[int] = field(default_factory=set)

    def has(self, number: int) -> bool:
        """Return whether a publication was carried out."""
        return number <= self.newest and number not in self.missing

    def add(self, number: int, settled: int) -> None:
        """Note that one is carried out.

        :param settled: the number up to which none is sent again.
        """
        self.missing = {each for each in self.missing if each > settled}
        self.missing.update(range(max(self.newest, settled) + 1, number))
        self.missing.discard(number)
        self.newest = max(self.newest, number)


@dataclass(slots=True)
class _State:
    """Everything that is stored, and that a server can lose."""

    logs: dict[str, _Log] = field(default_factory=dict)
    #: By the id of a push: until when it is known, its digest, what has become of it, and which
    #: publication of which node it was.
    pushes: dict[str, tuple[float, str, Sequence[Place | None], tuple[str, int]]] = field(
        default_factory=dict
    )
    done: dict[str, _Done] = field(default_factory=dict)


class MemoryStore:
    """Keeps topics for several brokers.

    :param bus: joins them.
    :param rules: what is kept of which topics.
    :param now: the time in seconds since 1970.
    :param call_later: calls a function after a number of seconds.
    """

    #: Rows of one slice.
    slice_rows = 100

    def __init__(
        self,
        bus: MemoryBus,
        rules: HistoryRules,
        now: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self.bus: Final = bus
        self.call_later: Final = call_later
        self._rules = rules
        self._now = now
        self._state = _State()
        self._run = secrets.token_hex(4)

    def link(self, node: str, link: MemoryLink) -> MemoryStoreLink:
        """Return the end of the store at one node.

        :param node: the id of the node.
        :param link: to the bus; the store is reached as long as that is joined.
        """
        return MemoryStoreLink(self, node, link)

    # What a server does.

    def empty(self) -> None:
        """Forget everything, as a server without a disk that starts again."""
        self.go_back(_State())

    def remember(self) -> _State:
        """Return what is stored now, for :meth:`go_back`."""
        return copy.deepcopy(self._state)

    def go_back(self, state: _State) -> None:
        """Be another server, which has what was stored earlier."""
        self._state = copy.deepcopy(state)
        self._run = secrets.token_hex(4)

    def publish(self, node: str, entry: Entry) -> Stored | PublicationRefused:
        """Store a publication, and send it on."""
        state, number, push_id = self._state, entry.number, entry.push_id
        known = state.pushes.get(push_id)
        if known is not None and known[0] <= self._now():
            known = None
        done = state.done.setdefault(node, _Done())
        is_done = done.has(number)
        if known is not None:
            if known[1] != entry.digest:
                return PublicationRefused(Refusal.ID_REUSED, f"It is {shown_json(push_id)}.")
            is_late = is_done and known[3] == (node, number)
            return Stored(known[2], is_repeated=not is_late, is_late=is_late)
        if is_done:
            return Stored((), is_late=True)
        parts = list(map(self._part, entry.publication.by_topic()))
        for part in parts:
            if part.log is not None and part.fields is not None:
                newer = part.log.log.newer_version(part.fields)
                if newer is not None:
                    return PublicationRefused(Refusal.STALE, f"{newer} was published before.")
        done.add(number, entry.settled)
        places = [self._append(node, number, part) for part in parts]
        if push_id:
            known_until = self._now() + KNOWN_SECONDS
            state.pushes[push_id] = (known_until, entry.digest, places, (node, number))
        return Stored(places)

    def carried_out(self, node: str, entries: Sequence[Entry]) -> list[bool]:
        """Return which publications of a node were carried out."""
        return [self._is_carried_out(node, each) for each in entries]

    def _is_carried_out(self, node: str, entry: Entry) -> bool:
        if entry.push_id:
            known = self._state.pushes.get(entry.push_id)
            return known is not None and known[3] == (node, entry.number)
        return self._state.done.get(node, _Done()).has(entry.number)

    def read(self, topic: str, cursor: Cursor) -> Slice:
        """Read a part of what a topic keeps."""
        kept = self._log(topic)
        if kept is None:
            kept = self._begin(topic)
        log = kept.log
        log.expire(self._now())
        values, events = [], []
        if cursor.values_after is not None:
            values = [each for each in log.values.values() if each.offset > cursor.values_after]
        if cursor.events_after is not None:
            events = [each for each in log.events if each.offset > cursor.events_after]
        fitting = values[: self.slice_rows]
        room = self.slice_rows - len(fitting)
        return Slice(
            log.position,
            tuple(kept.runs),
            kept.previous,
            self._now(),
            [StoredRow(*each[:4]) for each in fitting],
            [StoredRow(*each[:4]) for each in events[:room]],
            len(values) + len(events) <= self.slice_rows,
        )

    def tops(self, topics: Sequence[str]) -> list[Top | None]:
        """Return where topics are."""
        logs = [self._state.logs.get(topic) for topic in topics]
        return [
            None if each is None else Top(each.log.position, each.runs[-1].name) for each in logs
        ]

    def renew(self, node: str, topic: str, epoch: str) -> None:
        """Begin another epoch of a topic."""
        kept = self._log(topic)
        if kept is not None and kept.log.epoch == epoch:
            kept.previous, kept.log.epoch = epoch, _new_epoch()
            position = kept.log.position
            message = NodeMessage(node, 0, b"null", "renewed", position=position, run=self._run)
            self.bus.distribute(topic_channel(topic), encoded(message))

    def _part(self, publication: Publication) -> _Part:
        rule = self._rules.of(publication.topic)
        if rule is None:
            return _Part(publication, None, None)
        kept = self._log(publication.topic) or self._begin(publication.topic)
        return _Part(publication, kept, fields_of(publication.payload, rule))

    def _log(self, topic: str) -> _Log | None:
        """Return a topic, in the present run."""
        kept = self._state.logs.get(topic)
        if kept is not None and kept.runs[-1].name != self._run:
            kept.runs.append(Run(self._run, kept.log.offset))
        return kept

    def _begin(self, topic: str) -> _Log:
        rule = self._rules.of(topic) or HistoryRule()
        kept = _Log(TopicLog(rule, _new_epoch()), [Run(self._run, 0)])
        self._state.logs[topic] = kept
        return kept

    def _append(self, node: str, number: int, part: _Part) -> Place | None:
        publication, kept = part.publication, part.log
        payload, audience = publication.payload, publication.audience
        if kept is None or part.fields is None:
            message = NodeMessage(node, number, payload, audience=audience)
            self.bus.distribute(topic_channel(publication.topic), encoded(message))
            return None
        log, now = kept.log, self._now()
        event = StoredEvent(log.offset + 1, now, payload, audience, now)
        log.append(event, log.fields(payload))
        log.expire(now)
        message = NodeMessage(node, number, payload, "", audience, log.position, now, self._run)
        nodes = self.bus.distribute(topic_channel(publication.topic), encoded(message))
        return Place(log.position, now, self._run, nodes)


class MemoryStoreLink:
    """The end of the store at one node; a :class:`~.contract.SharedStore`.

    :param store: the store.
    :param node: the id of the node.
    :param link: of the node to the bus.
    """

    def __init__(self, store: MemoryStore, node: str, link: MemoryLink) -> None:
        self._store = store
        self._node = node
        self._link = link

    @property
    def node(self) -> str:
        """See :class:`~.contract.SharedStore`."""
        return self._node

    @property
    def is_joined(self) -> bool:
        """See :class:`~.contract.SharedStore`."""
        return self._link.is_joined

    @property
    def problem(self) -> str:
        """See :class:`~.contract.SharedStore`."""
        return self._link.problem

    def publish(self, entry: Entry, on_stored: OnStored) -> None:
        """See :class:`~.contract.SharedStore`."""
        self._ask(partial(self._store.publish, self._node, entry), on_stored)

    def ask(self, entries: Sequence[Entry], on_answer: OnCarriedOut) -> None:
        """See :class:`~.contract.SharedStore`."""
        self._ask(partial(self._store.carried_out, self._node, entries), on_answer)

    def read(self, topic: str, cursor: Cursor, on_read: OnRead) -> None:
        """See :class:`~.contract.SharedStore`."""
        self._ask(partial(self._store.read, topic, cursor), on_read)

    def tops(self, topics: Sequence[str], on_tops: OnTops) -> None:
        """See :class:`~.contract.SharedStore`."""
        self._ask(partial(self._store.tops, topics), on_tops)

    def keep(self, topics: Sequence[str]) -> None:
        """Do nothing: nothing is forgotten here."""

    def on_left(self) -> None:
        """Do nothing: there is one server only."""

    def renew(self, topic: str, epoch: str, on_renewed: Callable[[], None]) -> None:
        """See :class:`~.contract.SharedStore`."""
        self._ask(partial(self._store.renew, self._node, topic, epoch), lambda _: on_renewed())

    def _ask(self, question: Callable[[], Any], on_answer: Callable[[Any], None]) -> None:
        losses, is_joined = self._link.losses, self._link.is_joined
        later, delay = self._store.call_later, self._store.bus.delay

        def is_lost() -> bool:
            return not is_joined or self._link.losses != losses

        def arrive() -> None:
            if is_lost():
                on_answer(None)
                return
            answer = question()
            later(delay, lambda: on_answer(None if is_lost() else answer))

        later(delay, arrive)


def _new_epoch() -> str:
    return secrets.token_urlsafe(9)
