"""Reloads: keys are read again, and nodes are replaced where settings have changed.

Owns: the question to the nodes, and what follows from their answers. Must not import: Twisted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wampush.control_channel import Message
from wampush.parent.log import Log
from wampush.parent.nodes.node_process import NodeProcess
from wampush.parent.replacement import RELOAD, Answer, report_outcome
from wampush.parent.surroundings import Surroundings


@dataclass(slots=True)
class _Asked:
    """A node that was asked.

    :param node: the process.
    :param open_questions: how many of them it has not answered.
    :param problem: what is wrong with the configuration, by its last answer; "" for nothing.
    :param changed: the settings that have changed, by its last answer; "" for none.
    """

    node: NodeProcess
    open_questions: int = 0
    problem: str = ""
    changed: str = ""


class Reloads:
    """Carries out reloads, as far as that needs no new nodes.

    :param log: for lines of the parent.
    :param surroundings: those that watch the parent.
    :param replace: replaces the nodes of workers; takes their numbers, and what takes the outcome.
    """

    def __init__(
        self,
        log: Log,
        surroundings: Surroundings,
        replace: Callable[[Sequence[int], Answer], object],
    ) -> None:
        self._log = log
        self._surroundings = surroundings
        self._replace = replace
        self._answers: list[Answer] = []
        self._asked: dict[int, _Asked] = {}

    def ask(self, nodes: Sequence[NodeProcess], answer: Answer | None) -> None:
        """Have nodes read their files again."""
        if answer is not None:
            self._answers.append(answer)
        self._surroundings.on_reloading()
        for node in nodes:
            asked = self._asked.setdefault(node.pid, _Asked(node))
            asked.open_questions += 1
        for node in nodes:
            if not node.send("reload"):
                problem = f"process {node.pid} cannot be reached; it is ending, or it hangs"
                self.give_up(node, problem)
                return

    def give_up(self, node: NodeProcess, reason: str) -> None:
        """Report that a node will not answer, if it was asked.

        :param reason: why.
        """
        if node.pid not in self._asked:
            return
        self._log.error("reload failed: {why}", why=reason)
        _, answer = self._ended()
        answer(False, reason)

    def on_reloaded(self, node: NodeProcess, message: Message) -> None:
        """Go on, once all nodes have read their files again."""
        asked = self._asked.get(node.pid)
        if asked is None:
            if message.text("changed"):
                # Somebody has sent it the signal that is meant for this process, or it is late.
                self._log.warn(
                    "process {process} has found that {changed} changed; wampush reload applies it",
                    process=node.pid,
                    changed=message.text("changed"),
                )
            return
        asked.open_questions -= 1
        asked.problem, asked.changed = message.text("problem"), message.text("changed")
        if not any(each.open_questions for each in self._asked.values()):
            self._conclude()

    def _conclude(self) -> None:
        all_asked, answer = self._ended()
        problems = [each for each in all_asked if each.problem]
        changed = [each for each in all_asked if each.changed]
        for each in all_asked:
            if problems or not each.changed:
                report_outcome(each.node, RELOAD, is_done=not problems)
        if problems:
            answer(False, problems[0].problem)
        elif changed:
            self._log.info(
                "reload: {changed} changed, so {what}",
                changed=changed[0].changed,
                what="a new node starts" if len(changed) == 1 else "new nodes start, one by one",
            )
            self._replace([each.node.worker for each in changed], answer)
        else:
            text = "keys and certificates were read again; no setting has changed"
            self._log.info("reload: {text}", text=text)
            answer(True, text)

    def _ended(self) -> tuple[Sequence[_Asked], Answer]:
        """Forget who was asked; return that, and what gives the outcome to everybody who asked."""
        asked, self._asked = list(self._asked.values()), {}
        answers, self._answers = self._answers, []
        self._surroundings.on_reloaded()

        def answer(is_done: bool, text: str) -> None:
            for each in answers:
                each(is_done, text)

        return asked, answer
