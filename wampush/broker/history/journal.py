"""What durable topics need of a store: the contract, and its variant in memory.

Owns: Journal, MemoryJournal, and the forms of what is written and loaded.
Must not import: Twisted, the edges.

A journal writes in the order in which it is asked to, and gives each publication its position when
it is stored, so that a publication that could not be stored leaves no hole. Reads are answered from
memory; a journal is read once, at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from wampush.broker.publication import Audience, Position


class Record(NamedTuple):
    """A publication to one topic that is to be stored.

    :ivar topic: where it is published.
    :ivar epoch: of the topic, if nothing of it is stored.
    :ivar time: when it was published, in seconds since 1970.
    :ivar payload: JSON text.
    :ivar audience: who may get it.
    """

    topic: str
    epoch: str
    time: float
    payload: bytes
    audience: Audience


class StoredRow(NamedTuple):
    """A stored publication of one topic.

    :ivar offset: counts the publications of the topic.
    :ivar time: when it was published, in seconds since 1970.
    :ivar payload: JSON text.
    :ivar audience: who may get it.
    """

    offset: int
    time: float
    payload: bytes
    audience: Audience


class StoredTopic(NamedTuple):
    """What is stored of one topic.

    :ivar topic: its name.
    :ivar position: of its newest publication.
    :ivar rows: publications by offset; there may be gaps.
    """

    topic: str
    position: Position
    rows: Sequence[StoredRow]


class Outcome(NamedTuple):
    """What has become of records that were written together.

    :ivar positions: one for each record; none if nothing of them was stored.
    :ivar problem: why nothing was stored; "" if all of them were.
    """

    positions: Sequence[Position]
    problem: str = ""


class Journal(Protocol):
    """Stores the publications of durable topics."""

    def load(self) -> Iterator[StoredTopic]:
        """Yield what is stored; only before :meth:`start`.

        :raises OperatorError: the store cannot be read.
        """

    def start(self, on_written: Callable[[Sequence[Outcome]], None]) -> None:
        """Begin to write.

        :param on_written: gets the outcomes of :meth:`write`, in the order of the calls, in the
            thread of the broker and never within such a call.
        """

    def write(self, records: Sequence[Record]) -> None:
        """Store records, all or none of them."""

    def trim(self, topic: str, first: int, kept: Sequence[int]) -> None:
        """Remove older publications of a topic.

        :param first: the first offset to keep.
        :param kept: offsets before that to keep nevertheless.
        """

    def forget(self, topic: str) -> None:
        """Remove a topic; its next publication begins the epoch of its record."""

    def flush(self, seconds: float) -> None:
        """Wait until everything so far is stored, and hand over its outcomes.

        :param seconds: how long at most.
        """

    def stop(self, seconds: float) -> None:
        """Store what is left, hand over its outcomes, and end.

        :param seconds: how long to wait at most.
        """


class MemoryJournal:
    """A journal for tests of applications: positions are as in a database, but nothing is stored.

    :param call_later: calls a function after a number of seconds.
    """

    def __init__(self, call_later: Callable[[float, Callable[[], None]], object]) -> None:
        self._call_later = call_later
        self._on_written: Callable[[Sequence[Outcome]], None] = _nobody
        self._outcomes: list[Outcome] = []
        self._positions: dict[str, Position] = {}

    def load(self) -> Iterator[StoredTopic]:
        """Yield nothing."""
        return iter(())

    def start(self, on_written: Callable[[Sequence[Outcome]], None]) -> None:
        """Begin; see :meth:`Journal.start`."""
        self._on_written = on_written

    def write(self, records: Sequence[Record]) -> None:
        """Give records their positions."""
        positions = []
        for topic, epoch, *_ in records:
            known = self._positions.get(topic, Position(epoch, 0))
            position = self._positions[topic] = Position(known.epoch, known.offset + 1)
            positions.append(position)
        if not self._outcomes:
            self._call_later(0, self._hand_over)
        self._outcomes.append(Outcome(positions))

    def trim(self, topic: str, first: int, kept: Sequence[int]) -> None:
        """Do nothing: nothing is kept here."""

    def forget(self, topic: str) -> None:
        """Forget the position of a topic."""
        self._positions.pop(topic, None)

    def flush(self, seconds: float) -> None:  # noqa: ARG002 - nothing is waited for
        """Hand over what there is."""
        self._hand_over()

    def stop(self, seconds: float) -> None:  # noqa: ARG002 - nothing is waited for
        """Hand over what there is."""
        self._hand_over()

    def _hand_over(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        if outcomes:
            self._on_written(outcomes)


def _nobody(_: Sequence[Outcome]) -> None:
    """Take outcomes before the start, when there are none."""
