"""What publishers and readers of a run have noted.

Owns: the records. Pure. Must not import: anything of the benchmark.

Each event is stamped with its publisher and a number that counts the events of that publisher. A
publisher sends the next event when the last one is acknowledged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, unique
from typing import NamedTuple


class Stamp(NamedTuple):
    """What an event carries.

    :ivar publisher: who has sent it.
    :ivar number: which event of that publisher to the topic, from 1.
    """

    publisher: str
    number: int


class Place(NamedTuple):
    """The position of an event in its topic."""

    epoch: str
    offset: int


@unique
class Phase(Enum):
    """What happens while an event is published."""

    #: All nodes are joined, and all readers are subscribed.
    CALM = "calm"
    #: From before the fault until all nodes are joined and all readers are subscribed again.
    FAULT = "fault"


class Course:
    """Which phases a run has gone through."""

    def __init__(self) -> None:
        self._phases = [Phase.CALM]

    def begin(self, phase: Phase) -> None:
        """Begin the next phase."""
        self._phases.append(phase)

    @property
    def mark(self) -> int:
        """Names the present phase; another one of the same kind has another mark."""
        return len(self._phases) - 1

    def phase_since(self, mark: int) -> Phase:
        """Return the phase of what has begun at a mark and ends now.

        It is FAULT if any phase since then was: what waits for an answer during a whole fault may
        begin and end in a calm one.
        """
        return Phase.FAULT if Phase.FAULT in self._phases[mark:] else Phase.CALM


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An event that was acknowledged to its publisher.

    :ivar topic: where.
    :ivar stamp: which.
    :ivar place: of a topic that keeps events; None for others.
    :ivar node: the number of the node that has acknowledged it.
    :ivar attempts: how often it was sent; more than once when an answer got lost.
    :ivar phase: FAULT unless it was calm from its first attempt to the answer.
    :ivar sent: when it was sent the first time, in seconds of a monotonic clock.
    """

    topic: str
    stamp: Stamp
    place: Place | None
    node: int
    attempts: int
    phase: Phase
    sent: float


@dataclass(slots=True)
class Segment:
    """Events that a reader has got without a hole.

    :ivar epoch: of the topic.
    :ivar start: the offset after which it begins.
    :ivar stamps: one for each offset after ``start``.
    """

    epoch: str
    start: int
    stamps: list[Stamp] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The offset of the newest event."""
        return self.start + len(self.stamps)


@dataclass(slots=True)
class Kept:
    """What a reader has got of a topic that keeps events.

    :ivar reader: its name.
    :ivar topic: the topic.
    :ivar segments: what it has got; a new one begins where events are missing.
    :ivar losses: sentences about what the server, or the next offset, has told to be missing.
    :ivar breaches: sentences about answers that contradict what has come.
    """

    reader: str
    topic: str
    segments: list[Segment] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Visit:
    """The time that a reader was subscribed over one connection.

    :ivar node: the number of its node.
    :ivar begun: when the subscription was answered, in seconds of a monotonic clock.
    :ivar is_open: whether the connection has lasted until the end.
    """

    node: int
    begun: float
    is_open: bool = True


@dataclass(slots=True)
class Plain:
    """What a reader has got of a topic that keeps nothing.

    :ivar reader: its name.
    :ivar topic: the topic.
    :ivar stamps: in the order of their arrival.
    :ivar visits: when it was subscribed.
    """

    reader: str
    topic: str
    stamps: list[Stamp] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)


@dataclass(slots=True)
class Count:
    """How many pushes of one kind a node has had, by its own account and that of its publishers.

    :ivar what: the node, and how it was pushed to.
    :ivar answered: pushes that were answered, or for ZeroMQ sent.
    :ivar unanswered: pushes without an answer, or refused for now; the node may not count them.
    :ivar received: pushes received, as the node counts.
    :ivar accepted: of these.
    :ivar refused: of these.
    """

    what: str
    answered: int
    unanswered: int
    received: int
    accepted: int
    refused: int


@dataclass(slots=True)
class Allowed:
    """What a fault may do to the events.

    :ivar loses_kept: whether Redis has lost what topics keep, so that they begin another epoch.
    :ivar loses_plain: whether events of topics that keep nothing may miss nodes during the fault.
    :ivar hides_positions: whether answers to publishers may have no position.
    """

    loses_kept: bool = False
    loses_plain: bool = True
    hides_positions: bool = False


@dataclass(slots=True)
class Records:
    """Everything that is known at the end of a run.

    :ivar acknowledged: by all publishers, each in the order in which it has published.
    :ivar kept: one for each reader and topic.
    :ivar plain: likewise.
    :ivar stored: what the server keeps in the end, by topic, from the first offset on.
    :ivar unacknowledged: for topics whose publishers get no answers, the events that must be there.
    :ivar counts: of nodes that have lived all the time.
    :ivar sent: what Redis has sent to those that follow a topic that keeps nothing, in its order;
        some may be left out.
    """

    acknowledged: list[Acknowledged] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    plain: list[Plain] = field(default_factory=list)
    stored: dict[str, Segment] = field(default_factory=dict)
    unacknowledged: dict[str, list[Stamp]] = field(default_factory=dict)
    counts: list[Count] = field(default_factory=list)
    sent: dict[str, list[Stamp]] = field(default_factory=dict)
