"""What a node asks the nodes of the other workers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent

from wampush.control_channel import ControlChannel, Message
from wampush.node.under_parent.link import Handlers, ParentLink
from wampush.node.under_parent.siblings import PATIENCE, Answers, Siblings


class Parent:
    """The parent of a node that has siblings."""

    def __init__(self) -> None:
        self.channel, theirs = ControlChannel.pair()
        self.link = ParentLink(theirs)
        self.reactor = MemoryReactorClock()
        self.siblings = Siblings(2, self.link)
        nothing = Handlers(**dict.fromkeys(Handlers.__slots__, lambda *_: None))
        self.link.start(self.reactor, nothing)
        self.channel.receive()
        self.answers: list[Answers] = []

    def say(self, kind: str, text: bytes | None = None, **fields: object) -> None:
        """Send a message, with a text in a file."""
        if text is None:
            self.channel.send(kind, fields)
        else:
            descriptor = os.memfd_create("test")
            os.write(descriptor, text)
            self.channel.send(kind, fields, descriptors=(descriptor,))
            os.close(descriptor)
        self.link.doRead()

    def heard(self) -> Message:
        """What the node has said."""
        message = self.channel.receive()
        assert message is not None
        return message

    def ask(self) -> int:
        """Have the node ask the others; return the number of the question."""
        self.siblings.ask("metrics", self.reactor).addCallback(self.answers.append)
        message = self.heard()
        assert (message.kind, message.text("question")) == ("ask", "metrics")
        return message.number("number")


@pytest.fixture
def parent() -> Iterator[Parent]:
    made = Parent()
    yield made
    made.link.close()
    made.channel.close()


def test_a_node_without_a_parent_has_none() -> None:
    answers: list[Answers] = []
    siblings = Siblings()
    siblings.ask("metrics", None).addCallback(answers.append)
    assert (siblings.number, answers) == (1, [{}])


def test_all_answer(parent: Parent) -> None:
    number = parent.ask()
    parent.say("asking", number=number, workers=[1, 3])
    parent.say("answer", b"one", number=number, worker=1)
    assert parent.answers == []
    parent.say("answer", b"nobody has asked", number=number, worker=4)
    parent.say("answer", b"an answer of long ago", number=99, worker=3)
    parent.say("answer", b"three", number=number, worker=3)
    assert parent.answers == [{1: b"one", 3: b"three"}]
    assert not parent.reactor.getDelayedCalls()[1:]


def test_one_that_has_ended_or_knows_no_answer_has_none(parent: Parent) -> None:
    number = parent.ask()
    parent.say("asking", number=number, workers=[1, 3])
    parent.say("answer", number=number, worker=1)
    parent.say("answer", b"", number=number, worker=3)
    assert parent.answers == [{1: None, 3: None}]


def test_nobody_else_serves(parent: Parent) -> None:
    number = parent.ask()
    parent.say("asking", number=number, workers="a parent of another release")
    assert parent.answers == []
    parent.say("asking", number=number, workers=[])
    assert parent.answers == [{}]


def test_one_that_hangs_is_not_waited_for(parent: Parent) -> None:
    number = parent.ask()
    parent.say("asking", number=number, workers=[1, 3])
    parent.say("answer", b"one", number=number, worker=1)
    with capturedLogs() as events:
        parent.reactor.advance(PATIENCE)
    assert parent.answers == [{1: b"one", 3: None}]
    assert formatEvent(events[-1]) == "no answer of worker 3 within 2 s"
    parent.say("answer", b"too late", number=number, worker=3)
    parent.say("asking", number=number, workers=[1])


def test_a_node_answers_others(parent: Parent) -> None:
    parent.siblings.answer_with("metrics", lambda: b"own")
    parent.say("asked", question="metrics", number=5)
    parent.say("asked", question="of another release", number=6)
    for number, text in ((5, b"own"), (6, b"")):
        message = parent.heard()
        assert (message.kind, message.number("number")) == ("answered", number)
        assert os.pread(message.descriptors[0], 100, 0) == text
        message.close_descriptors()
