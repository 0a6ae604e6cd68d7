"""What a slow client gets from the history of topics instead of from its queue.

Owns: the topics that a client is behind on, and how far; the protocol to read on from there.
Must not import: Twisted, the edges, the history; the function that reads it is handed in.

Once the wire of a client is full and a certain amount waits, further events of a topic are not
queued. Only the position before the first of them is kept, and whenever the queue has become short,
the next events are read from the history. A client that is behind thus keeps as much memory as one
that is not, however long it does not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from wampush.broker.publication import Position

#: Bytes that may wait in a queue before events are no longer added, or as many are read for it.
#: Small, because slow clients that stopped at different times share no frames, and because the
#: transports of clients that read again hold a copy of each slice until it has left.
CATCH_UP_BYTES: Final = 8 * 1024


class Refill(NamedTuple):
    """The next events of a topic for one client.

    :ivar chunk: their frames; empty if the client may see none of those up to the newest.
    :ivar position: of the last event that was looked at; None if that is the newest of the topic.
    """

    chunk: bytes
    position: Position | None


ReadOn = Callable[[str, Position, int], Refill | None]
"""Read events of a topic after a position, up to so many bytes; None if some are gone."""


class CatchUp:
    """The topics that one client is behind on.

    :param read_on: reads the history as this client may see it.
    """

    __slots__ = ("_positions", "_read_on")

    def __init__(self, read_on: ReadOn) -> None:
        self._read_on = read_on
        # The topic whose turn it is comes first.
        self._positions: dict[str, Position] = {}

    def __bool__(self) -> bool:
        """Return whether the client is behind on any topic."""
        return bool(self._positions)

    def __contains__(self, topic: str) -> bool:
        """Return whether the client is behind on a topic."""
        return topic in self._positions

    def position(self, topic: str) -> Position | None:
        """Return up to where everything is queued; None if the client is not behind on a topic."""
        return self._positions.get(topic)

    def begin(self, topic: str, position: Position) -> None:
        """Note that the client is behind on a topic.

        :param position: after which events are read from the history.
        """
        self._positions[topic] = position

    def forget(self, topic: str) -> None:
        """Read nothing more of a topic; does nothing if the client is not behind on it."""
        self._positions.pop(topic, None)

    def next(self, size: int) -> bytes | None:
        """Return the next frames of the topic whose turn it is; then it is that of another.

        :param size: in bytes, about.
        :returns: empty if the client has caught up with this topic, and None if events are gone
            that it would have to get.
        """
        topic, position = next(iter(self._positions.items()))
        refill = self._read_on(topic, position, size)
        if refill is None:
            return None
        del self._positions[topic]
        if refill.position is not None:
            self._positions[topic] = refill.position
        return refill.chunk
