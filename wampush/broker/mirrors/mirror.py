"""The copy that this node has of one topic.

Owns: its states, the events that wait while it is read, and who waits for it.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, unique
from types import MappingProxyType
from typing import Final, NamedTuple

from wampush.broker.history.journal import StoredRow
from wampush.broker.history.rule import HistoryRule
from wampush.broker.mirrors.loss import Known
from wampush.broker.publication import Position, Publication
from wampush.broker.subscriber import Subscriber
from wampush.state_machine import moved

#: Bytes of payloads of live events of one topic that wait while it is read; more are read again.
HELD_BYTES: Final = 1024 * 1024
#: What each of them counts besides.
_OVERHEAD_BYTES: Final = 500


class Arrival(NamedTuple):
    """An event that has come from the store.

    :ivar publication: with its position.
    :ivar position: the same.
    :ivar time: when it was stored, in seconds since 1970.
    :ivar run: in which it was counted.
    """

    publication: Publication
    position: Position
    time: float
    run: str


class Wait(NamedTuple):
    """A request that waits for a topic.

    :ivar reading: the newest read of the topic when it began; a later one answers it for sure.
    :ivar since: the position that its client knows; None for a client that knows nothing.
    :ivar on_ready: gets why the topic could not be loaded; "" if it is.
    """

    reading: int
    since: Position | None
    on_ready: Callable[[str], None]


@unique
class MirrorState(Enum):
    """How far a mirror is."""

    FOLLOWING = "live events of the topic do not arrive yet, and nothing of it is known"
    LOADING = "what the topic keeps is read; live events wait"
    LIVE = "live events are delivered as they come"
    FILLING = "events between are read; live events wait"
    STALE = "live events do not arrive; what is known may be out of date"


_MOVES: Final[Mapping[MirrorState, frozenset[MirrorState]]] = MappingProxyType(
    {
        MirrorState.FOLLOWING: frozenset({MirrorState.LOADING, MirrorState.FILLING}),
        MirrorState.LOADING: frozenset(MirrorState),
        MirrorState.LIVE: frozenset({MirrorState.FILLING, MirrorState.STALE}),
        MirrorState.FILLING: frozenset(
            {MirrorState.LIVE, MirrorState.LOADING, MirrorState.STALE, MirrorState.FILLING}
        ),
        MirrorState.STALE: frozenset({MirrorState.FILLING}),
    }
)


@dataclass(slots=True)
class Reload:
    """What is read while a topic is loaded.

    :param rows: by offset, so far.
    :param position: of the newest event when the first part was read; None before.
    :param new_after: the offset after which events are new to present subscribers; None where that
        is not known.
    :param is_lossless: whether these have missed nothing but what is new.
    """

    rows: dict[int, StoredRow]
    position: Position | None = None
    new_after: int | None = None
    is_lossless: bool = True


class Mirror:
    """What a node knows of one topic that it follows.

    :param topic: its name.
    :param rule: what is kept of it.
    """

    __slots__ = (
        "_held_bytes",
        "_state",
        "has_lost_held",
        "held",
        "known",
        "newcomers",
        "reading",
        "reload",
        "rule",
        "topic",
        "used",
        "waiting",
    )

    def __init__(self, topic: str, rule: HistoryRule) -> None:
        self.topic = topic
        self.rule = rule
        self._state = MirrorState.FOLLOWING
        #: What is known of it; None until it is loaded.
        self.known: Known | None = None
        self.held: deque[Arrival] = deque()
        self._held_bytes = 0
        #: Whether live events were too many to wait, so that they must be read.
        self.has_lost_held = False
        #: Sessions that have subscribed and not got what the topic keeps.
        self.newcomers: dict[Subscriber, None] = {}
        self.waiting: list[Wait] = []
        #: Counts the reads, so that the answer to one that has become void is recognized.
        self.reading = 0
        self.reload: Reload | None = None
        #: When somebody has needed it last.
        self.used = 0.0

    @property
    def state(self) -> MirrorState:
        """How far it is."""
        return self._state

    def move(self, state: MirrorState) -> None:
        """Go on to another state."""
        self._state = moved(_MOVES, self._state, state)

    @property
    def is_loaded(self) -> bool:
        """Whether what the topic keeps is known, though perhaps not the newest."""
        return self.known is not None and self.reload is None

    def continues(self, arrival: Arrival) -> bool:
        """Return whether an event is the next one."""
        known = self.known
        return (
            known is not None
            and arrival.position.offset == known.position.offset + 1
            and arrival.position.epoch == known.position.epoch
            and arrival.run == known.run
        )

    def has(self, arrival: Arrival) -> bool:
        """Return whether an event is known already."""
        known = self.known
        return (
            known is not None
            and arrival.position.offset <= known.position.offset
            and arrival.position.epoch == known.position.epoch
            and arrival.run == known.run
        )

    def covers(self, since: Position | None) -> bool:
        """Return whether this node knows what a client has missed."""
        known = self.known
        if known is None or self.reload is not None:
            return False
        if since is None:
            return True
        return since.epoch == known.position.epoch and since.offset <= known.position.offset

    def hold(self, arrival: Arrival) -> None:
        """Keep a live event until what is before it is read."""
        self.held.append(arrival)
        self._held_bytes += len(arrival.publication.payload) + _OVERHEAD_BYTES
        if self._held_bytes > HELD_BYTES:
            self.drop_held()
            self.has_lost_held = True

    def drop_held(self) -> None:
        """Forget the live events that wait."""
        self.held.clear()
        self._held_bytes = 0

    def take_held(self) -> Arrival:
        """Remove and return the first live event that waits."""
        arrival = self.held.popleft()
        self._held_bytes -= len(arrival.publication.payload) + _OVERHEAD_BYTES
        return arrival
