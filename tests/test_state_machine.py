"""A move is legal when its table has it."""

from __future__ import annotations

from enum import Enum
from typing import Final

import pytest

from wampush.state_machine import IllegalEvent, IllegalMove, moved, state_after


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


class Push(Enum):
    HARD = "hard"
    SOFT = "soft"


AFTER: Final = {
    (Door.OPEN, Push.SOFT): Door.SHUT,
    (Door.OPEN, Push.HARD): Door.GONE,
    (Door.SHUT, Push.HARD): Door.OPEN,
}


def test_an_event_leads_to_the_state_of_its_row() -> None:
    assert state_after(AFTER, Door.OPEN, Push.SOFT) is Door.SHUT
    assert state_after(AFTER, Door.OPEN, Push.HARD) is Door.GONE


@pytest.mark.parametrize(("state", "event"), [(Door.SHUT, Push.SOFT), (Door.GONE, Push.HARD)])
def test_any_other_event_is_an_error_that_names_both(state: Door, event: Push) -> None:
    with pytest.raises(IllegalEvent, match=f"no event {event.name} in {state.name}") as caught:
        state_after(AFTER, state, event)
    assert (caught.value.state, caught.value.event) == (state, event)
