"""Publications that have the same topic and the same receivers.

Owns: the joined frames of each format. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol

from wampush.broker.delivery.format import Format
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.publication import Publication
from wampush.choices import SlowClient


class Receiver(Protocol):
    """Anything that has an outbox."""

    @property
    def outbox(self) -> Outbox:
        """The queue that frames for it go to."""


class Batch:
    """Publications in a row with one topic and one set of receivers.

    ``size`` is about how many bytes their frames take in one format: payloads and topics. It and
    ``publications`` grow as :meth:`Fanout.deliver` adds publications, which must not follow
    :meth:`chunk`.

    :param receivers: all of them get every publication; a live set, which may change only after the
        batch has ended.
    :param slow_client: what happens to a receiver that has no room.
    """

    __slots__ = ("_chunks", "publications", "receivers", "size", "slow_client", "topic")

    def __init__(
        self, topic: str, receivers: Collection[Receiver], slow_client: SlowClient
    ) -> None:
        self.topic: Final = topic
        self.receivers: Final = receivers
        self.slow_client: Final = slow_client
        self.size = 0
        self.publications: list[Publication] = []
        self._chunks: dict[Format, bytes] = {}

    def frames(self, wire_format: Format) -> list[bytes]:
        """Return the frame of each publication; they are made anew by each call."""
        topic = self.topic
        frames = []
        for each in self.publications:
            # Python 3.11 makes a function of a comprehension; for one publication, that takes half
            # as long as its frame, and for many it saves nothing.
            frames.append(wire_format.event(topic, each.payload, each.position))  # noqa: PERF401
        return frames

    def chunk(self, wire_format: Format) -> bytes:
        """Return the joined frames of all publications; they are made once for each format."""
        chunk = self._chunks.get(wire_format)
        if chunk is None:
            if len(self.publications) == 1:
                (each,) = self.publications
                chunk = wire_format.event(self.topic, each.payload, each.position)
            else:
                chunk = b"".join(self.frames(wire_format))
            self._chunks[wire_format] = chunk
        return chunk
