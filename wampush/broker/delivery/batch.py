"""Publications that have the same topic and the same receivers.

Owns: their payloads, and the joined frames of each format. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol

from wampush.broker.delivery.format import Format
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.publication import Position
from wampush.choices import SlowClient


class Receiver(Protocol):
    """Anything that has an outbox."""

    @property
    def outbox(self) -> Outbox:
        """The queue that frames for it go to."""


class Batch:
    """Publications in a row with one topic and one set of receivers.

    ``events`` are payloads and positions. ``size`` is about how many bytes their frames take in one
    format: payloads and topics. Both grow as :meth:`Fanout.deliver` adds events, which must not
    follow :meth:`chunk`.

    :param receivers: all of them get every event; a live set, which may change only after the
        batch has ended.
    :param slow_client: what happens to a receiver that has no room.
    """

    __slots__ = ("_chunks", "events", "receivers", "size", "slow_client", "topic")

    def __init__(
        self, topic: str, receivers: Collection[Receiver], slow_client: SlowClient
    ) -> None:
        self.topic: Final = topic
        self.receivers: Final = receivers
        self.slow_client: Final = slow_client
        self.size = 0
        self.events: list[tuple[bytes, Position | None]] = []
        self._chunks: dict[Format, bytes] = {}

    def frames(self, wire_format: Format) -> list[bytes]:
        """Return the frame of each event; they are made anew by each call."""
        event, topic = wire_format.event, self.topic
        return [event(topic, payload, position) for payload, position in self.events]

    def chunk(self, wire_format: Format) -> bytes:
        """Return the joined frames of all events; they are made once for each format."""
        chunk = self._chunks.get(wire_format)
        if chunk is None:
            frames = self.frames(wire_format)
            chunk = frames[0] if len(frames) == 1 else b"".join(frames)
            self._chunks[wire_format] = chunk
        return chunk
