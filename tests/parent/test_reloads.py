"""Reloads that need no new node, and those that do."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import Mock

from tests.parent.node_processes import fake_node
from wampush.control_channel import Message
from wampush.parent.log import Log
from wampush.parent.reloads import Reloads
from wampush.parent.replacement import Answer
from wampush.parent.surroundings import Surroundings


def calls(watching: Mock) -> list[str]:
    return [call[0] for call in watching.method_calls]


class World:
    """Reloads, and what becomes of them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.replaced: list[tuple[Sequence[int], Answer]] = []
        self.answers: list[tuple[bool, str]] = []
        self.watching = Mock(Surroundings)
        log = Log(lambda line, _: self.lines.append(line))
        self.reloads = Reloads(
            log, self.watching, lambda workers, answer: self.replaced.append((workers, answer))
        )

    def answer(self, is_done: bool, text: str) -> None:
        self.answers.append((is_done, text))


def test_the_answer_of_the_node_decides() -> None:
    world = World()
    outcomes: list[bool] = []
    with fake_node() as node:
        for fields in ({"problem": "wrong"}, {}, {"changed": "log.level"}):
            world.reloads.ask([node], world.answer)
            world.reloads.ask([node], None)
            assert [each.kind for each in node.heard()] == ["reload", "reload"]
            known = len(world.answers) + len(world.replaced)
            world.reloads.on_reloaded(node, Message("reloaded", {"problem": "an older answer"}))
            assert len(world.answers) + len(world.replaced) == known
            world.reloads.on_reloaded(node, Message("reloaded", fields))
            outcomes += [each.fields["is_done"] for each in node.heard()]
        world.reloads.on_reloaded(node, Message("reloaded", {"problem": "nobody has asked"}))
    assert world.answers == [
        (False, "wrong"),
        (True, "keys and certificates were read again; no setting has changed"),
    ]
    # What becomes of the third, its new node counts.
    assert outcomes == [False, True]
    assert "log.level changed, so a new node starts" in world.lines[-1]
    assert calls(world.watching) == ["on_reloading", "on_reloading", "on_reloaded"] * 3
    ((workers, answer),) = world.replaced
    assert workers == [1]
    answer(True, "it serves")
    assert world.answers[-1] == (True, "it serves")


def test_only_workers_with_other_settings_are_replaced() -> None:
    world = World()
    with (
        fake_node(11, worker=1) as one,
        fake_node(12, worker=2) as two,
        fake_node(13, worker=3) as three,
    ):
        world.reloads.ask([one, two, three], world.answer)
        world.reloads.on_reloaded(two, Message("reloaded", {"changed": "log.level"}))
        world.reloads.on_reloaded(three, Message("reloaded", {"changed": "log.level"}))
        assert world.replaced == []
        world.reloads.on_reloaded(one, Message("reloaded", {}))
        assert [workers for workers, _ in world.replaced] == [[2, 3]]
        assert "log.level changed, so new nodes start, one by one" in world.lines[-1]
        assert [each.kind for each in one.heard()] == ["reload", "outcome"]
        assert [each.kind for each in two.heard()] == ["reload"]


def test_a_mistake_that_one_worker_finds_changes_nothing() -> None:
    world = World()
    with fake_node(11, worker=1) as one, fake_node(12, worker=2) as two:
        world.reloads.ask([one, two], world.answer)
        world.reloads.on_reloaded(one, Message("reloaded", {"changed": "log.level"}))
        world.reloads.on_reloaded(two, Message("reloaded", {"problem": "log.level is wrong"}))
        for node in (one, two):
            (_, outcome) = node.heard()
            assert outcome.fields["is_done"] is False
    assert world.answers == [(False, "log.level is wrong")]
    assert world.replaced == []


def test_a_node_that_does_not_answer() -> None:
    world = World()
    with fake_node(pid=7) as node, fake_node(pid=8) as other:
        world.reloads.give_up(node, "nobody has asked")
        assert (world.lines, calls(world.watching)) == ([], [])
        world.reloads.ask([node, other], world.answer)
        world.reloads.give_up(node, "it has ended")
        world.reloads.on_reloaded(other, Message("reloaded", {"changed": "log.level"}))
        node.theirs.close()
        world.reloads.ask([node], world.answer)
    expected = "process 7 cannot be reached; it is ending, or it hangs"
    assert world.answers == [(False, "it has ended"), (False, expected)]
    too_late = "process 8 has found that log.level changed; wampush reload applies it"
    assert too_late in world.lines[1]
    assert world.lines[2].endswith(f"reload failed: {expected}\n")
    assert calls(world.watching) == ["on_reloading", "on_reloaded"] * 2
    assert world.replaced == []
