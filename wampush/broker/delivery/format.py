"""The formats in which frames are written, one for all clients of a kind.

Owns: the protocol between fan-out and the edges. Must not import: Twisted, the edges, ``wamp``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from wampush.broker.publication import Position

PositionOf = Callable[[str], Position | None]
"""Returns the position of the newest event of a topic; None for a topic without history."""


class Format(Protocol):
    """The wire format of one kind of client: protocol, framing and compression.

    Clients that get the same bytes must share one object: it is compared by identity, and a frame
    is made once for each object.
    """

    @property
    def with_positions(self) -> Format:
        """The format that differs by the positions of events; itself where it writes them."""

    @property
    def is_shared(self) -> bool:
        """Whether other clients may have it, too."""

    @property
    def shows_gaps(self) -> bool:
        """Whether a client notices by the next event that earlier ones are missing."""

    def for_catching_up(self, topic: str, position: Position) -> Format:
        """Return the format of a client that gets events of a topic later than others.

        :param topic: whose events it gets later.
        :param position: of the newest event that it has been sent;
            :data:`.catch_up.FOR_NEWCOMERS` if there is none.
        """

    def caught_up(self, position_of: PositionOf) -> Format:
        """Return the format of a client that has been sent everything that others have."""

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
