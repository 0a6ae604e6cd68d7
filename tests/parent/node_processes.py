"""Nodes for tests of the parent: only what the parent sees of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count as counting
from typing import Any

from wampush.control_channel import ControlChannel, Message
from wampush.parent.log import Log
from wampush.parent.nodes.limits import Limits
from wampush.parent.nodes.node_process import NodeProcess, NodeState
from wampush.parent.nodes.output_lines import OutputLines
from wampush.parent.sockets.listening_sockets import ListeningSockets
from wampush.parent.workers import Workers


class FakeNode(NodeProcess):
    """A node without a process: signals are kept, and its end of the channel is open.

    :param pid: a number that stands for a process.
    :param started: when.
    :param worker: the number of its worker.
    """

    def __init__(self, pid: int, started: float, worker: int = 1) -> None:
        own, self.theirs = ControlChannel.pair()
        read_end, self.error = os.pipe()
        super().__init__(pid, own, [OutputLines(read_end, lambda _: None)], started, worker)
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
def fake_node(pid: int = 1, started: float = 0.0, worker: int = 1) -> Iterator[FakeNode]:
    """A node for one test."""
    node = FakeNode(pid, started, worker)
    yield node
    node.give_back()


class World:
    """A parent without processes, and what it does.

    :param count: how many workers it has.
    :ivar events: what those that watch the parent are told.
    """

    def __init__(self, count: int = 1) -> None:
        self.now = 0.0
        self.nodes: list[FakeNode] = []
        self.lines: list[str] = []
        self.events: list[Any] = []
        self.status = ""
        self.cannot_launch = False
        self._pids = counting(101)
        self.sockets = ListeningSockets()
        self.workers = Workers(
            count,
            launch=self._launch,
            sockets=self.sockets,
            limits=Limits(ready=60, hang=15, drain=10),
            log=Log(lambda line, _: self.lines.append(line.partition("] ")[2].rstrip())),
            now=lambda: self.now,
            surroundings=self,
        )

    def _launch(self, worker: int) -> FakeNode:
        if self.cannot_launch:
            raise OSError(12, "Cannot allocate memory")
        self.nodes.append(FakeNode(next(self._pids), self.now, worker))
        return self.nodes[-1]

    def on_serving(self, status: str) -> None:
        self.events.append("serving")
        self.status = status

    def on_sign_of_life(self) -> None:
        self.events.append("sign of life")

    def on_reloading(self) -> None:
        self.events.append("reloading")

    def on_reloaded(self) -> None:
        self.events.append("reloaded")

    def on_stopping(self) -> None:
        self.events.append("stopping")

    def on_over(self, status: int) -> None:
        self.events.append(status)

    def say(self, node: FakeNode, kind: str, **fields: object) -> None:
        """Have a node say something."""
        self.workers.on_message(node, Message(kind, fields))

    def end(self, node: FakeNode, status: int) -> None:
        """Have a node end."""
        self.workers.on_ended(node, status)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, in steps as the loop does."""
        until = self.now + seconds
        while (due := self.workers.next_time()) <= until:
            self.now = max(due, self.now)
            self.workers.on_time(self.now)
        self.now = until
        self.workers.on_time(until)

    def serve(self, node: FakeNode) -> None:
        """Have a node start and serve."""
        self.say(node, "ready")
        assert [each.kind for each in node.heard()] == ["serve"]
        self.say(node, "serving", status=f"process {node.pid}")
        assert node.state is NodeState.SERVING

    def served(self) -> FakeNode:
        """Start, and have the first node serve."""
        self.workers.start()
        self.serve(self.nodes[0])
        for node in self.nodes[1:]:
            self.serve(node)
        return self.nodes[0]
