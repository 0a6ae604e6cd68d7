"""State machines: an enumeration of states and a table of the moves that are legal.

Owns: checking a move against its table. Pure.
Must not import: anything of wampush but ``errors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from wampush.errors import Defect

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


class IllegalMove(Defect):
    """A state change that the table does not allow.

    :param before: the state before.
    :param after: the state that was asked for.
    """

    def __init__(self, before: Enum, after: Enum) -> None:
        self.before = before
        self.after = after
        super().__init__(f"{type(before).__name__}: no move from {before.name} to {after.name}")


def moved(moves: Mapping[S, frozenset[S]], before: S, after: S) -> S:
    """Return the state after a move.

    :param moves: the states that may follow each state.
    :raises IllegalMove: when the table does not allow the move.
    """
    if after not in moves[before]:
        raise IllegalMove(before, after)
    return after


class IllegalEvent(Defect):
    """An event that the table does not allow in a state.

    :param state: the state.
    :param event: the event that came.
    """

    def __init__(self, state: Enum, event: Enum) -> None:
        self.state = state
        self.event = event
        super().__init__(f"{type(state).__name__}: no event {event.name} in {state.name}")


def state_after(moves: Mapping[tuple[S, E], S], state: S, event: E) -> S:
    """Return the state after an event, for machines whose events lead to different states.

    :param moves: the state that follows, for each event that may come in a state.
    :raises IllegalEvent: when the table does not allow the event.
    """
    try:
        return moves[state, event]
    except KeyError:
        raise IllegalEvent(state, event) from None
