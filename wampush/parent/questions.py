"""What the nodes of the workers ask each other.

Owns: which question an answer belongs to. Must not import: Twisted.

The parent hands questions and answers on without reading them. An answer is in a file in memory,
whose descriptor comes with the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from wampush.control_channel import Message
from wampush.parent.nodes.node_process import NodeProcess


@dataclass(frozen=True, slots=True)
class _Open:
    """A question that a node has not answered.

    :param asking: the node that asks.
    :param asked: the node that is to answer.
    :param number: of the question, as the asking node counts.
    """

    asking: NodeProcess
    asked: NodeProcess
    number: int


class Questions:
    """Hands questions of nodes on to others, and their answers back."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._numbers = count(1)

    def ask(self, asking: NodeProcess, message: Message, others: Sequence[NodeProcess]) -> None:
        """Hand a question on, and say who is asked.

        :param asking: the node that asks.
        :param others: the nodes that are asked.
        """
        number, question = message.number("number"), message.text("question")
        asking.send("asking", {"number": number, "workers": [each.worker for each in others]})
        for each in others:
            key = next(self._numbers)
            self._open[key] = _Open(asking, each, number)
            if not each.send("asked", {"number": key, "question": question}):
                self._give_up(key)

    def answer(self, node: NodeProcess, message: Message) -> None:
        """Hand an answer back.

        :param node: that has answered.
        """
        found = self._open.get(message.number("number"))
        if found is not None and found.asked is node:
            del self._open[message.number("number")]
            found.asking.send(
                "answer", {"number": found.number, "worker": node.worker}, message.descriptors
            )

    def forget(self, node: NodeProcess) -> None:
        """Give up what a node that has ended asks, and is asked."""
        for key, each in tuple(self._open.items()):
            if each.asking is node:
                del self._open[key]
            elif each.asked is node:
                self._give_up(key)

    def _give_up(self, key: int) -> None:
        """Answer in place of a node that does not."""
        gone = self._open.pop(key)
        gone.asking.send("answer", {"number": gone.number, "worker": gone.asked.worker})
