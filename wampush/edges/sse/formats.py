"""The format of event streams (HTML Living Standard, section 9.2, "Server-sent events").

Owns: the blocks of events and notices, and the formats that clients share.
Must not import: Twisted, the other edges.

In a stream of one topic, events have no name, so that ``onmessage`` gets them. In a stream of
several topics, the name of an event is its topic, for ``addEventListener``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Final
from weakref import WeakValueDictionary

import orjson

from wampush.broker.delivery.catch_up import FOR_NEWCOMERS
from wampush.broker.delivery.format import PositionOf
from wampush.broker.publication import Position
from wampush.edges.sse.stream_ids import write_id

#: A comment, so that proxies and the client's system see that the connection is alive.
PING: Final = b":\n\n"
#: Characters that a field cannot contain.
FORBIDDEN: Final = "\r\n\0"
_WITHOUT_FORBIDDEN: Final = str.maketrans(FORBIDDEN, "\ufffd" * len(FORBIDDEN))


class EventStreamFormat:
    """The events of streams with certain topics.

    The id of an event also says where the stream is in its other topics. All events of these topics
    are therefore to be written in the order in which they are published, which is how the fan-out
    calls :meth:`event`: clients that share a format have received, or were not to receive, whatever
    was published before.

    :param topics: of the stream, in the order of its ids.
    :param positions: up to which everything is written; None for no position of any topic.
    """

    __slots__ = ("__weakref__", "_only", "_positions")

    #: Several streams may have it.
    is_shared = True
    #: A page is notified of a gap when it reconnects.
    shows_gaps: Final = False

    def __init__(
        self, topics: Sequence[str], positions: Sequence[Position | None] | None = None
    ) -> None:
        self._only = topics[0] if len(topics) == 1 else None
        self._positions: dict[str, Position | None] = dict(
            zip(topics, positions or repeat(None), strict=False)
        )

    @property
    def positions(self) -> Sequence[Position | None]:
        """The positions up to which everything is written, in the order of the topics."""
        return tuple(self._positions.values())

    @property
    def with_positions(self) -> EventStreamFormat:
        """This format."""
        return self

    def know(self, topic: str, position: Position | None) -> None:
        """Note that everything up to a position is written.

        :param position: None for a topic without history.
        """
        self._positions[topic] = position

    def for_catching_up(self, topic: str, position: Position) -> EventStreamFormat:
        """Return a format of its own for a client that gets events of a topic later than others.

        With a single topic it is this one, because no id says anything about other events.

        :param position: of the newest event of the topic that the client has been sent.
        """
        if self._only is not None:
            return self
        own = CatchingUpFormat(list(self._positions), self.positions)
        return own.for_catching_up(topic, position)

    def caught_up(self, position_of: PositionOf) -> EventStreamFormat:
        """Return this format."""
        return self

    def current_id(self) -> bytes:
        """Return a block that is no event: the id of a client that has got all of them."""
        return b"id: %b\n\n" % write_id(self._positions.values())

    def event(self, topic: str, payload: bytes, position: Position | None) -> bytes:
        """Return the block of an event."""
        event_id = b""
        if position is not None and topic in self._positions:
            self._positions[topic] = position
            event_id = b"id: %b\n" % write_id(self._positions.values())
        name = b"" if topic == self._only else _name(topic)
        if b"\n" in payload or b"\r" in payload:
            # In JSON these are white space between values; each line is a field of its own.
            lines = payload.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            payload = lines.replace(b"\n", b"\ndata: ")
        return b"%b%bdata: %b\n\n" % (event_id, name, payload)

    def reply(self, text: bytes) -> bytes:
        """Return a block as it is.

        :param text: of one client alone.
        """
        return text


class OwnFormat(EventStreamFormat):
    """The format of one client that has not joined the others."""

    __slots__ = ()

    is_shared = False

    def for_catching_up(self, topic: str, position: Position) -> OwnFormat:
        """Return this format, which knows that the client has been sent less of a topic."""
        self.know(topic, None if position is FOR_NEWCOMERS else position)
        return self


class CatchingUpFormat(OwnFormat):
    """The format of one client that gets events later than others that have the same topics.

    Its events are written in the order in which this client gets them, so their ids are right.
    """

    __slots__ = ()

    def caught_up(self, position_of: PositionOf) -> EventStreamFormat:
        """Return the shared format of these topics: the client is where the others are."""
        topics = list(self._positions)
        shared = shared_format(topics)
        for topic in topics:
            # Perhaps no other client has it, so that it has not been kept up to date.
            shared.know(topic, position_of(topic))
        return shared


class JoiningFormat(OwnFormat):
    """The format of one client while it gets what a topic keeps.

    Formats are equal that begin at the same positions: clients that were lost together get the same
    bytes, which are therefore written once. Only one client at a time may have one, because the
    fan-out must not take those of two clients for the same.
    """

    __slots__ = ("_begin",)

    is_shared = True

    def __init__(self, topics: Sequence[str], positions: Sequence[Position | None]) -> None:
        super().__init__(topics, positions)
        self._begin: Final = (tuple(topics), tuple(positions))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JoiningFormat) and self._begin == other._begin

    def __hash__(self) -> int:
        return hash(self._begin)


_shared: Final[WeakValueDictionary[tuple[str, ...], EventStreamFormat]] = WeakValueDictionary()


def shared_format(topics: Sequence[str]) -> EventStreamFormat:
    """Return the one format of all streams of certain topics.

    :param topics: sorted.
    """
    key = tuple(topics)
    found = _shared.get(key)
    if found is None:
        found = _shared[key] = EventStreamFormat(key)
    return found


def notice(name: str, value: Mapping[str, object]) -> bytes:
    """Return the block of an event that wampush itself sends to one client.

    :param name: begins with ``wampush.``, as no topic of a backend does.
    """
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(value))


@lru_cache(maxsize=256)
def _name(topic: str) -> bytes:
    return b"event: %b\n" % topic.translate(_WITHOUT_FORBIDDEN).encode()
