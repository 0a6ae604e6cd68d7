"""Scenario of the code alone: push-path.

Owns: the cost of a push, a delivery, a connect and an end in a node without sockets.
Must not import: other scenarios.

The floor is the least that Python must do for the same: the library calls that no design can do
without. All figures are measured alternately in one process. The fastest batch counts, because
other load on the machine can only add time.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

import orjson

from bench.in_memory import HANDSHAKE, Client, Node, Socket, subscribe_frame
from bench.native import BenchError
from bench.run import Run
from bench.table import Row
from wampush.config.tables.topics import TopicSettings
from wampush.edges.websocket.connection import Connection

_CLIENTS: Final = 1000
#: Batches of each figure in a round. Each takes less than a millisecond, so that some run without
#: an interruption on a busy machine, too.
_BATCHES: Final = 150


class _Node:
    """A node with clients: one of the topic ``one``, and a thousand of the topic ``many``.

    :param history: events that each topic keeps.
    """

    def __init__(self, history: int = 0) -> None:
        topics = (TopicSettings("*", history=history),) if history else ()
        self._node = Node(2 * _CLIENTS, topics)
        self._connections: list[Connection] = []
        for topic, clients in (("one", 1), ("many", _CLIENTS), ("none", 0)):
            self._open(topic, clients)
            receivers = self._node.push(_push(topic))
            if receivers != clients:
                raise BenchError(f"{receivers} of {clients} clients receive the topic {topic!r}")
        self._node.fanout.flush_all()

    def push(self, count: int) -> None:
        """Publish pushes to one client, each in a turn of its own."""
        self._node.push(_push("one"), count)

    def push_to_nobody(self, count: int) -> None:
        """Publish pushes to a topic without subscribers."""
        self._node.push(_push("none"), count)

    def deliver(self, count: int) -> None:
        """Publish so many pushes to all clients that there are as many deliveries."""
        self._node.push(_push("many"), count // _CLIENTS)

    def connect(self, count: int) -> None:
        """Open connections and subscribe each to a topic that has no pushes."""
        self._open("idle", count)

    def lose(self, count: int) -> None:
        """Lose the connections opened last."""
        for _ in range(count):
            self._connections.pop().connectionLost()

    def _open(self, topic: str, count: int) -> None:
        for _ in range(count):
            client = Client(self._node)
            client.subscribe(topic)
            self._connections.append(client.connection)


class _Floor:
    """The calls of libraries that the same takes."""

    def __init__(self) -> None:
        self._sends = [Socket().send for _ in range(_CLIENTS)]

    def push(self, count: int) -> None:
        """Parse pushes, and send a frame for each."""
        push, send = _push("one"), self._sends[0]
        for _ in range(count):
            assert orjson.loads(push)["category"]
            send(b"".join((b"\x81\x7e\x00\xd6", b'[8,"one",', push, b"]")))

    def push_to_nobody(self, count: int) -> None:
        """Parse pushes."""
        push = _push("none")
        for _ in range(count):
            assert orjson.loads(push)["category"]

    def deliver(self, count: int) -> None:
        """Send to each client."""
        frame = _push("many")
        for _ in range(count // _CLIENTS):
            for send in self._sends:
                send(frame)

    def connect(self, count: int) -> None:
        """Read a request, answer it, send WELCOME, read a message."""
        subscribe, send = subscribe_frame("idle"), self._sends[0]
        for _ in range(count):
            lines = HANDSHAKE.decode("latin-1").split("\r\n")[1:-2]
            headers = dict([line.split(": ", 1) for line in lines])
            key = headers["Sec-WebSocket-Key"].encode()
            send(base64.b64encode(hashlib.sha1(key, usedforsecurity=False).digest()))
            send(orjson.dumps([0, key.decode(), 1, "wampush"]))
            assert orjson.loads(subscribe[6:])


def _push(topic: str) -> bytes:
    return orjson.dumps({"category": topic, "n": 1, "t": 123456789, "p": "x" * 150})


@dataclass(frozen=True, slots=True)
class _Figure:
    """One figure.

    :param name: for the table.
    :param count: how often it is done in a batch.
    :param node: does it so often.
    :param floor: does the least for it; None where there is nothing to compare with.
    """

    name: str
    count: int
    node: Callable[[int], None]
    floor: Callable[[int], None] | None


def _microseconds(action: Callable[[int], None], count: int) -> float:
    """Return how long one of so many takes."""
    begun = time.perf_counter_ns()
    action(count)
    return (time.perf_counter_ns() - begun) / count / 1e3


def _fastest(figures: Sequence[_Figure]) -> list[tuple[float, float]]:
    """Return the microseconds of each figure and of its floor, 0 where there is none."""
    fastest = [(inf, inf)] * len(figures)
    for _ in range(_BATCHES):
        for index, each in enumerate(figures):
            node = _microseconds(each.node, each.count)
            floor = 0.0 if each.floor is None else _microseconds(each.floor, each.count)
            before = fastest[index]
            fastest[index] = (min(before[0], node), min(before[1], floor))
    return fastest


def push_path(run: Run) -> list[Row]:
    """A push, a delivery, a connect and an end without the kernel: the cost of the code."""
    node, keeping, floor = _Node(), _Node(history=1000), _Floor()
    pushes, deliveries, connects = run.size(100, 2), _CLIENTS * run.size(5, 1), run.size(20, 2)
    # In this order: what is opened by one figure is lost by the next.
    figures = [
        _Figure("push to one client, us", pushes, node.push, floor.push),
        _Figure("the same, history = 1000, us", pushes, keeping.push, floor.push),
        _Figure("push to nobody, us", pushes, node.push_to_nobody, floor.push_to_nobody),
        _Figure("one more receiver of a push, us", deliveries, node.deliver, floor.deliver),
        _Figure("connect and subscribe, us", connects, node.connect, floor.connect),
        _Figure("end of a connection, us", connects, node.lose, None),
    ]
    gc.collect()
    gc.disable()
    try:
        rounds = [_fastest(figures) for _ in range(run.rounds)]
    finally:
        gc.enable()
    return [
        Row(
            "push-path",
            each.name,
            [values[index][0] for values in rounds],
            [values[index][1] for values in rounds] if each.floor is not None else [],
            digits=3,
        )
        for index, each in enumerate(figures)
    ]
