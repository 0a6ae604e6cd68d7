"""What a node asks the nodes of the other workers.

Owns: questions that are under way, and the form of an answer.
Must not import: the parts of a node, which install a reactor.

Questions and answers go through the parent, so that they need no Redis.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from wampush.control_channel import Message
from wampush.node.under_parent.link import ParentLink

_log = Logger(namespace="wampush.node")

#: Seconds that the others have to answer.
PATIENCE: Final = 2.0
#: Bytes of an answer that are read.
MAX_ANSWER: Final = 16_777_216
_NAME: Final = "wampush-answer"

Answers = Mapping[int, bytes | None]
"""What the others have answered, by worker; None for one that has not."""


@dataclass(slots=True)
class _Asked:
    """A question that is under way.

    :param done: gets the answers.
    :param answers: that have come, and places for those that have not.
    :param left: workers that have not answered.
    :param timer: ends the wait.
    """

    done: Deferred[Answers] = field(default_factory=Deferred)
    answers: dict[int, bytes | None] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
    timer: Any = None


class Siblings:
    """The other workers of the server.

    :param number: of this worker.
    :param link: to the parent; None without one, and then there are no others.
    """

    def __init__(self, number: int = 1, link: ParentLink | None = None) -> None:
        self.number: Final = number
        self._link = link
        self._numbers = count(1)
        self._asked: dict[int, _Asked] = {}
        self._questions: dict[str, Callable[[], bytes]] = {}
        if link is not None:
            link.take("asked", self._on_asked)
            link.take("asking", self._on_asking)
            link.take("answer", self._on_answer)

    def answer_with(self, question: str, read: Callable[[], bytes]) -> None:
        """Answer a question of others.

        :param read: returns the answer.
        """
        self._questions[question] = read

    def ask(self, question: str, reactor: Any) -> Deferred[Answers]:
        """Ask all others.

        :param reactor: for the end of the wait (``IReactorTime``).
        :returns: fires when all have answered, or after :data:`PATIENCE`.
        """
        if self._link is None:
            return succeed({})
        number = next(self._numbers)
        asked = self._asked[number] = _Asked()
        asked.timer = reactor.callLater(PATIENCE, self._end, number)
        self._link.say("ask", {"number": number, "question": question})
        return asked.done

    def _on_asked(self, message: Message) -> None:
        """Answer; one that knows no answer says so with an empty file."""
        link, read = self._link, self._questions.get(message.text("question"))
        if link is None:
            return
        descriptor = os.memfd_create(_NAME)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(b"" if read is None else read())
            link.say("answered", {"number": message.number("number")}, (descriptor,))
        finally:
            os.close(descriptor)

    def _on_asking(self, message: Message) -> None:
        """Take note of who is asked."""
        asked, workers = self._asked.get(message.number("number")), message.fields.get("workers")
        if asked is None or not isinstance(workers, list):
            return
        asked.left = {each for each in workers if isinstance(each, int)}
        asked.answers = dict.fromkeys(asked.left)
        self._end_if_complete(message.number("number"), asked)

    def _on_answer(self, message: Message) -> None:
        number, worker = message.number("number"), message.number("worker")
        asked = self._asked.get(number)
        if asked is None or worker not in asked.left:
            return
        asked.left.remove(worker)
        if message.descriptors:
            asked.answers[worker] = os.pread(message.descriptors[0], MAX_ANSWER, 0) or None
        self._end_if_complete(number, asked)

    def _end_if_complete(self, number: int, asked: _Asked) -> None:
        if not asked.left:
            asked.timer.cancel()
            self._end(number)

    def _end(self, number: int) -> None:
        asked = self._asked.pop(number)
        if asked.left:
            _log.warn(
                "no answer of worker {workers} within {patience:g} s",
                workers=", ".join(map(str, sorted(asked.left))),
                patience=PATIENCE,
            )
        asked.done.callback(asked.answers)
