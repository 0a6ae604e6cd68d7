"""A node without sockets, for the cost of the code alone.

Owns: transports that accept everything at once, and clients on them. Must not import: scenarios.

The node is built as for the daemon. No system call is measured, so the kernel's share does not hide
a change of the code.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from time import monotonic
from typing import Any, Final

import orjson
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Source
from wampush.config.settings import Settings
from wampush.config.tables.backplane import BackplaneSettings
from wampush.config.tables.topics import TopicSettings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.edges.websocket.connection import Connection
from wampush.node.build import build

# Any, because mypy does not know which interfaces Twisted's addresses implement.
_ADDRESS: Final[Any] = IPv4Address("TCP", "127.0.0.1", 40000)
KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE: Final = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: wamp\r\n\r\n"
).encode()


class Socket(socket.socket):
    """A socket without a descriptor that sends everything at once."""

    send: Any = staticmethod(len)

    def __init__(self) -> None:
        """Open nothing."""


class _CountingSocket(Socket):
    """Counts what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sends: list[int] = []
        self.send = self._count

    def _count(self, data: bytes) -> int:
        self.sends.append(len(data))
        return len(data)


class _Transport:
    """What connections use of a TCP transport that is never full."""

    def __init__(self, handle: socket.socket) -> None:
        self._socket = handle

    def getHandle(self) -> socket.socket:  # noqa: N802 - Twisted's name
        return self._socket

    def getPeer(self) -> Any:  # noqa: N802 - Twisted's name
        return _ADDRESS


class Client:
    """A client that is open, and sends what the benchmark asks for.

    :param node: that it is connected to.
    :param counts: whether ``sends`` gets the sizes of what is sent to it.
    """

    def __init__(self, node: Node, *, counts: bool = False) -> None:
        self._node = node
        handle = _CountingSocket() if counts else Socket()
        self.sends = handle.sends if isinstance(handle, _CountingSocket) else []
        node.fanout.defer_flush()
        self.connection: Connection = node.edge.buildProtocol(_ADDRESS)
        self.connection.makeConnection(_Transport(handle))
        self.connection.dataReceived(HANDSHAKE)

    def subscribe(self, topic: str) -> None:
        """Subscribe, and get what the server sends at the end of this turn."""
        fanout = self._node.fanout
        fanout.defer_flush()
        self.connection.dataReceived(subscribe_frame(topic))
        fanout.flush()


class Node:
    """A node that gets pushes.

    :param clients: how many it admits.
    :param topics: entries of ``[[topics]]``.
    :param backplane: what joins it to others; nothing by default.
    :param clock: its timers, which run when the benchmark says so.
    """

    def __init__(
        self,
        clients: int,
        topics: Sequence[TopicSettings] = (),
        backplane: BackplaneSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        settings = replace(
            Settings(),
            zmq=ZmqSettings(pull=()),
            topics=tuple(topics),
            backplane=backplane or BackplaneSettings(),
        )
        node = build(settings, clock or Clock(), clients)
        #: What joins it to others; None where nothing does.
        self.backplane = node.backplane
        self.edge = node.websocket
        self.fanout = node.broker.fanout
        self._broker = node.broker
        pushes, limits = settings.pushes, settings.limits
        self._ingest = Ingest(pushes.topic_key, pushes.max_message_bytes, limits.topic_bytes)

    def push(self, push: bytes, count: int = 1) -> int | None:
        """Publish the same push several times, each in a turn of its own.

        :returns: how many clients received the last one.
        """
        fanout, broker, ingest = self.fanout, self._broker, self._ingest
        parts = (push,)
        receivers: int | None = 0
        for _ in range(count):
            # As a source does, whose budget begins with this time.
            fanout.defer_flush(monotonic())
            receivers = broker.push(Source.ZEROMQ, ingest.publication(parts))
            fanout.flush()
        return receivers or 0

    def push_together(self, pushes: Sequence[bytes]) -> None:
        """Publish pushes in one turn."""
        fanout, broker, ingest = self.fanout, self._broker, self._ingest
        fanout.defer_flush(monotonic())
        for push in pushes:
            broker.push(Source.ZEROMQ, ingest.publication((push,)))
        fanout.flush()


@cache
def subscribe_frame(topic: str) -> bytes:
    """Return the frame of a SUBSCRIBE, under a mask of zeros."""
    text = orjson.dumps([5, topic])
    return bytes((0x81, 0x80 | len(text))) + bytes(4) + text
