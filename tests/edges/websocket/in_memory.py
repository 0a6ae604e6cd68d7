"""A WebSocket edge with a clock that tests move and transports in memory."""

# ruff: noqa: N802 (Twisted's name)

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.support.log_lines import reporting_to
from wampush.broker.access.policy import Publishing
from wampush.broker.identity import Identity
from wampush.broker.publication import Publication
from wampush.broker.subscriber import Subscriber
from wampush.config.settings import Settings
from wampush.config.tables.clients import ClientSettings
from wampush.config.tables.limits import LimitSettings
from wampush.config.tables.log import LogSettings
from wampush.config.tables.network import ProxySettings
from wampush.config.tables.topics import TopicSettings
from wampush.config.tables.websocket import WebSocketSettings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.edges.websocket.connection import Connection
from wampush.edges.websocket.server import WebSocketEdge
from wampush.errors import MessageRefused
from wampush.log_limit import LogLimiter
from wampush.node.build import build

ADDRESS: Any = IPv4Address("TCP", "127.0.0.1", 50000)
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def request(*more: str, subprotocol: str | None = "wamp", target: str = "/") -> bytes:
    """A request that opens a WebSocket; ``more`` are further header lines."""
    lines = [
        f"GET {target} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *more,
    ]
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def masked(
    payload: bytes = b"",
    *,
    first: int = 0x81,
    key: bytes | None = b"\x11\x22\x33\x44",
    length: int | None = None,
    form: int | None = None,
) -> bytes:
    """A client's frame; everything about it may be wrong.

    :param first: the first byte: FIN, reserved bits and opcode.
    :param key: the mask; None for an unmasked frame.
    :param length: the length told, if it is not the payload's.
    :param form: 125, 126 or 127 for the form of the length; None for the shortest.
    """
    size = len(payload) if length is None else length
    if form is None:
        form = 125 if size < 126 else 126 if size < 65536 else 127
    bit = 0 if key is None else 0x80
    if form == 125:
        head = bytes((first, bit | size))
    elif form == 126:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    if key is None:
        return head + payload
    # As two numbers: byte by byte takes long for what is long.
    mask = (key * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload) ^ int.from_bytes(mask)
    return head + key + number.to_bytes(len(payload))


@dataclass(frozen=True)
class Frame:
    first: int
    payload: bytes


def frames(data: bytes) -> list[Frame]:
    """The server's frames, which must be whole, unmasked, and of the shortest length form."""
    found = []
    while data:
        first, size = data[0], data[1]
        start = 2
        if size == 126:
            (size,) = struct.unpack("!H", data[2:4])
            assert size > 125
            start = 4
        elif size == 127:
            (size,) = struct.unpack("!Q", data[2:10])
            assert size > 65535
            start = 10
        else:
            assert size < 126, "a server must not mask"
        assert len(data) >= start + size, "a frame is cut"
        found.append(Frame(first, data[start : start + size]))
        data = data[start + size :]
    return found


def change_rules(edge: WebSocketEdge, **changes: Any) -> None:
    """Let other rules decide about the connections that an edge makes from now on."""
    edge.shared = replace(edge.shared, rules=replace(edge.shared.rules, **changes))


class MemoryTransport(StringTransport):
    """Bytes in memory; there is no socket, so the connection writes through the transport."""

    def __init__(self) -> None:
        super().__init__(peerAddress=ADDRESS)

    def getHandle(self) -> object:
        return self


@dataclass
class Peer:
    """The far end of a connection in memory."""

    node: MemoryNode
    connection: Connection
    #: A MemoryTransport; mypy would take its flags for constants.
    transport: Any

    def send(self, data: bytes, cut: Callable[[bytes], list[bytes]] | None = None) -> None:
        """Deliver bytes in one read, or as ``cut`` divides them."""
        for piece in [data] if cut is None else cut(data):
            # Twisted reads nothing more once a connection is being ended.
            if self.transport.disconnecting:
                break
            self.connection.dataReceived(piece)
        self.node.turn()

    def take(self) -> bytes:
        """What the server has sent since the last look."""
        self.node.turn()
        data = self.transport.value()
        self.transport.clear()
        return data

    def open(self, *more: str) -> None:
        """Complete the handshake and take WELCOME."""
        self.send(request(*more))
        answer = self.take()
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), answer
        (welcome,) = frames(rest)
        assert welcome.payload.startswith(b"[0,")

    @property
    def subscriber(self) -> Subscriber:
        """The client, as the broker sees it."""
        conversation = self.connection.conversation
        assert conversation is not None
        assert conversation.subscriber is not None
        return conversation.subscriber

    def become(self, identity: Identity) -> None:
        """The session gets another identity."""
        self.node.node.requests.become(self.subscriber, identity)

    def subscribe(self, topic: str) -> None:
        self.send(masked(f'[5,"{topic}"]'.encode()))

    def lose(self) -> None:
        """The TCP connection is gone."""
        self.transport.connected = False
        self.connection.connectionLost(Failure(ConnectionDone()))
        self.node.turn()


@dataclass
class MemoryNode:
    """An edge and its broker."""

    settings: WebSocketSettings = field(default_factory=WebSocketSettings)
    queue_bytes: int = 1_048_576
    most: int = 1000
    most_per_address: int = 0
    trusted: tuple[str, ...] = ()
    per_second: float = 1000.0
    burst: int = 100_000
    #: Limits of ``[limits]`` on memory, by name.
    kept: dict[str, int] = field(default_factory=dict)
    topics: tuple[TopicSettings, ...] = ()
    #: Whether there is an access log.
    access: bool = False

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        settings = Settings(
            websocket=self.settings,
            zmq=ZmqSettings(pull=()),
            clients=ClientSettings(queue_bytes=self.queue_bytes),
            limits=LimitSettings(
                connections_per_address=self.most_per_address,
                messages_per_second=self.per_second,
                message_burst=self.burst,
                **self.kept,
            ),
            proxy=ProxySettings(trusted=self.trusted),
            topics=self.topics,
            log=LogSettings(access=self.access),
        )
        node = build(settings, self.clock, self.most)
        node.set_publishing(Publishing.EVERYBODY)
        self.node = node
        self.broker = node.broker
        self.pressure = node.backpressure
        self.edge = node.websocket
        self.ledger = node.broker.ledger
        self.ledger._report = reporting_to(self.lines.append)
        self.ledger._now = self.clock.seconds
        self.ledger._log_limiter = LogLimiter(self.clock.seconds)
        self.edge.start()

    def turn(self) -> None:
        """The end of a reactor turn."""
        self.clock.advance(0)

    def connect(self, address: str = ADDRESS.host) -> Peer:
        """A TCP connection, accepted."""
        connection = self.edge.buildProtocol(ADDRESS)
        assert connection is not None
        transport = MemoryTransport()
        transport.peerAddr = IPv4Address("TCP", address, ADDRESS.port)
        connection.makeConnection(transport)
        return Peer(self, connection, transport)

    def open(self, *more: str, address: str = ADDRESS.host) -> Peer:
        """A client that has received WELCOME."""
        peer = self.connect(address)
        peer.open(*more)
        return peer

    def publish(self, topic: str, payload: bytes) -> None:
        self.broker.publish(Publication(topic, payload))
        self.turn()


@dataclass
class Recorded:
    """What a client's bytes led to."""

    inputs: list[tuple[str, bytes]]
    output: list[Frame]
    ended: dict[str, int]
    disconnecting: bool


def record(
    stream: bytes,
    cut: Callable[[bytes], list[bytes]] | None = None,
    *,
    autobahn: bool = False,
    extensions: str | None = None,
    settings: WebSocketSettings | None = None,
) -> Recorded:
    """Send a stream after the handshake and record what became of it.

    :param cut: divides the stream into reads; None for one read.
    :param autobahn: whether Autobahn reads all frames.
    :param extensions: what to offer in Sec-WebSocket-Extensions.
    """
    settings = settings or WebSocketSettings()
    if extensions is not None:
        settings = replace(settings, compression=True)
    node = _node_that_records(settings)
    ended_before = Counter(node.ledger.ended)
    inputs: list[tuple[str, bytes]] = []

    def received(_: object, text: bytes) -> None:
        inputs.append(("text", text))

    def refused(_: object, error: MessageRefused, raw: bytes) -> None:
        inputs.append((error.refusal.code, raw))

    clients: Any = node.node.requests
    clients.on_text = received
    clients.refuse = refused
    peer = node.connect()
    connection: Any = peer.connection
    if autobahn:

        def read_frames(data: bytes) -> None:
            connection.data += data
            connection.consumeData()

        connection.read_frames = read_frames
    peer.open(*([] if extensions is None else [f"Sec-WebSocket-Extensions: {extensions}"]))
    peer.send(stream, cut)
    output = [
        # The parsers may word the reason of a Close frame differently; only its code counts.
        Frame(each.first, each.payload[:2]) if each.first == 0x88 else each
        for each in frames(peer.take())
    ]
    ended = Counter(node.ledger.ended) - ended_before
    disconnecting = peer.transport.disconnecting
    peer.lose()
    return Recorded(
        inputs, output, {reason.code: count for reason, count in ended.items()}, disconnecting
    )


@cache
def _node_that_records(settings: WebSocketSettings) -> MemoryNode:
    """One for all connections with these settings; to build it takes longer than a stream."""
    return MemoryNode(settings)
