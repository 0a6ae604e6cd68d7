"""What the nodes of the workers ask each other."""

from __future__ import annotations

import os

from tests.parent.node_processes import FakeNode, World, fake_node
from wampush.control_channel import Message
from wampush.parent.questions import Questions


def asked(node: FakeNode) -> int:
    """The number of the question that a node has been asked."""
    (message,) = node.heard()
    assert (message.kind, message.text("question")) == ("asked", "metrics")
    return message.number("number")


def test_questions_and_answers_are_handed_on() -> None:
    questions = Questions()
    with (
        fake_node(1, worker=1) as one,
        fake_node(2, worker=2) as two,
        fake_node(3, worker=3) as three,
    ):
        questions.ask(one, Message("ask", {"question": "metrics", "number": 7}), [two, three])
        (asking,) = one.heard()
        assert (asking.kind, asking.fields["workers"]) == ("asking", [2, 3])
        keys = {two: asked(two), three: asked(three)}
        read_end, write_end = os.pipe()
        os.write(write_end, b"text")
        # What was asked of another node is nobody's answer.
        questions.answer(two, Message("answered", {"number": keys[three]}, (read_end,)))
        assert one.heard() == []
        questions.answer(two, Message("answered", {"number": keys[two]}, (read_end,)))
        questions.answer(two, Message("answered", {"number": keys[two]}, (read_end,)))
        (answer,) = one.heard()
        assert (answer.kind, answer.number("number"), answer.number("worker")) == ("answer", 7, 2)
        assert os.read(answer.descriptors[0], 100) == b"text"
        answer.close_descriptors()
        os.close(read_end)
        os.close(write_end)


def test_nodes_that_have_ended_neither_answer_nor_wait() -> None:
    questions = Questions()
    with fake_node(1, worker=1) as one, fake_node(2, worker=2) as two:
        questions.ask(one, Message("ask", {"question": "metrics", "number": 7}), [two])
        key = asked(two)
        one.heard()
        questions.forget(two)
        (answer,) = one.heard()
        assert (answer.number("worker"), answer.descriptors) == (2, ())
        questions.answer(two, Message("answered", {"number": key}))
        assert one.heard() == []
        questions.ask(one, Message("ask", {"question": "metrics", "number": 8}), [two])
        key = asked(two)
        one.heard()
        questions.forget(one)
        questions.answer(two, Message("answered", {"number": key}))
        assert one.heard() == []
        two.theirs.close()
        questions.ask(one, Message("ask", {"question": "metrics", "number": 9}), [two])
        assert [each.kind for each in one.heard()] == ["asking", "answer"]


def test_workers_that_serve_are_asked() -> None:
    world = World(3)
    world.served()
    one, two, three = world.nodes
    world.end(three, -9)
    world.say(one, "ask", question="metrics", number=1)
    (asking,) = one.heard()
    assert asking.fields["workers"] == [2]
    world.say(two, "answered", number=asked(two))
    (answer,) = one.heard()
    assert answer.number("worker") == 2
    for node in world.nodes:
        node.give_back()
