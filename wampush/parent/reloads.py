"""Reloads: keys are read again, and the node is replaced where settings have changed.

Owns: the question to the node, and what follows from its answer. Must not import: Twisted.
"""

from __future__ import annotations

from collections.abc import Callable

from wampush.control_channel import Message
from wampush.parent.log import Log
from wampush.parent.node_process import NodeProcess
from wampush.parent.replacement import RELOAD, Answer, report_outcome
from wampush.parent.surroundings import Surroundings


class Reloads:
    """Carries out reloads, as far as that needs no new node.

    :param log: for lines of the parent.
    :param surroundings: those that watch the parent.
    :param replace: replaces the node.
    """

    def __init__(
        self, log: Log, surroundings: Surroundings, replace: Callable[[Answer], object]
    ) -> None:
        self._log = log
        self._surroundings = surroundings
        self._replace = replace
        self._answers: list[Answer] = []
        self._is_asked = False

    def ask(self, node: NodeProcess, answer: Answer | None) -> None:
        """Have a node read its files again."""
        if answer is not None:
            self._answers.append(answer)
        self._is_asked = True
        self._surroundings.on_reloading()
        if not node.send("reload"):
            self.give_up(f"process {node.pid} cannot be reached; it is ending, or it hangs")

    def give_up(self, reason: str) -> None:
        """Report that the node will not answer, if it was asked.

        :param reason: why.
        """
        if not self._is_asked:
            return
        self._log.error("reload failed: {why}", why=reason)
        for each in self._ended():
            each(False, reason)

    def on_reloaded(self, node: NodeProcess, message: Message) -> None:
        """Go on, once the node has read its files again."""
        answers = self._ended()

        def answer(is_done: bool, text: str) -> None:
            for each in answers:
                each(is_done, text)

        problem, changed = message.text("problem"), message.text("changed")
        if problem or not changed:
            report_outcome(node, RELOAD, is_done=not problem)
        if problem:
            answer(False, problem)
        elif changed:
            self._log.info("reload: {changed} changed, so a new node starts", changed=changed)
            self._replace(answer)
        else:
            text = "keys and certificates were read again; no setting has changed"
            self._log.info("reload: {text}", text=text)
            answer(True, text)

    def _ended(self) -> list[Answer]:
        answers, self._answers = self._answers, []
        self._is_asked = False
        self._surroundings.on_reloaded()
        return answers
