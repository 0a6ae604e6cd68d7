"""The states of the bus over Redis."""

from __future__ import annotations

import pytest

from wampush.edges.backplane.bus_state import MOVES, BusState
from wampush.state_machine import IllegalMove, moved


def test_every_state_has_its_moves_and_stopping_is_always_possible() -> None:
    assert MOVES.keys() == set(BusState)
    for state in set(BusState) - {BusState.STOPPED}:
        assert moved(MOVES, state, BusState.STOPPED) is BusState.STOPPED
    assert not MOVES[BusState.STOPPED]


def test_a_link_that_was_never_open_joins_nobody() -> None:
    with pytest.raises(IllegalMove):
        moved(MOVES, BusState.CONNECTING, BusState.JOINED)
