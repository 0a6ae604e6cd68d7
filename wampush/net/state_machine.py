"""State machines: an enumeration and a table of the moves that are legal.

Owns: checking a move against its table. Pure.
Must not import: anything of wampush but ``errors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from wampush.errors import Defect

S = TypeVar("S", bound=Enum)


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
