"""The formats of WAMP v1 over WebSocket: plain, and one for each agreed compression.

Owns: the frames of events and replies, and the formats that clients share.
Must not import: Twisted, Autobahn.
"""

from __future__ import annotations

from functools import cache
from typing import Final, Protocol

from wampush.broker.delivery.format import Format
from wampush.broker.publication import Position
from wampush.edges.websocket.framing import Deflate, binary_frame, text_frame, text_header
from wampush.wamp.codec import EVENT_TAIL, event_head, event_text


class WebSocketFormat(Format, Protocol):
    """A format whose frames are WebSocket messages."""

    def binary(self, data: bytes) -> bytes:
        """Return the frame of a binary message."""


class PlainFormat:
    """WAMP v1 in uncompressed frames."""

    __slots__ = ()

    def event(self, topic: str, payload: bytes, position: Position | None) -> bytes:
        """Return the frame of an EVENT, which has no place for a position."""
        # Joined once, because each step from payload to text to frame would copy the payload.
        head = event_head(topic)
        size = len(head) + len(payload) + len(EVENT_TAIL)
        return b"".join((text_header(size), head, payload, EVENT_TAIL))

    def reply(self, text: bytes) -> bytes:
        """Return the frame of a reply.

        :param text: UTF-8.
        """
        return text_frame(text)

    def binary(self, data: bytes) -> bytes:
        """Return the frame of a binary message."""
        return binary_frame(data)


class DeflatedFormat:
    """WAMP v1 in frames compressed by permessage-deflate; made by :func:`deflated` only.

    :param deflate: the parameters of the server's direction.
    """

    __slots__ = ("_deflate",)

    def __init__(self, deflate: Deflate) -> None:
        self._deflate = deflate

    def event(self, topic: str, payload: bytes, position: Position | None) -> bytes:
        """Return the frame of an EVENT, which has no place for a position."""
        return self._deflate.text_frame(event_text(topic, payload))

    def reply(self, text: bytes) -> bytes:
        """Return the frame of a reply.

        :param text: UTF-8.
        """
        return self._deflate.text_frame(text)

    def binary(self, data: bytes) -> bytes:
        """Return the frame of a binary message."""
        return self._deflate.binary_frame(data)


PLAIN: Final = PlainFormat()


@cache
def deflated(window_bits: int, min_bytes: int) -> DeflatedFormat:
    """Return the one format of all clients that have agreed on these parameters.

    :param window_bits: base-2 logarithm of the server's window size, 9 to 15.
    :param min_bytes: messages shorter than this are sent uncompressed.
    """
    return DeflatedFormat(Deflate(window_bits, min_bytes))
