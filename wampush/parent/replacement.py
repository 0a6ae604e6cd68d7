"""The replacement of a node by a new one: an upgrade, or a reload.

Owns: who asked for it, and the answer. Must not import: Twisted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from wampush.parent.node_process import NodeProcess

UPGRADE: Final = "upgrade"
RELOAD: Final = "reload"

Answer = Callable[[bool, str], object]
"""Takes whether it was done, and a sentence about it."""


@dataclass(slots=True, eq=False)
class Replacement:
    """A replacement that is under way.

    :param kind: :data:`UPGRADE` or :data:`RELOAD`.
    :param node: the new one.
    :param started: when it was asked for.
    :param answers: take the outcome.
    :param old: the node that hands its sessions over; None while that has not begun.
    """

    kind: str
    node: NodeProcess
    started: float
    answers: list[Answer] = field(default_factory=list)
    old: NodeProcess | None = None
    #: Whether the old node has been asked to end, so that there is no way back.
    is_irrevocable: bool = False
    #: What the nodes reported about the hand-over.
    report: str = ""

    def answer(self, is_done: bool, text: str) -> None:
        """Give the outcome to everybody who asked."""
        answers, self.answers = self.answers, []
        for each in answers:
            each(is_done, text)
