"""Questions to all nodes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest

from tests.broker.nodes.node_world import Installation
from wampush.broker.nodes.node_payloads import refused
from wampush.broker.nodes.questions import ANSWER_BYTES, ANSWER_SECONDS, MOST_OPEN, NodeAnswers


def returning(value: object, _: Mapping[str, object]) -> object:
    """An answer that is always the same."""
    return value


@pytest.fixture
def world() -> Installation:
    world = Installation(3)
    for node in world.nodes:
        node.nodes.questions.answer_with("name", partial(returning, node.name))
    return world


def by_name(answers: NodeAnswers) -> Mapping[str, object]:
    """The answers by the names of the nodes."""
    return {answers.names[node]: value for node, value in answers.values.items()}


def test_all_others_answer(world: Installation) -> None:
    a, b, c = world.nodes
    found = a.ask("name")
    also = b.ask("name")
    assert found == []
    world.settle()
    assert [by_name(each) for each in found] == [{"b": "b", "c": "c"}]
    assert [by_name(each) for each in also] == [{"a": "a", "c": "c"}]
    assert found[0].unanswered == ()
    assert c.nodes.questions.incomplete == 0


def test_whoever_does_not_answer_is_named(world: Installation) -> None:
    a, b, c = world.nodes
    c.freeze()
    found = a.ask("name")
    world.wait(ANSWER_SECONDS - 0.01)
    assert found == []
    world.wait(0.02)
    assert by_name(found[0]) == {"b": "b"}
    assert found[0].unanswered == ("c",)
    assert a.nodes.questions.incomplete == 1
    # An answer that comes later changes nothing.
    c.wake()
    assert len(found) == 1
    assert b.ask("name") == []


def test_a_frozen_node_carries_out_what_it_was_asked_for_once_it_wakes(
    world: Installation,
) -> None:
    a, _, c = world.nodes
    done: list[object] = []
    c.nodes.questions.answer_with("do", lambda arguments: done.append(arguments["what"]))
    c.freeze()
    a.ask("do", what="it")
    world.wait(30)
    assert done == []
    c.wake()
    assert done == ["it"]


def test_a_node_that_cannot_answer_says_so_at_once(world: Installation) -> None:
    a, b, c = world.nodes

    def refuse(arguments: Mapping[str, object]) -> object:
        raise refused("limit", arguments["limit"])

    b.nodes.questions.answer_with("page", lambda _: [1])
    c.nodes.questions.answer_with("page", refuse)
    found = a.ask("page", limit=3)
    world.settle()
    assert by_name(found[0]) == {"b": [1]}
    assert found[0].unanswered == ("c",)
    assert c.refused == ["Its limit is 3."]
    # Older versions do not know every question.
    found = b.ask("unknown")
    world.settle()
    assert found[0].unanswered == ("a", "c")


def test_an_answer_that_is_too_long_is_none(world: Installation) -> None:
    a, b, _ = world.nodes
    b.nodes.questions.answer_with("name", lambda _: "x" * ANSWER_BYTES)
    found = a.ask("name")
    world.settle()
    assert found[0].unanswered == ("b",)
    assert "an answer of 5243" in b.node_lines[-1]


def test_an_answer_that_cannot_be_written_again_is_refused(world: Installation) -> None:
    a, b, _ = world.nodes
    value: object = 1
    for _ in range(200):
        value = [value]
    b.nodes.questions.answer_with("name", lambda _: {"x": value})
    found = a.ask("name")
    world.settle()
    assert found == []
    assert a.refused == ['Its value is {"is": {"x": [[[[[...]]]]]}}.']
    world.wait(ANSWER_SECONDS)
    assert found[0].unanswered == ("b",)


def test_nobody_is_asked_without_a_link(world: Installation) -> None:
    a = world.nodes[0]
    world.bus.cut()
    found = a.ask("name")
    assert found[0].unanswered == ("b", "c")
    assert a.own_clock.pending


def test_without_others_the_answer_is_there_at_once() -> None:
    (alone,) = Installation(1).nodes
    assert alone.ask("name") == [NodeAnswers()]


def test_no_node_has_what_has_a_name_that_is_no_text(world: Installation) -> None:
    found = world.nodes[0].ask("name", user="\ud83d")
    assert by_name(found[0]) == {"b": None, "c": None}
    assert found[0].unanswered == ()


def test_there_is_a_limit_on_questions_that_wait(world: Installation) -> None:
    a = world.nodes[0]
    waiting = [a.ask("name") for _ in range(MOST_OPEN)]
    assert a.ask("name")[0].unanswered == ("b", "c")
    world.settle()
    assert all(each and not each[0].unanswered for each in waiting)


def test_questions_end_with_the_node(world: Installation) -> None:
    a = world.nodes[0]
    found = a.ask("name")
    a.nodes.stop()
    assert found[0].unanswered == ("b", "c")
