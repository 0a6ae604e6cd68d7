"""How long the parent waits for a node."""

from __future__ import annotations

import signal

import pytest

from tests.parent.node_processes import fake_node
from wampush.parent.log import Log
from wampush.parent.nodes.limits import Limits
from wampush.parent.nodes.node_process import NodeState
from wampush.parent.patience import (
    END_SECONDS,
    LAST_WORDS_SECONDS,
    LOOK_SECONDS,
    PAUSE_SECONDS,
    Patience,
)


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def patience(lines: list[str]) -> Patience:
    return Patience(Limits(ready=60, hang=15, drain=10), Log(lambda line, _: lines.append(line)))


def test_a_start_that_takes_too_long_is_ended(patience: Patience) -> None:
    with fake_node() as node:
        patience.expect_ready(node, 100.0)
        patience.check(node, 159.9)
        assert node.signals == []
        patience.check(node, 160.0)
        assert (node.signals, node.fault) == ([signal.SIGQUIT], "it was not ready within 60 s")
        patience.check(node, 160.0 + LAST_WORDS_SECONDS)
        assert node.signals == [signal.SIGQUIT, signal.SIGKILL]


def test_a_node_that_waits_for_another_one_has_more_time(patience: Patience) -> None:
    with fake_node() as node:
        patience.expect_ready(node, 0.0, behind_another=True)
        assert node.deadline == 70.0 + END_SECONDS


def test_a_node_without_signs_of_life_is_ended(patience: Patience, lines: list[str]) -> None:
    with fake_node(pid=7) as node:
        node.move(NodeState.READY)
        node.move(NodeState.SERVING)
        patience.watch_for_hangs(node)
        node.last_sign = 10.0
        patience.check(node, 15.0)
        assert node.deadline == 25.0
        patience.check(node, 25.0)
        assert node.signals == [signal.SIGQUIT]
        assert "process 7 hangs: it gave no sign of life for 15 s" in lines[0]


@pytest.mark.parametrize("pause", [14.9, 17.5, 3600.0])
def test_time_in_which_the_machine_slept_does_not_count(patience: Patience, pause: float) -> None:
    with fake_node() as serving, fake_node() as starting:
        serving.move(NodeState.READY)
        serving.move(NodeState.SERVING)
        patience.watch_for_hangs(serving)
        patience.expect_ready(starting, 0.0)
        nodes = [serving, starting]
        assert patience.next_look(0.0) == LOOK_SECONDS
        patience.look(nodes, LOOK_SECONDS)
        assert patience.next_look(0.0) == 2 * LOOK_SECONDS
        now = LOOK_SECONDS + pause
        patience.look(nodes, now)
        patience.look(nodes, now + 1.0)
        assert (serving.signals, starting.signals) == ([], [])
        assert starting.deadline == 60.0 + pause - LOOK_SECONDS


def test_a_look_that_is_a_little_late_is_no_sleep(patience: Patience) -> None:
    with fake_node() as node:
        patience.expect_ready(node, 0.0)
        patience.look([node], 0.0)
        patience.look([node], LOOK_SECONDS + PAUSE_SECONDS)
        assert node.deadline == 60.0


def test_hangs_may_be_allowed(lines: list[str]) -> None:
    patience = Patience(Limits(1, 0, 1), Log(lambda line, _: lines.append(line)))
    with fake_node() as node:
        node.move(NodeState.READY)
        node.move(NodeState.SERVING)
        patience.watch_for_hangs(node)
        patience.check(node, 1e9)
        assert node.signals == []


def test_the_end_is_asked_for_once_and_enforced(patience: Patience, lines: list[str]) -> None:
    with fake_node(pid=7) as node:
        patience.ask_to_end(node, 0.0)
        patience.ask_to_end(node, 5.0)
        assert (node.signals, node.deadline) == ([signal.SIGTERM], 10 + END_SECONDS)
        patience.hurry(node, 6.0)
        assert (node.signals, node.deadline) == ([signal.SIGTERM] * 2, 6 + END_SECONDS)
        patience.check(node, 6 + END_SECONDS)
        assert node.signals[2:] == [signal.SIGKILL]
        assert "process 7 has not ended; killing it" in lines[0]


def test_a_hurry_ends_nodes_that_were_not_asked(patience: Patience) -> None:
    with fake_node() as node:
        patience.hurry(node, 0.0)
        assert (node.state, node.signals) == (NodeState.LEAVING, [signal.SIGTERM])


def test_a_node_has_the_limits_of_its_own_configuration(patience: Patience) -> None:
    with fake_node() as old, fake_node() as new:
        patience.expect_ready(new, 0.0)
        patience.apply(new, {"ready": 300, "hang": 100, "drain": 50})
        assert new.deadline == 300.0
        patience.check(new, 299.0)
        assert new.signals == []
        new.move(NodeState.READY)
        new.move(NodeState.SERVING)
        patience.ask_to_end(old, 0.0)
        assert old.deadline == 10.0 + END_SECONDS, "the old one goes by its own"
        patience.watch_for_hangs(new)
        assert new.deadline == 100.0
        patience.check(new, 99.0)
        patience.ask_to_end(new, 100.0)
        assert new.deadline == 150.0 + END_SECONDS
    with fake_node() as later:
        patience.expect_ready(later, 0.0)
        assert later.deadline == 300.0


def test_a_node_that_has_handed_over_ends_when_everything_does(patience: Patience) -> None:
    with fake_node() as node:
        node.move(NodeState.READY)
        node.move(NodeState.SERVING)
        patience.expect_end(node, 0.0)
        assert (node.signals, node.deadline) == ([], 20.0 + END_SECONDS)
        patience.ask_to_end(node, 1.0)
        assert (node.signals, node.deadline) == ([signal.SIGTERM], 11.0 + END_SECONDS)
        patience.ask_to_end(node, 2.0)
        assert node.signals == [signal.SIGTERM]
