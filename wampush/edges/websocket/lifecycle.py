"""The states of a WebSocket connection and the moves between them.

Owns: the states, the events, and the table of legal moves. Pure.
Must not import: Twisted, Autobahn, the broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from types import MappingProxyType
from typing import Final

from wampush.state_machine import state_after


@unique
class State(Enum):
    """How far a connection is."""

    #: The socket is accepted; the handshake is not answered.
    CONNECTING = "connecting"
    #: The handshake is answered; messages go both ways.
    OPEN = "open"
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

    # Enum's own is written in Python, and every connect looks up several members.
    __hash__ = object.__hash__


@unique
class Event(Enum):
    """What moves a connection from one state to another."""

    #: The handshake is answered with status 101.
    OPENED = "opened"
    #: The client or the server ends the connection once everything queued is sent.
    ENDED = "ended"
    #: Everything queued before the end is sent.
    SENT = "sent"
    #: A limit or a defect ends the connection at once.
    DROPPED = "dropped"
    #: The reactor reports that the socket is gone.
    LOST = "lost"

    __hash__ = object.__hash__


MOVES: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (State.CONNECTING, Event.OPENED): State.OPEN,
        (State.CONNECTING, Event.ENDED): State.ENDING,
        (State.CONNECTING, Event.DROPPED): State.DROPPED,
        (State.CONNECTING, Event.LOST): State.CLOSED,
        (State.OPEN, Event.ENDED): State.ENDING,
        (State.OPEN, Event.DROPPED): State.DROPPED,
        (State.OPEN, Event.LOST): State.CLOSED,
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
    return state_after(MOVES, state, event)
