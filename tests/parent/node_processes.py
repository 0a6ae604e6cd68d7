"""Nodes for tests of the parent: only what the parent sees of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from wampush.control_channel import ControlChannel, Message
from wampush.parent.node_process import NodeProcess
from wampush.parent.output_lines import OutputLines


class FakeNode(NodeProcess):
    """A node without a process: signals are kept, and its end of the channel is open.

    :param pid: a number that stands for a process.
    :param started: when.
    """

    def __init__(self, pid: int, started: float) -> None:
        own, self.theirs = ControlChannel.pair()
        read_end, self.error = os.pipe()
        super().__init__(pid, own, [OutputLines(read_end, lambda _: None)], started)
        self.signals: list[int] = []

    def signal(self, number: int) -> None:
        self.signals.append(number)

    def say(self, text: str) -> None:
        """Write to standard error."""
        os.write(self.error, text.encode())

    def heard(self) -> list[Message]:
        """What the parent has sent since the last time."""
        messages = []
        while (message := self.theirs.receive()) is not None:
            messages.append(message)
        return messages

    def give_back(self) -> None:
        """Close everything."""
        self.close()
        self.theirs.close()
        os.close(self.error)


@contextmanager
def fake_node(pid: int = 1, started: float = 0.0) -> Iterator[FakeNode]:
    """A node for one test."""
    node = FakeNode(pid, started)
    yield node
    node.give_back()
