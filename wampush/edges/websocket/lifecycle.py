"""The states of a WebSocket connection and the moves between them.

Owns: the states, the events, and the table of legal moves. Pure.
Must not import: Twisted, Autobahn, the broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from types import MappingProxyType
from typing import Final, Protocol

from wampush.state_machine import state_after


@unique
class State(Enum):
    """How far a connection is."""

    #: The socket is accepted; the handshake is not answered.
    CONNECTING = "connecting"
    #: The handshake is answered; messages go both ways.
    OPEN = "open"
    #: An ordinary request is answered, and the response goes on; only the server sends.
    STREAMING = "streaming"
    #: The end is decided and counted, and nothing is queued any more. What was queued is being
    #: sent; what the client sends is discarded.
    ENDING = "ending"
    #: Everything is sent. What the client sends is discarded until it has answered our Close frame,
    #: if we have sent one, and has closed its side of the socket, as we have ours.
    LINGERING = "lingering"
    #: The socket is aborted; what was queued is freed.
    DROPPED = "dropped"
    #: The socket is gone.
    CLOSED = "closed"
    #: Another process has the socket.
    MOVED = "moved"

    # Enum's own is written in Python, and every connect looks up several members.
    __hash__ = object.__hash__


@unique
class Event(Enum):
    """What moves a connection from one state to another."""

    #: The handshake is answered with status 101.
    OPENED = "opened"
    #: An ordinary request is answered with the begin of a response.
    STREAMED = "streamed"
    #: The client or the server ends the connection once everything queued is sent.
    ENDED = "ended"
    #: Everything queued before the end is sent.
    SENT = "sent"
    #: A limit or a defect ends the connection at once.
    DROPPED = "dropped"
    #: The reactor reports that the socket is gone.
    LOST = "lost"
    #: Another process goes on with the connection.
    MOVED = "moved"

    __hash__ = object.__hash__


class Stage(Protocol):
    """A part of a connection's life in which what the client sends is not read as messages."""

    def receive(self, data: bytes) -> None:
        """Take bytes of the client."""

    def cancel(self) -> None:
        """Stop: the next part has begun."""


MOVES: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (State.CONNECTING, Event.OPENED): State.OPEN,
        (State.CONNECTING, Event.STREAMED): State.STREAMING,
        (State.CONNECTING, Event.ENDED): State.ENDING,
        (State.CONNECTING, Event.DROPPED): State.DROPPED,
        (State.CONNECTING, Event.LOST): State.CLOSED,
        (State.CONNECTING, Event.MOVED): State.MOVED,
        (State.OPEN, Event.ENDED): State.ENDING,
        (State.OPEN, Event.DROPPED): State.DROPPED,
        (State.OPEN, Event.LOST): State.CLOSED,
        (State.OPEN, Event.MOVED): State.MOVED,
        (State.STREAMING, Event.ENDED): State.ENDING,
        (State.STREAMING, Event.DROPPED): State.DROPPED,
        (State.STREAMING, Event.LOST): State.CLOSED,
        (State.ENDING, Event.SENT): State.LINGERING,
        (State.ENDING, Event.DROPPED): State.DROPPED,
        (State.ENDING, Event.LOST): State.CLOSED,
        (State.LINGERING, Event.DROPPED): State.DROPPED,
        (State.LINGERING, Event.LOST): State.CLOSED,
        (State.DROPPED, Event.LOST): State.CLOSED,
    }
)
"""The legal moves; any other event in a state is a defect there."""


def moved(state: State, event: Event) -> State:
    """Return the state after an event.

    :raises IllegalEvent: when the table has no such move.
    """
    # Every connect moves here; a legal move needs no further call.
    after = MOVES.get((state, event))
    return state_after(MOVES, state, event) if after is None else after
