"""What waits in an outbox: which events may be replaced, and its form for another process.

Owns: these two forms. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from wampush.broker.delivery.chunks import Chunk
from wampush.broker.publication import Position


class Waiting(NamedTuple):
    """What waits for a client whose connection goes on in another process.

    :ivar chunks: in their order; the first may be the rest of a frame.
    :ivar latest: the index in ``chunks`` of the event that a newer one of its topic may replace.
    :ivar behind: where the client is in topics to be read from their history; see ``catch_up``.
    :ivar stalled: whether the client has missed a pause of the sources.
    :ivar shared: indexes of chunks that do not count for the client's limit.
    """

    chunks: Sequence[Chunk]
    latest: Mapping[str, int]
    behind: Mapping[str, Sequence[Position]]
    stalled: bool
    shared: Sequence[int] = ()


NOTHING_WAITS: Final = Waiting((), MappingProxyType({}), MappingProxyType({}), stalled=False)
"""What nearly all clients leave."""


class Replaceable:
    """The events that newer ones of their topics may replace.

    :ivar places: the absolute index of the newest event of each topic.
    :ivar gone: how many chunks have left since; makes the indexes absolute.
    """

    __slots__ = ("gone", "places")

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.gone = 0

    def indexes(self, before: int) -> dict[str, int]:
        """Return the index of the newest event of each topic that waits after so many chunks."""
        return {
            topic: index - self.gone + before
            for topic, index in self.places.items()
            if index >= self.gone
        }

    def compact(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Return the chunks without those that newer ones have replaced, which are empty."""
        topics = {index: topic for topic, index in self.places.items()}
        kept: list[Chunk] = []
        moved: dict[str, int] = {}
        for index, chunk in enumerate(chunks, self.gone):
            if chunk:
                if index in topics:
                    moved[topics[index]] = len(kept)
                kept.append(chunk)
        self.places = moved
        self.gone = 0
        return kept
