"""Reloads that need no new node, and those that do."""

from __future__ import annotations

from tests.parent.node_processes import fake_node
from wampush.control_channel import Message
from wampush.parent.log import Log
from wampush.parent.reloads import Reloads
from wampush.parent.replacement import Answer


def test_the_answer_of_the_node_decides() -> None:
    lines: list[str] = []
    replaced: list[Answer] = []
    answers: list[tuple[bool, str]] = []
    reloads = Reloads(Log(lambda line, _: lines.append(line)), replaced.append)
    with fake_node() as node:
        for fields in ({"problem": "wrong"}, {}, {"changed": "log.level"}):
            reloads.ask(node, lambda *answer: answers.append(answer))
            reloads.ask(node, None)
            assert [each.kind for each in node.heard()] == ["reload", "reload"]
            reloads.on_reloaded(Message("reloaded", fields))
    assert answers == [
        (False, "wrong"),
        (True, "keys and certificates were read again; no setting has changed"),
    ]
    assert "log.level changed, so a new node starts" in lines[-1]
    replaced[0](True, "it serves")
    assert answers[-1] == (True, "it serves")
