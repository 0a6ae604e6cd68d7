"""The phases of the old node in a hand-over."""

from __future__ import annotations

import pytest

from wampush.node.handover.phases import MOVES, Phase
from wampush.state_machine import IllegalMove, moved


def test_a_hand_over_goes_through_all_phases() -> None:
    assert MOVES.keys() == set(Phase)
    phase = Phase.NEW
    for following in (Phase.HISTORIES, Phase.SESSIONS, Phase.ENDING, Phase.FORWARDING):
        phase = moved(MOVES, phase, following)
    assert moved(MOVES, phase, Phase.CLOSED) is Phase.CLOSED


@pytest.mark.parametrize("phase", [Phase.HISTORIES, Phase.SESSIONS, Phase.ENDING])
def test_it_breaks_until_the_new_node_has_everything(phase: Phase) -> None:
    assert moved(MOVES, phase, Phase.BROKEN) is Phase.BROKEN
    with pytest.raises(IllegalMove):
        moved(MOVES, Phase.FORWARDING, Phase.BROKEN)
    assert not MOVES[Phase.BROKEN]
