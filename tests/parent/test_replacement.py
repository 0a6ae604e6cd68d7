"""The replacement of a node."""

from __future__ import annotations

from tests.parent.node_processes import fake_node
from wampush.parent.replacement import UPGRADE, Replacement


def test_everybody_who_asked_gets_one_answer() -> None:
    answers: list[tuple[bool, str]] = []
    with fake_node() as node:
        replacement = Replacement(UPGRADE, node, 0.0)
        replacement.answers.append(lambda *answer: answers.append(answer))
        replacement.answer(True, "done")
        replacement.answer(False, "again")
    assert answers == [(True, "done")]
