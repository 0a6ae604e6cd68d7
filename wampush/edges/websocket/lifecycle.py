"""The states of a WebSocket connection and the moves between them.

Owns: the states, the events, and the table of legal moves. Pure.
Must not import: Twisted, Autobahn, the broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from types import MappingProxyType
from typing import Final

from wampush.errors import Defect


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


MOVES: Final[Mapping[State, Mapping[Event, State]]] = MappingProxyType(
    {
        State.CONNECTING: MappingProxyType(
            {
                Event.OPENED: State.OPEN,
                Event.ENDED: State.ENDING,
                Event.DROPPED: State.DROPPED,
                Event.LOST: State.CLOSED,
            }
        ),
        State.OPEN: MappingProxyType(
            {
                Event.ENDED: State.ENDING,
                Event.DROPPED: State.DROPPED,
                Event.LOST: State.CLOSED,
            }
        ),
        State.ENDING: MappingProxyType(
            {
                Event.SENT: State.LINGERING,
                Event.DROPPED: State.DROPPED,
                Event.LOST: State.CLOSED,
            }
        ),
        State.LINGERING: MappingProxyType({Event.DROPPED: State.DROPPED, Event.LOST: State.CLOSED}),
        State.DROPPED: MappingProxyType({Event.LOST: State.CLOSED}),
        State.CLOSED: MappingProxyType({}),
    }
)
"""The legal moves; an event that is missing in a state's row is a defect there."""


class IllegalEvent(Defect):
    """A defect of wampush: an event that cannot happen in this state.

    :param state: of the connection.
    :param event: that came.
    """

    def __init__(self, state: State, event: Event) -> None:
        self.state = state
        self.event = event
        super().__init__(f"a connection that is {state.value} cannot be {event.value}")


def moved(state: State, event: Event) -> State:
    """Return the state after an event.

    :raises IllegalEvent: when the table has no such move.
    """
    try:
        return MOVES[state][event]
    except KeyError:
        raise IllegalEvent(state, event) from None
