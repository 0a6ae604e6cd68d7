"""Reloads that need no new node, and those that do."""

from __future__ import annotations

from unittest.mock import Mock

from tests.parent.node_processes import fake_node
from wampush.control_channel import Message
from wampush.parent.log import Log
from wampush.parent.reloads import Reloads
from wampush.parent.replacement import Answer
from wampush.parent.surroundings import Surroundings


def calls(watching: Mock) -> list[str]:
    return [call[0] for call in watching.method_calls]


def test_the_answer_of_the_node_decides() -> None:
    lines: list[str] = []
    replaced: list[Answer] = []
    answers: list[tuple[bool, str]] = []
    outcomes: list[bool] = []
    watching = Mock(Surroundings)
    log = Log(lambda line, _: lines.append(line))
    reloads = Reloads(log, watching, replaced.append)
    with fake_node() as node:
        for fields in ({"problem": "wrong"}, {}, {"changed": "log.level"}):
            reloads.ask(node, lambda *answer: answers.append(answer))
            reloads.ask(node, None)
            assert [each.kind for each in node.heard()] == ["reload", "reload"]
            reloads.on_reloaded(node, Message("reloaded", fields))
            outcomes += [each.fields["is_done"] for each in node.heard()]
    assert answers == [
        (False, "wrong"),
        (True, "keys and certificates were read again; no setting has changed"),
    ]
    # What becomes of the third, its new node counts.
    assert outcomes == [False, True]
    assert "log.level changed, so a new node starts" in lines[-1]
    assert calls(watching) == ["on_reloading", "on_reloading", "on_reloaded"] * 3
    replaced[0](True, "it serves")
    assert answers[-1] == (True, "it serves")


def test_a_node_that_does_not_answer() -> None:
    answers: list[tuple[bool, str]] = []
    lines: list[str] = []
    watching = Mock(Surroundings)
    log = Log(lambda line, _: lines.append(line))
    reloads = Reloads(log, watching, lambda _: None)
    reloads.give_up("nobody has asked")
    assert (lines, calls(watching)) == ([], [])
    with fake_node(pid=7) as node:
        reloads.ask(node, lambda *answer: answers.append(answer))
        reloads.give_up("it has ended")
        node.theirs.close()
        reloads.ask(node, lambda *answer: answers.append(answer))
    expected = "process 7 cannot be reached; it is ending, or it hangs"
    assert answers == [(False, "it has ended"), (False, expected)]
    assert lines[1].endswith(f"reload failed: {expected}\n")
    assert calls(watching) == ["on_reloading", "on_reloaded"] * 2
