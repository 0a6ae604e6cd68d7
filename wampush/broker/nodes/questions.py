"""Questions to all nodes, and their answers.

Owns: which answers are awaited, for how long, and what this node answers.
Must not import: Twisted, the edges, presence. The clock is handed in.

A question waits at most :data:`ANSWER_SECONDS`. The answer names the nodes that have not replied:
such a node may still carry out what it was asked for, for example when it was frozen and wakes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson

from wampush.broker.nodes.node_payloads import (
    Answer,
    Question,
    answer_payload,
    question_payload,
)
from wampush.broker.nodes.other_nodes import OtherNode, ReportNode
from wampush.clock import Clock, TimerHandle

#: Seconds within which nodes answer.
ANSWER_SECONDS: Final = 2.0
#: Questions that may wait for answers at once.
MOST_OPEN: Final = 1000
#: Bytes of the longest answer.
ANSWER_BYTES: Final = 512 * 1024

Respond = Callable[[Mapping[str, Any]], object]
"""Answers a question, given its arguments; returns a JSON value, or raises PushRefused."""


@dataclass(frozen=True, slots=True)
class NodeAnswers:
    """What other nodes have answered.

    :param values: by the id of the node.
    :param unanswered: the names of the nodes that have not answered.
    :param names: the names of the nodes in ``values``.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    unanswered: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)


OnAnswers = Callable[[NodeAnswers], None]


class SendMessage(Protocol):
    """Sends a message to the processes of all nodes, or to one."""

    def __call__(self, kind: str, payload: bytes, to: str = "") -> None:
        """Send a payload; it may get lost.

        :param to: the only process that gets it; "" for all.
        """


#: The kinds of the two messages.
QUESTION: Final = "question"
ANSWER: Final = "answer"


@dataclass(slots=True)
class _Open:
    """A question that waits for answers."""

    nodes: Mapping[str, OtherNode]
    on_done: OnAnswers
    timer: TimerHandle | None = None
    values: dict[str, Any] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    @property
    def is_answered(self) -> bool:
        """Whether no node can answer any more."""
        return len(self.values) + len(self.failed) == len(self.nodes)


class Questions:
    """Asks the other nodes, and answers them.

    :param own_id: returns the id of this node.
    :param clock: for the time that nodes have.
    :param send: sends questions and answers.
    :param there: returns the nodes that are expected to answer.
    :param report: logs what cannot be answered.
    """

    def __init__(
        self,
        own_id: Callable[[], str],
        clock: Clock,
        send: SendMessage,
        there: Callable[[], Mapping[str, OtherNode]],
        report: ReportNode,
    ) -> None:
        self._own_id = own_id
        self._clock = clock
        self._send = send
        self._there = there
        self._report = report
        self._responders: dict[str, Respond] = {}
        self._open: dict[int, _Open] = {}
        self._last = 0
        #: Questions that not all nodes have answered.
        self.incomplete = 0

    def answer_with(self, name: str, respond: Respond) -> None:
        """Answer the questions of a name from now on."""
        self._responders[name] = respond

    def ask(
        self,
        name: str,
        arguments: Mapping[str, object],
        on_done: OnAnswers,
        *,
        can_ask: bool = True,
    ) -> None:
        """Ask all other nodes that are there.

        :param name: of the question.
        :param arguments: JSON values.
        :param on_done: called once, at once if nobody can answer.
        :param can_ask: whether there is a link to the others.
        """
        nodes = self._there()
        question = _Open(nodes, on_done)
        if not nodes or not can_ask or len(self._open) >= MOST_OPEN:
            self._end(question)
            return
        self._last += 1
        number = self._last
        payload = _question(number, name, arguments)
        if payload is None:
            # No node can have such a name of a user, topic or session.
            question.values = dict.fromkeys(nodes)
            self._end(question)
            return
        self._open[number] = question
        question.timer = self._clock.call_later(ANSWER_SECONDS, lambda: self._on_time(number))
        self._send(QUESTION, payload)

    def on_question(self, process: str, question: Question) -> None:
        """Answer a question of another node.

        :param process: that asks.
        :raises PushRefused: NODE_FORM; the arguments are not as they should be. It is answered.
        """
        respond = self._responders.get(question.name)
        found: Mapping[str, object] | None = None
        try:
            if respond is not None:
                found = {"is": respond(question.arguments)}
        finally:
            self._answer(process, question.number, found)

    def _answer(self, process: str, number: int, found: Mapping[str, object] | None) -> None:
        """Send an answer.

        :param found: the value in an object; None if this node cannot answer.
        """
        node = self._own_id()
        payload = answer_payload(Answer(node=node, number=number, value=found))
        if len(payload) > ANSWER_BYTES:
            self._report(
                "an answer of {bytes} bytes to another node is too long", bytes=len(payload)
            )
            payload = answer_payload(Answer(node=node, number=number, value=None))
        self._send(ANSWER, payload, process)

    def on_answer(self, answer: Answer) -> None:
        """Take an answer; one that comes too late is ignored."""
        node = answer.node
        question = self._open.get(answer.number)
        if question is None or node not in question.nodes or node in question.values:
            return
        if isinstance(answer.value, dict) and "is" in answer.value:
            question.values[node] = answer.value["is"]
            question.failed.discard(node)
        else:
            question.failed.add(node)
        if question.is_answered:
            del self._open[answer.number]
            self._end(question)

    def stop(self) -> None:
        """End all questions with what has been answered."""
        opened, self._open = self._open, {}
        for question in opened.values():
            self._end(question)

    def _on_time(self, number: int) -> None:
        question = self._open.pop(number, None)
        if question is not None:
            question.timer = None
            self._end(question)

    def _end(self, question: _Open) -> None:
        if question.timer is not None:
            question.timer.cancel()
        names = {node.id: node.name for node in question.nodes.values()}
        unanswered = tuple(
            sorted(names[each] for each in question.nodes if each not in question.values)
        )
        self.incomplete += bool(unanswered)
        question.on_done(NodeAnswers(question.values, unanswered, names))


def _question(number: int, name: str, arguments: Mapping[str, object]) -> bytes | None:
    try:
        return question_payload(Question(number=number, name=name, arguments=arguments))
    except orjson.JSONEncodeError:
        return None
