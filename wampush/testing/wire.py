"""The connection of a client in memory.

Owns: the format of its messages, its outbox and its end.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.format import PositionOf
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.identity import Identity
from wampush.broker.publication import Position
from wampush.errors import CloseReason
from wampush.wamp.codec import EVENT_TAIL, event_head, event_tail

_SIZE_BYTES: Final = 4


class MemoryFormat:
    """WAMP v1 messages, each after its length.

    :param writes_positions: whether events that have a position carry its offset.
    """

    is_shared: Final = True

    def __init__(self, *, writes_positions: bool = False) -> None:
        self._writes_positions = writes_positions

    @property
    def with_positions(self) -> MemoryFormat:
        """The format that writes positions."""
        return _FORMAT_WITH_POSITIONS

    @property
    def shows_gaps(self) -> bool:
        """Whether events carry their offsets."""
        return self._writes_positions

    def for_catching_up(self, topic: str, position: Position) -> MemoryFormat:  # noqa: ARG002
        """Return this format."""
        return self

    def caught_up(self, position_of: PositionOf) -> MemoryFormat:  # noqa: ARG002
        """Return this format."""
        return self

    def event(self, topic: str, payload: bytes, position: Position | None) -> bytes:
        """Return an EVENT."""
        tail = EVENT_TAIL
        if position is not None and self._writes_positions:
            tail = event_tail(position.offset)
        return self.reply(b"".join((event_head(topic), payload, tail)))

    def reply(self, text: bytes) -> bytes:
        """Return any other message.

        :param text: UTF-8.
        """
        return len(text).to_bytes(_SIZE_BYTES) + text


_FORMAT: Final = MemoryFormat()
_FORMAT_WITH_POSITIONS: Final = MemoryFormat(writes_positions=True)


class MemoryOutbox(Outbox):
    """An outbox whose client reads at once.

    :param limit: bytes that may wait.
    :param backpressure: counts what waits.
    :param on_text: gets each message.
    """

    __slots__ = ("_on_text",)

    def __init__(
        self, limit: int, backpressure: Backpressure, on_text: Callable[[bytes], None]
    ) -> None:
        super().__init__(limit, backpressure, _FORMAT)
        self._on_text = on_text

    def flush(self) -> None:
        """Hand over what is queued."""
        data = b"".join(self.chunks)
        self.chunks.clear()
        self.queued = 0
        position = 0
        while position < len(data):
            begin = position + _SIZE_BYTES
            position = begin + int.from_bytes(data[position:begin])
            self._on_text(data[begin:position])

    def overflow(self) -> None:
        """End a client that is too slow, which none of these is."""
        self.close()


class MemoryPeer:
    """The connection of a client, as the broker sees it.

    :param address: of the client.
    :param is_local: whether the client is on this machine.
    :param on_end: called once the server has ended the connection.
    """

    def __init__(self, address: str, is_local: bool, on_end: Callable[[], object]) -> None:
        self.address: Final = address
        #: No limits by address.
        self.address_name: Final = None
        self.is_local: Final = is_local
        #: Why the server has ended the connection; None while it has not.
        self.ended: CloseReason | None = None
        #: What the client has been sent about that.
        self.detail = ""
        self._on_end = on_end
        self.answers_pings: Final = False
        self.visitor: Final = None

    def accept_identity(self, identity: Identity) -> bool:  # noqa: ARG002 - of the protocol
        """Take every identity while the connection is open."""
        return self.ended is None

    def on_gap(self, topic: str) -> None:
        """Do nothing: the client sees the gap by positions, if it sees them."""

    def end(self, reason: CloseReason, detail: str = "") -> None:
        """End the connection."""
        if self.ended is None:
            self.ended, self.detail = reason, detail
            self._on_end()
