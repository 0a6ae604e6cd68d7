"""The phases of the old node in a hand-over.

Owns: the phases and the table of legal moves. Pure.
Must not import: Twisted, anything else of wampush.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from types import MappingProxyType
from typing import Final


@unique
class Phase(Enum):
    """How far the old node is."""

    NEW = "new"
    HISTORIES = "histories"
    SESSIONS = "sessions"
    #: Everything is sent; the other node has not confirmed it.
    ENDING = "ending"
    #: The other node publishes; what comes here is forwarded.
    FORWARDING = "forwarding"
    BROKEN = "broken"
    CLOSED = "closed"


MOVES: Final[Mapping[Phase, frozenset[Phase]]] = MappingProxyType(
    {
        Phase.NEW: frozenset({Phase.HISTORIES}),
        Phase.HISTORIES: frozenset({Phase.SESSIONS, Phase.BROKEN}),
        Phase.SESSIONS: frozenset({Phase.ENDING, Phase.BROKEN}),
        Phase.ENDING: frozenset({Phase.FORWARDING, Phase.BROKEN}),
        Phase.FORWARDING: frozenset({Phase.CLOSED}),
        Phase.BROKEN: frozenset(),
        Phase.CLOSED: frozenset(),
    }
)
"""The legal moves of the old node."""
