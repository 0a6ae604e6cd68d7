"""Two processes and real connections: steady pushes, a hand-over, no hole, no double, no end."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.node.handover import node_process
from tests.support.raw_client import RawClient

CLIENTS = 60
TOPICS = ("one", "two", "kept")


class Process:
    """A node of its own; see ``node_process``."""

    def __init__(self, role: str, stream: socket.socket) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", node_process.__name__, role, str(stream.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[stream.fileno()],
        )
        stream.close()

    def order(self, *order: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def told(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the node has ended"
        return json.loads(line)

    def close(self) -> None:
        """End it, as its input does."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        assert self._process.wait(20) == 0


@contextmanager
def nodes() -> Iterator[tuple[Process, Process, int]]:
    """The old node, the new one, and the port of the old one."""
    ends = socket.socketpair()
    with ExitStack() as stack:
        started = [Process(role, end) for role, end in zip(("old", "new"), ends, strict=True)]
        for each in started:
            stack.callback(each.close)
        port = started[0].told()["port"]
        assert started[1].told() == {"ready": True}
        yield started[0], started[1], port


def test_clients_notice_nothing() -> None:
    with nodes() as (old, new, port), ExitStack() as stack:
        clients = [stack.enter_context(RawClient(port)) for _ in range(CLIENTS)]
        for client in clients:
            for topic in TOPICS:
                client.subscribe(topic)
        count = 0

        def push(node: Process, times: int) -> None:
            nonlocal count
            for _ in range(times):
                for topic in TOPICS:
                    node.order("publish", topic, count)
                count += 1

        push(old, 100)
        old.order("hand over")
        push(old, 300)
        taken, given = new.told(), old.told()
        assert (taken["sessions"], taken["lost"]) == (CLIENTS, 0)
        assert (given["sessions"], given["staying"]) == (CLIENTS, 0)
        # What backends still push to the old process follows, too.
        push(old, 20)
        old.order("drain")
        assert old.told() == {"drained": True}
        push(new, 20)
        for number, client in enumerate(clients):
            found: dict[str, list[Any]] = {topic: [] for topic in TOPICS}
            for _ in range(count * len(TOPICS)):
                _, topic, value = client.receive()
                found[topic].append(value)
            assert list(found.values()) == [list(range(count))] * len(TOPICS), number
        clients[0].subscribe("after")
        new.order("publish", "after", "new")
        assert clients[0].receive() == [8, "after", "new"]
