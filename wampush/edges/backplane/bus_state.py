"""The states of the bus over Redis.

Owns: the states and the table of legal moves. Pure.
Must not import: Twisted, the broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from types import MappingProxyType
from typing import Final


@unique
class BusState(Enum):
    """How far the bus is."""

    #: Not started.
    NEW = "new"
    #: A link is being made.
    CONNECTING = "connecting"
    #: There is a link, and not everything is followed yet.
    FOLLOWING = "following"
    #: Messages go both ways.
    JOINED = "joined"
    #: The next attempt is scheduled.
    WAITING = "waiting"
    #: The process ends.
    STOPPED = "stopped"


MOVES: Final[Mapping[BusState, frozenset[BusState]]] = MappingProxyType(
    {
        BusState.NEW: frozenset({BusState.CONNECTING, BusState.STOPPED}),
        BusState.CONNECTING: frozenset({BusState.FOLLOWING, BusState.WAITING, BusState.STOPPED}),
        BusState.FOLLOWING: frozenset({BusState.JOINED, BusState.WAITING, BusState.STOPPED}),
        BusState.JOINED: frozenset({BusState.WAITING, BusState.STOPPED}),
        BusState.WAITING: frozenset({BusState.CONNECTING, BusState.STOPPED}),
        BusState.STOPPED: frozenset(),
    }
)
"""The legal moves of the bus."""
