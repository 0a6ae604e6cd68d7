"""Whether a node serves, drains or stops."""

from __future__ import annotations

import pytest

from wampush.node.monitoring.serving import Serving, ServingState
from wampush.state_machine import IllegalMove


def test_a_node_that_drains_can_serve_again_or_stop() -> None:
    serving = Serving()
    states = [serving.state]
    for move in (serving.drain, serving.resume, serving.drain, serving.stop):
        move()
        states.append(serving.state)
    assert [each.value for each in states] == [
        "serving",
        "draining",
        "serving",
        "draining",
        "stopping",
    ]


def test_the_end_is_final() -> None:
    serving = Serving()
    serving.stop()
    for move in (serving.drain, serving.resume, serving.stop):
        with pytest.raises(IllegalMove):
            move()
    assert serving.state is ServingState.STOPPING


def test_only_a_node_that_drains_takes_nothing_more() -> None:
    serving = Serving()
    assert serving.takes_more()
    serving.drain()
    assert not serving.takes_more()
    serving.stop()
    # Its listeners are closed; what is under way ends as usual.
    assert serving.takes_more()
