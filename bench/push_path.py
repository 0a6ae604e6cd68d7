"""Scenario of the code alone: push-path.

Owns: a node without sockets, and the cost of a push, a delivery, a connect and an end in it.
Must not import: other scenarios.

The node is built as for the daemon. Its transports accept everything at once, so no system call is
measured, and the kernel's share does not hide a change of the code. The floor is the least that
Python must do for the same: the library calls that no design can do without. All figures are
measured alternately in one process. The fastest batch counts, because other load on the machine can
only add time.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Final

import orjson
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from bench.native import BenchError
from bench.run import Run
from bench.table import Row
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Source
from wampush.config.settings import Settings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.edges.websocket.connection import Connection
from wampush.node.build import build

_CLIENTS: Final = 1000
#: Batches of each figure in a round. Each takes less than a millisecond, so that some run without
#: an interruption on a busy machine, too.
_BATCHES: Final = 150
# Any, because mypy does not know which interfaces Twisted's addresses implement.
_ADDRESS: Final[Any] = IPv4Address("TCP", "127.0.0.1", 40000)
_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
_HANDSHAKE: Final = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: wamp\r\n\r\n"
).encode()


class _Socket(socket.socket):
    """A socket without a descriptor that sends everything at once."""

    send: Any = staticmethod(len)

    def __init__(self) -> None:
        """Open nothing."""


class _Transport:
    """What connections use of a TCP transport that is never full."""

    def __init__(self) -> None:
        self._socket = _Socket()

    def getHandle(self) -> socket.socket:  # noqa: N802 - Twisted's name
        return self._socket

    def getPeer(self) -> Any:  # noqa: N802 - Twisted's name
        return _ADDRESS


class _Node:
    """A node with clients: one of the topic ``one``, and a thousand of the topic ``many``."""

    def __init__(self) -> None:
        settings = replace(Settings(), zmq=ZmqSettings(pull=()))
        node = build(settings, Clock(), 2 * _CLIENTS)
        self._edge = node.websocket
        self._broker = node.broker
        self._fanout = node.broker.fanout
        pushes, limits = settings.pushes, settings.limits
        self._ingest = Ingest(pushes.topic_key, pushes.max_message_bytes, limits.topic_bytes)
        self._connections: list[Connection] = []
        for topic, clients in (("one", 1), ("many", _CLIENTS), ("none", 0)):
            self._open(topic, clients)
            receivers = self._broker.push(Source.ZEROMQ, self._ingest.publication((_push(topic),)))
            if receivers != clients:
                raise BenchError(f"{receivers} of {clients} clients receive the topic {topic!r}")
        self._fanout.flush_all()

    def push(self, count: int) -> None:
        """Publish pushes to one client, each in a turn of its own."""
        self._push(_push("one"), count)

    def push_to_nobody(self, count: int) -> None:
        """Publish pushes to a topic without subscribers."""
        self._push(_push("none"), count)

    def deliver(self, count: int) -> None:
        """Publish so many pushes to all clients that there are as many deliveries."""
        self._push(_push("many"), count // _CLIENTS)

    def connect(self, count: int) -> None:
        """Open connections and subscribe each to a topic that has no pushes."""
        self._open("idle", count)

    def lose(self, count: int) -> None:
        """Lose the connections opened last."""
        for _ in range(count):
            self._connections.pop().connectionLost()

    def _push(self, push: bytes, count: int) -> None:
        fanout, broker, ingest = self._fanout, self._broker, self._ingest
        parts = (push,)
        for _ in range(count):
            fanout.defer_flush()
            broker.push(Source.ZEROMQ, ingest.publication(parts))
            fanout.flush()

    def _open(self, topic: str, count: int) -> None:
        subscribe = _subscribe(topic)
        for _ in range(count):
            self._fanout.defer_flush()
            connection: Connection = self._edge.buildProtocol(_ADDRESS)
            connection.makeConnection(_Transport())
            connection.dataReceived(_HANDSHAKE)
            connection.dataReceived(subscribe)
            self._fanout.flush()
            self._connections.append(connection)


class _Floor:
    """The calls of libraries that the same takes."""

    def __init__(self) -> None:
        self._sends = [_Socket().send for _ in range(_CLIENTS)]

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
        subscribe, send = _subscribe("idle"), self._sends[0]
        for _ in range(count):
            lines = _HANDSHAKE.decode("latin-1").split("\r\n")[1:-2]
            headers = dict([line.split(": ", 1) for line in lines])
            key = headers["Sec-WebSocket-Key"].encode()
            send(base64.b64encode(hashlib.sha1(key, usedforsecurity=False).digest()))
            send(orjson.dumps([0, key.decode(), 1, "wampush"]))
            assert orjson.loads(subscribe[6:])


def _push(topic: str) -> bytes:
    return orjson.dumps({"category": topic, "n": 1, "t": 123456789, "p": "x" * 150})


def _subscribe(topic: str) -> bytes:
    """Return the frame of a SUBSCRIBE, under a mask of zeros."""
    text = orjson.dumps([5, topic])
    return bytes((0x81, 0x80 | len(text))) + bytes(4) + text


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
    node, floor = _Node(), _Floor()
    pushes, deliveries, connects = run.size(100, 2), _CLIENTS * run.size(5, 1), run.size(20, 2)
    # In this order: what is opened by one figure is lost by the next.
    figures = [
        _Figure("push to one client, us", pushes, node.push, floor.push),
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
