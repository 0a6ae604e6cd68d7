"""What happens to one worker that concerns all of them.

Owns: how the supervision of a worker reports it. Must not import: Twisted.
"""

from __future__ import annotations

from typing import Protocol

from wampush.control_channel import Message
from wampush.parent.nodes.node_process import NodeProcess


class WorkerEvents(Protocol):
    """Takes what the supervision of a worker reports."""

    @property
    def has_served(self) -> bool:
        """Whether all workers have served at the same time, so that the start is over."""

    def on_serving(self, status: str) -> None:
        """Take note that a worker serves.

        :param status: what its node says about itself, in one line.
        """

    def on_sign_of_life(self, worker: int) -> None:
        """Take note that the node of a worker that serves has given a sign of life."""

    def on_reloaded(self, node: NodeProcess, message: Message) -> None:
        """Take what a node says that was asked to read its files again."""

    def on_lost(self, node: NodeProcess, reason: str) -> None:
        """Take note that the node that served, or was going to, has ended.

        :param reason: why.
        """

    def on_not_started(self, worker: int, status: int) -> None:
        """Take note that the first node of a worker has not become ready.

        :param status: for the whole process to end with.
        """

    def on_all_ended(self, worker: int) -> None:
        """Take note that a worker that was asked to end has no process any more."""
