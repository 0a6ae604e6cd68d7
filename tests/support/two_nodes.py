"""Two nodes in one process with real sockets; their reactors turn when a test says so."""

# ruff: noqa: N802 (Twisted's names)

from __future__ import annotations

import json
import select
import socket
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.edges.websocket.in_memory import masked, request
from wampush.broker.access.policy import Publishing
from wampush.broker.publication import Publication
from wampush.choices import SlowClient
from wampush.config.settings import Settings
from wampush.config.tables.clients import ClientSettings
from wampush.config.tables.limits import LimitSettings
from wampush.config.tables.topics import TopicSettings
from wampush.config.tables.websocket import WebSocketSettings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.net import moving_sockets
from wampush.node.build import Node, build
from wampush.node.handover import HandedOver, HandingOver, TakenOver, TakingOver

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


def settings(*topics: TopicSettings, **more: Any) -> Settings:
    """Settings of both nodes.

    :param more: further tables.
    """
    tables: dict[str, Any] = {
        "websocket": WebSocketSettings(compression=True, compression_min_bytes=1),
        "zmq": ZmqSettings(pull=()),
        "clients": ClientSettings(queue_bytes=4 * 1024 * 1024),
        "limits": LimitSettings(connections_per_address=0),
        "topics": topics,
        **more,
    }
    return Settings(**tables)


class PumpedReactor(Clock):
    """A clock that also watches descriptors, one turn at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._readers: Any = {}
        self._writers: Any = {}

    def addReader(self, reader: Any) -> None:
        self._readers[reader.fileno()] = reader

    def addWriter(self, writer: Any) -> None:
        self._writers[writer.fileno()] = writer

    def removeReader(self, reader: Any) -> None:
        self._remove(self._readers, reader)

    def removeWriter(self, writer: Any) -> None:
        self._remove(self._writers, writer)

    @staticmethod
    def _remove(watched: dict[int, Any], which: Any) -> None:
        for descriptor, each in list(watched.items()):
            if each is which:
                del watched[descriptor]

    def callFromThread(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.callLater(0, function, *arguments)

    def turn(self) -> bool:
        """One turn; returns whether a descriptor was ready."""
        poll = select.poll()
        for descriptor in self._readers.keys() | self._writers.keys():
            wanted = select.POLLIN if descriptor in self._readers else 0
            wanted |= select.POLLOUT if descriptor in self._writers else 0
            poll.register(descriptor, wanted)
        ready = poll.poll(0)
        for descriptor, event in ready:
            reader, writer = self._readers.get(descriptor), self._writers.get(descriptor)
            if reader is not None and event & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._end(reader, reader.doRead())
            if writer is not None and writer is self._writers.get(descriptor):
                self._end(writer, writer.doWrite())
        self.advance(0)
        return bool(ready)

    def _end(self, which: Any, why: Any) -> None:
        if why is not None:
            self.removeReader(which)
            self.removeWriter(which)
            which.connectionLost(Failure(why))


class Client:
    """A WebSocket client whose bytes a test reads and sends as it likes.

    :param end: its end of the connection.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self.end = end
        self.data = b""
        #: Bytes that have come.
        self.received = 0
        self.is_open = False
        #: Whether the server has sent a Close frame, and whether the connection is gone.
        self.is_closed = False
        self.is_ended = False
        self.session_id = ""
        self.messages: list[Any] = []
        self.pings: list[bytes] = []
        self._unsent = b""

    def send(self, data: bytes) -> None:
        """Send bytes, as far as the connection takes them; the rest later."""
        self._unsent += data
        self.flush()

    def flush(self) -> None:
        """Send what is left."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self.end.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.is_ended = True

    def text(self, *message: object) -> None:
        """Send a WAMP message."""
        self.send(masked(json.dumps(message).encode()))

    def read(self, most: int = 1 << 20) -> None:
        """Read what has come, up to so many bytes."""
        while most > 0:
            try:
                data = self.end.recv(min(most, 65536))
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.is_ended = True
                break
            most -= len(data)
            self.received += len(data)
            self.data += data
        self._parse()

    def _parse(self) -> None:
        if not self.is_open:
            head, end, rest = self.data.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 101 "), head
            self.is_open, self.data = True, rest
        while (frame := self._frame()) is not None:
            first, payload = frame
            if first & 0x0F == 9:
                self.pings.append(payload)
                self.send(masked(payload, first=0x8A))
            elif first & 0x0F == 1:
                if first & 0x40:
                    payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
                message = json.loads(payload)
                if message[0] == 0:
                    assert not self.session_id, "a second WELCOME"
                    self.session_id = message[1]
                else:
                    self.messages.append(message)
            elif first & 0x0F == 8:
                self.is_closed = True
            else:
                assert first & 0x0F == 10, frame

    def _frame(self) -> tuple[int, bytes] | None:
        data = self.data
        if len(data) < 2:
            return None
        start, size = 2, data[1]
        assert size < 128, "a server must not mask"
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start])
        if len(data) < start + size:
            return None
        self.data = data[start + size :]
        return data[0], data[start : start + size]

    def events(self, topic: str) -> list[Any]:
        """The events of a topic, in the order in which they have arrived."""
        return [each[2] for each in self.messages if each[0] == 8 and each[1] == topic]


class TestNode:
    """One of the two nodes."""

    __test__ = False

    def __init__(self, which: Settings, *, takes_over: bool = False) -> None:
        self.reactor = PumpedReactor()
        self.node: Node = build(which, self.reactor, 1000, takes_over=takes_over)
        self.node.set_publishing(Publishing.EVERYBODY)
        self.node.websocket.start()
        self.broker = self.node.broker

    def turn(self) -> bool:
        return self.reactor.turn()

    def publish(self, topic: str, value: object) -> None:
        self.broker.publish(Publication(topic, json.dumps(value).encode()))

    def accept(self, end: socket.socket) -> Any:
        """Accept a connection; returns the protocol."""
        connection = self.node.websocket.buildProtocol(None)
        transport = moving_sockets.attach(end.detach(), connection, self.reactor)
        connection.makeConnection(transport)
        transport.resumeProducing()
        return connection


class TwoNodes:
    """An old node with clients, and a new one that may take over.

    :param before: settings of the old node.
    :param after: of the new one; None for the same.
    :param buffer: bytes that sockets take, small, so that records and frames are cut.
    :ivar has_sent_all: whether what comes to the old node from now on is forwarded.
    """

    def __init__(
        self, before: Settings, after: Settings | None = None, buffer: int = 1 << 20
    ) -> None:
        self.old = TestNode(before)
        self.new = TestNode(after or before, takes_over=True)
        self.clients: list[Client] = []
        self.buffer = buffer
        self.giving: HandingOver | None = None
        self.taking: TakingOver | None = None
        self.outcomes: dict[str, Any] = {}
        self.has_sent_all = False
        self.stream: socket.socket | None = None

    def client(self, *more: str, topics: Sequence[str] = (), buffer: int = 0) -> Client:
        """Connect a client to the old node and subscribe it."""
        client = self.socket(buffer)
        client.send(request(*more))
        self.settle(self.old, client)
        assert client.session_id
        for topic in topics:
            client.text(5, topic)
        self.settle(self.old, client)
        return client

    def socket(self, buffer: int = 0) -> Client:
        """Connect to the old node, and send nothing."""
        near, far = socket.socketpair()
        if buffer:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        client = Client(far)
        self.clients.append(client)
        self.old.accept(near)
        return client

    def begin(self) -> None:
        """Begin the hand-over."""
        first, second = socket.socketpair()
        for each in (first, second):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.buffer)
        self.taking = TakingOver(second, self.new.node, self.new.reactor)
        self.giving = HandingOver(first, self.old.node, self.old.reactor, self._on_sent_all)
        self._note("new", self.taking.start())
        self._note("old", self.giving.start())

    def _on_sent_all(self) -> None:
        self.has_sent_all = True

    def _note(self, name: str, outcome: Deferred[Any]) -> None:
        def note(result: object) -> None:
            self.outcomes[name] = result

        outcome.addBoth(note)

    def settle(self, *nodes_or_clients: Any) -> None:
        """Turn until nothing happens."""
        quiet = 0
        while quiet < 3:
            busy = False
            for each in nodes_or_clients:
                if isinstance(each, Client):
                    before = len(each.data) + len(each.messages)
                    each.flush()
                    each.read()
                    busy = busy or before != len(each.data) + len(each.messages)
                else:
                    busy = each.turn() or busy
            quiet = 0 if busy else quiet + 1

    def finish(self, seconds: float = 3.0) -> None:
        """Let the hand-over go on to its end."""
        for _ in range(int(seconds / 0.01)):
            self.settle(self.old, self.new)
            if len(self.outcomes) == 2:
                break
            self.old.reactor.advance(0.01)
            self.new.reactor.advance(0.01)
        self.settle(self.old, self.new)

    def hand_over(self) -> tuple[HandedOver, TakenOver]:
        """Hand over, from the begin to the end."""
        self.begin()
        self.finish()
        old, new = self.outcomes["old"], self.outcomes["new"]
        assert isinstance(old, HandedOver), old
        assert isinstance(new, TakenOver), new
        return old, new

    def release(self) -> None:
        """Let the sources of the new node begin, as the old one has no backends."""
        assert self.giving is not None
        self.giving.drain(60.0)
        self.settle(self.old, self.new)

    def read_all(self) -> None:
        """Have everybody read everything."""
        self.settle(self.old, self.new, *self.clients)

    def close(self) -> None:
        """Close all sockets."""
        for each in self.clients:
            each.end.close()
        self.settle(self.old, self.new)
        if self.giving is not None:
            self.giving.close()
        if self.taking is not None:
            self.taking.close()
        for node in (self.old, self.new):
            node.node.websocket.timer_wheel.stop()
            node.node.backpressure.stop()
            node.node.pull.stop()
            node.broker.stop()


@contextmanager
def two_nodes(*topics: TopicSettings, buffer: int = 1 << 20, **more: Any) -> Iterator[TwoNodes]:
    """Two nodes with the same settings."""
    nodes = TwoNodes(settings(*topics, **more), buffer=buffer)
    try:
        yield nodes
    finally:
        nodes.close()


CATCH_UP = TopicSettings(match="kept*", history=100_000, slow_client=SlowClient.CATCH_UP)
