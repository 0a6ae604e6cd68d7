"""The replacement of a node by a new one: an upgrade, or a reload.

Owns: who asked for it, and the answer. Must not import: Twisted.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from wampush.parent.nodes.node_process import NodeProcess, NodeState

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

    def can_move_from(self, old: NodeProcess | None) -> bool:
        """Return whether the sessions of the old node can move to the new one."""
        return (
            old is not None
            and old.state is NodeState.SERVING
            and 0 != self.node.hand_over_version == old.hand_over_version
        )

    def move_from(self, old: NodeProcess) -> None:
        """Have the old node hand its sessions over to the new one."""
        self.old = old
        one, other = socket.socketpair()
        with one, other:
            old.send("hand_over", {}, (one.fileno(),))
            self.node.send("take_over", {}, (other.fileno(),))

    def answer(self, is_done: bool, text: str, counting: NodeProcess | None = None) -> None:
        """Give the outcome to everybody who asked.

        :param counting: the node that serves now; it shows in its metrics how often there was what.
        """
        if counting is not None:
            report_outcome(counting, self.kind, is_done=is_done)
        answers, self.answers = self.answers, []
        for each in answers:
            each(is_done, text)


def report_outcome(node: NodeProcess, kind: str, *, is_done: bool) -> None:
    """Have a node count a replacement, or a reload that needed none."""
    node.send("outcome", {"of": kind, "is_done": is_done})
