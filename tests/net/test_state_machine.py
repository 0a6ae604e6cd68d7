"""A move is legal when its table has it."""

from __future__ import annotations

from enum import Enum
from typing import Final

import pytest

from wampush.net.state_machine import IllegalMove, moved


class Door(Enum):
    OPEN = "open"
    SHUT = "shut"
    GONE = "gone"


MOVES: Final = {
    Door.OPEN: frozenset({Door.SHUT, Door.GONE}),
    Door.SHUT: frozenset({Door.OPEN}),
    Door.GONE: frozenset[Door](),
}


def test_a_legal_move_returns_the_new_state() -> None:
    assert moved(MOVES, Door.OPEN, Door.SHUT) is Door.SHUT
    assert moved(MOVES, Door.SHUT, Door.OPEN) is Door.OPEN


@pytest.mark.parametrize(
    ("before", "after"),
    [(Door.SHUT, Door.GONE), (Door.GONE, Door.OPEN), (Door.OPEN, Door.OPEN)],
)
def test_any_other_move_is_an_error_that_names_both(before: Door, after: Door) -> None:
    with pytest.raises(IllegalMove, match=f"no move from {before.name} to {after.name}") as caught:
        moved(MOVES, before, after)
    assert (caught.value.before, caught.value.after) == (before, after)
