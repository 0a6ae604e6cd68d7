"""The formats in which frames are written, one for all clients of a kind.

Owns: the protocol between fan-out and the edges. Must not import: Twisted, the edges, ``wamp``.
"""

from __future__ import annotations

from typing import Protocol

from wampush.broker.publication import Position


class Format(Protocol):
    """The wire format of one kind of client: protocol, framing and compression.

    Clients that get the same bytes must share one object: it is compared by identity, and a frame
    is made once for each object.
    """

    @property
    def with_positions(self) -> Format:
        """The format that differs by the positions of events; itself where it writes them."""

    @property
    def any_order(self) -> bool:
        """Whether events may be written later than others that were published after them."""

    def event(self, topic: str, payload: bytes, position: Position | None) -> bytes:
        """Return the frame of an event.

        :param topic: the resolved URI.
        :param payload: valid JSON text, to be written as it is.
        :param position: of the event in its topic; None for a topic without history. Formats
            without a place for it leave it out.
        """

    def reply(self, text: bytes) -> bytes:
        """Return the frame of a message to a single client.

        :param text: the message as the client's session has written it.
        """
