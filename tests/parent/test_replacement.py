"""The replacement of a node."""

from __future__ import annotations

from tests.parent.node_processes import fake_node
from wampush.parent.nodes.node_process import NodeState
from wampush.parent.replacement import UPGRADE, Replacement


def test_everybody_who_asked_gets_one_answer() -> None:
    answers: list[tuple[bool, str]] = []
    with fake_node() as node:
        replacement = Replacement(UPGRADE, node, 0.0)
        replacement.answers.append(lambda *answer: answers.append(answer))
        replacement.answer(True, "done")
        replacement.answer(False, "again")
    assert answers == [(True, "done")]


def test_the_node_that_serves_counts_the_outcome() -> None:
    with fake_node() as node, fake_node(2) as serving:
        Replacement(UPGRADE, node, 0.0).answer(False, "it does not start", serving)
        (message,) = serving.heard()
        assert (message.kind, message.text("of")) == ("outcome", "upgrade")
        assert message.fields["is_done"] is False
        assert node.heard() == []


def test_sessions_move_between_nodes_with_the_same_records() -> None:
    with fake_node(1) as old, fake_node(2) as new:
        replacement = Replacement(UPGRADE, new, 0.0)
        assert not replacement.can_move_from(None)
        old.move(NodeState.READY)
        old.move(NodeState.SERVING)
        assert not replacement.can_move_from(old)
        old.hand_over_version = new.hand_over_version = 1
        assert replacement.can_move_from(old)
        replacement.move_from(old)
        assert replacement.old is old
        for node, kind in ((old, "hand_over"), (new, "take_over")):
            (message,) = node.heard()
            assert message.kind == kind
            message.close_descriptors()
