"""What a slow client gets from the history of topics instead of from its queue.

Owns: the topics that a client is behind on, and how far; the protocol to read on from there.
Must not import: Twisted, the edges, the history; the function that reads it is handed in.

Once the wire of a client is full and a certain amount waits, further events of a topic are not
queued. Only the position before the first of them is kept, and whenever the queue has become short,
the next events are read from the history. A client that is behind thus keeps as much memory as one
that is not, however long it does not read.

The same holds for what a topic keeps for new subscribers, if their queues have no room for it: it
is read as it is when there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from wampush.broker.delivery.catch_up_turns import CatchUpTurns
from wampush.broker.publication import Position

#: Bytes that may wait in a queue before events are no longer added. Small, because slow clients
#: that stopped at different times share no frames.
CATCH_UP_BYTES: Final = 8 * 1024
#: Bytes that are read at once for such a client. What its wire does not take of them is a copy.
READ_BYTES: Final = 16 * 1024
#: Instead of a position: a client has to get what a topic keeps for new subscribers.
FOR_NEWCOMERS: Final = Position("", -1)


class Refill(NamedTuple):
    """The next events of a topic for one client.

    :ivar chunk: their frames; empty if the client may see none of those that were looked at.
    :ivar position: of the last event that was looked at; None if that is the newest of the topic.
    """

    chunk: bytes
    position: Position | None


ReadOn = Callable[[str, Position, int], Refill | None]
"""Read events of a topic after a position, up to so many bytes; None if some are gone."""


class CatchUp:
    """The topics that one client is behind on.

    :param read_on: reads the history as this client may see it.
    :param turns: say when to read.
    """

    __slots__ = ("_positions", "_read_on", "turns")

    def __init__(self, read_on: ReadOn, turns: CatchUpTurns) -> None:
        self._read_on = read_on
        self.turns: Final = turns
        # The topic whose turn it is comes first. What it keeps for new subscribers comes before the
        # events after a position.
        self._positions: dict[str, tuple[Position, ...]] = {}

    def __bool__(self) -> bool:
        """Return whether the client is behind on any topic."""
        return bool(self._positions)

    def __contains__(self, topic: str) -> bool:
        """Return whether the client is behind on a topic."""
        return topic in self._positions

    def ends_with(self, topic: str) -> bool:
        """Return whether nothing is left once what is read next of a topic is the last of it."""
        return list(self._positions) == [topic] and len(self._positions[topic]) == 1

    @property
    def positions(self) -> Mapping[str, Sequence[Position]]:
        """Where the client is in each topic that it is behind on; see :meth:`begin`."""
        return self._positions

    def position(self, topic: str) -> Position | None:
        """Return up to where everything of a topic is queued that the client is behind on.

        :returns: None if that is nothing yet.
        """
        first = self._positions[topic][0]
        return None if first is FOR_NEWCOMERS else first

    def begin(self, topic: str, position: Position) -> None:
        """Note that the client is behind on a topic.

        :param position: after which events are read from the history; or :data:`FOR_NEWCOMERS`.
        """
        before = self._positions.get(topic, ())
        if position is FOR_NEWCOMERS:
            others = [each for each in before if each is not FOR_NEWCOMERS]
            self._positions[topic] = (FOR_NEWCOMERS, *others)
        else:
            others = [each for each in before if each is FOR_NEWCOMERS]
            self._positions[topic] = (*others, position)

    def go_on_in(self, topic: str, epoch: str) -> None:
        """Read a topic on in another epoch, in which its events have the same offsets."""
        self._positions[topic] = tuple(
            [
                each if each is FOR_NEWCOMERS else Position(epoch, each.offset)
                for each in self._positions[topic]
            ]
        )

    def forget(self, topic: str) -> None:
        """Read nothing more of a topic; does nothing if the client is not behind on it."""
        self._positions.pop(topic, None)

    def next(self, size: int) -> bytes | None:
        """Return the next frames of the topic whose turn it is; then it is that of another.

        :param size: in bytes, about.
        :returns: empty if the client may see none of the next events, and None if events are gone
            that it would have to get.
        """
        topic, (position, *others) = next(iter(self._positions.items()))
        refill = self._read_on(topic, position, size)
        if refill is None:
            return None
        del self._positions[topic]
        left = others if refill.position is None else (refill.position, *others)
        if left:
            self._positions[topic] = tuple(left)
        return refill.chunk
