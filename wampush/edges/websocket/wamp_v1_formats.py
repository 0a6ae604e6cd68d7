"""The formats of WAMP v1 over WebSocket: plain, and one for each agreed compression.

Owns: the frames of events and replies, and the formats that clients share.
Must not import: Twisted, Autobahn.
"""

from __future__ import annotations

from functools import cache
from typing import Final, Protocol

from wampush.broker.delivery.format import Format, PositionOf
from wampush.broker.publication import Position
from wampush.edges.websocket import framing
from wampush.edges.websocket.framing import Deflate
from wampush.wamp.codec import EVENT_TAIL, event_head, event_tail


class WebSocketFormat(Format, Protocol):
    """A format whose frames are WebSocket messages."""

    def binary(self, data: bytes) -> bytes:
        """Return the frame of a binary message."""


class Framing(Protocol):
    """How messages become frames."""

    def text_frame(self, head: bytes, body: bytes = b"", tail: bytes = b"") -> bytes:
        """Return the frame of a text message, which is head, body and tail together."""

    def binary_frame(self, data: bytes) -> bytes:
        """Return the frame of a binary message."""


class WampV1Format:
    """WAMP v1 as the specification has it.

    :param frames: plain or compressed; clients must share the formats of this module, so that
        only this module makes them.
    """

    __slots__ = ("_frames", "with_positions")

    is_shared: Final = True
    shows_gaps: Final = False

    def __init__(self, frames: Framing) -> None:
        self._frames = frames
        #: The format of sessions that have asked for positions.
        self.with_positions: Final = PositionFormat(frames)

    def for_catching_up(self, topic: str, position: Position) -> WampV1Format:
        """Return this format: events of several topics can be in any order."""
        return self

    def caught_up(self, position_of: PositionOf) -> WampV1Format:
        """Return this format."""
        return self

    def event(self, topic: str, payload: bytes, position: Position | None) -> bytes:
        """Return the frame of an EVENT, which has no place for a position."""
        return self._frames.text_frame(event_head(topic), payload, EVENT_TAIL)

    def reply(self, text: bytes) -> bytes:
        """Return the frame of a reply.

        :param text: UTF-8.
        """
        return self._frames.text_frame(text)

    def binary(self, data: bytes) -> bytes:
        """Return the frame of a binary message."""
        return self._frames.binary_frame(data)


class PositionFormat:
    """WAMP v1 with the offset as fourth element of EVENT.

    :param frames: as for :class:`WampV1Format`.
    """

    __slots__ = ("_frames",)

    is_shared: Final = True
    shows_gaps: Final = True

    def __init__(self, frames: Framing) -> None:
        self._frames = frames

    @property
    def with_positions(self) -> PositionFormat:
        """This format."""
        return self

    def for_catching_up(self, topic: str, position: Position) -> PositionFormat:
        """Return this format: events of several topics can be in any order."""
        return self

    def caught_up(self, position_of: PositionOf) -> PositionFormat:
        """Return this format."""
        return self

    def event(self, topic: str, payload: bytes, position: Position | None) -> bytes:
        """Return the frame of an EVENT; without history, it is that of the specification."""
        tail = EVENT_TAIL if position is None else event_tail(position.offset)
        return self._frames.text_frame(event_head(topic), payload, tail)

    def reply(self, text: bytes) -> bytes:
        """Return the frame of a reply.

        :param text: UTF-8.
        """
        return self._frames.text_frame(text)

    def binary(self, data: bytes) -> bytes:
        """Return the frame of a binary message."""
        return self._frames.binary_frame(data)


PLAIN: Final = WampV1Format(framing)


@cache
def deflated(window_bits: int, min_bytes: int) -> WampV1Format:
    """Return the one format of all clients that have agreed on these parameters.

    :param window_bits: base-2 logarithm of the server's window size, 9 to 15.
    :param min_bytes: messages shorter than this are sent uncompressed.
    """
    return WampV1Format(Deflate(window_bits, min_bytes))
