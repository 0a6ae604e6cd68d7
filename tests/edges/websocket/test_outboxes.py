"""The two ways of bytes to a socket: order, whole frames, limits, ends."""

# ruff: noqa: N802 (Twisted's names)

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import random
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor as installed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.edges.websocket.in_memory import MemoryNode, frames, masked, request
from tests.edges.websocket.wire import Wire
from tests.support.log_lines import reporting_to
from tests.support.waiting import PATIENCE
from wampush.broker.delivery.backpressure import PATIENCE as PRESSURE_PATIENCE
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.catch_up import READ_BYTES, ReadOn, Refill
from wampush.broker.delivery.catch_up_turns import CatchUpTurns
from wampush.broker.delivery.chunks import SLICE_BYTES
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.ledger import Ledger
from wampush.broker.publication import Position, Publication
from wampush.edges.websocket.closing import Closing, WaitFor
from wampush.edges.websocket.connection import Connection
from wampush.edges.websocket.lifecycle import Event
from wampush.edges.websocket.outboxes import (
    ClientOutbox,
    SocketOutbox,
    TlsOutbox,
    TransportOutbox,
    outbox_for,
)
from wampush.edges.websocket.timer_wheel import TimerWheel
from wampush.errors import CloseReason
from wampush.net import listeners
from wampush.net.tls import KeyedReactor
from wampush.net.tls_handshakes import FailedHandshakes

reactor: Any = installed


class Rig:
    """An outbox on a wire, and the fan-out that fills it."""

    def __init__(
        self, kind: type[ClientOutbox], limit: int = 1_048_576, total: int = 10**9
    ) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        self.wire = Wire()
        self.pressure = Backpressure(total, self.clock.callLater)
        self.ledger = Ledger(self.clock.seconds, reporting_to(self.lines.append))
        self.fanout = Fanout(
            lambda flush: self.clock.callLater(0, flush),
            self.pressure,
            self.ledger,
            seconds=self.clock.seconds,
        )
        self.overflows = 0
        #: mypy would take its flags for constants.
        self.outbox: Any = kind(self.wire, limit, self.pressure, self)
        self.queued = bytearray()
        self.closing: Closing | None = None
        self.events: list[Event] = []

    @property
    def address_name(self) -> str | None:
        return "192.0.2.1"

    def on_overflow(self) -> None:
        self.overflows += 1
        self.outbox.close()

    def queue(self, data: bytes) -> None:
        self.queued += data
        self.fanout.send(self.outbox, data)

    def turn(self, capacity: int = 0) -> None:
        self.clock.advance(0)
        self.wire.turn(capacity)
        if self.wire.ended and self.closing is not None:
            self.closing.cancel()

    def catch_up(self, read_on: ReadOn) -> None:
        turns = CatchUpTurns(lambda give: self.clock.callLater(0, give), self.clock.seconds)
        self.outbox.begin_catch_up("t", Position("e", 0), read_on, turns)

    def finish(self) -> None:
        self.fanout.end_batch()
        reactor: Any = self.clock
        wheel = TimerWheel(reactor, 1.0)
        self.closing = self.outbox.finish(wheel, self.events.append, wait_for=WaitFor.NOTHING)
        self.closing.start()


KINDS: tuple[type[ClientOutbox], ...] = (SocketOutbox, TlsOutbox, TransportOutbox)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> type[ClientOutbox]:
    kind: type[ClientOutbox] = request.param
    return kind


def test_what_the_wire_takes_is_gone_at_the_end_of_the_turn(kind: type[ClientOutbox]) -> None:
    rig = Rig(kind)
    rig.wire.capacity = 100
    rig.queue(b"one")
    rig.queue(b"two")
    assert rig.wire.sent == b""
    rig.turn()
    assert rig.wire.sent == b"onetwo"
    assert rig.outbox.queued == 0
    assert not rig.outbox.blocked
    assert rig.pressure.total == 0


class Sending:
    """A socket that sends by a function."""

    def __init__(self, send: Callable[[bytes], int]) -> None:
        self.send = send


def test_one_turn_is_one_send() -> None:
    rig = Rig(SocketOutbox)
    sends: list[int] = []
    original = rig.wire.send

    def send(data: bytes) -> int:
        sends.append(len(data))
        return original(data)

    rig.outbox._socket = Sending(send)
    rig.wire.capacity = 10_000
    for _ in range(5):
        rig.queue(b"x" * 100)
    rig.turn()
    assert sends == [500]


def test_a_blocked_wire_counts_and_resumes() -> None:
    rig = Rig(SocketOutbox)
    rig.queue(b"a" * 1000)
    rig.turn(10)
    rig.queue(b"b" * 500)
    rig.turn()
    assert rig.outbox.blocked
    assert len(rig.wire.sent) == 10
    assert rig.outbox.queued >= 500
    assert rig.pressure.total == rig.outbox.queued
    rig.turn(990)
    assert rig.wire.sent == b"a" * 1000
    rig.turn(500)
    assert rig.wire.sent == rig.queued
    assert not rig.outbox.blocked
    assert rig.outbox.queued == 0
    assert rig.pressure.total == 0
    rig.queue(b"c")
    rig.turn(1)
    assert rig.wire.sent == rig.queued


def test_the_transport_holds_a_slice_only() -> None:
    rig = Rig(SocketOutbox, limit=10 * SLICE_BYTES)
    for _ in range(40):
        rig.queue(b"x" * (SLICE_BYTES // 8))
    rig.turn()
    assert rig.outbox.blocked
    held = len(rig.wire.dataBuffer) + sum(map(len, rig.wire._tempDataBuffer))
    assert held <= SLICE_BYTES * 9 // 8 or len(rig.outbox.chunks) == 0
    rig.turn(10**9)
    assert rig.wire.sent == rig.queued


def test_a_client_that_reads_a_large_event_steadily_is_not_dropped(
    kind: type[ClientOutbox],
) -> None:
    rig = Rig(kind, limit=4 * 1_048_576, total=100_000)
    rig.queue(b"x" * 1_048_576)
    rig.turn()
    assert rig.pressure.paused
    # 300 kB per second: the whole event takes longer than the patience with one that reads nothing.
    for _ in range(8):
        rig.turn(150_000)
        rig.clock.advance(PRESSURE_PATIENCE / 2)
    assert rig.overflows == 0
    assert rig.wire.sent == rig.queued
    assert (rig.pressure.paused, rig.pressure.total) == (False, 0)


def test_a_client_that_reads_nothing_of_a_large_event_is_dropped(kind: type[ClientOutbox]) -> None:
    rig = Rig(kind, limit=4 * 1_048_576, total=100_000)
    rig.queue(b"x" * 1_048_576)
    rig.turn(1000)
    rig.clock.advance(PRESSURE_PATIENCE)
    assert rig.overflows == 1
    assert rig.pressure.total == 0


def test_clients_that_do_not_read_share_a_large_event() -> None:
    event = b"x" * 1_048_576
    rigs = [Rig(SocketOutbox, limit=4 * 1_048_576) for _ in range(3)]
    for rig in rigs:
        rig.queue(b"before")
        rig.queue(event)
        rig.turn(1000)
        rest = rig.outbox.chunks[-1]
        assert isinstance(rest, memoryview)
        assert rest.obj is event
        rig.turn(10**9)
        assert rig.wire.sent == b"before" + event


def test_a_newer_event_does_not_replace_the_rest_of_a_frame(kind: type[ClientOutbox]) -> None:
    rig = Rig(kind, limit=4 * 1_048_576)
    first = b"f" * 300_000
    rig.queue(first)
    rig.turn()
    large, small = b"l" * 1_048_576, b"s" * 10
    assert not rig.outbox.replace_latest("t", large)
    while rig.outbox.chunks[0][:1] != b"l" or len(rig.outbox.chunks[0]) == len(large):
        rig.turn(50_000)
    assert not rig.outbox.replace_latest("t", small)
    rig.turn(10**9)
    assert rig.wire.sent == first + large + small


def test_a_client_that_is_behind_reads_on_as_the_wire_takes_it(kind: type[ClientOutbox]) -> None:
    rig = Rig(kind)
    frames = [b"%05d" % number * 1000 for number in range(100)]
    most = 0

    def read_on(topic: str, position: Position, size: int) -> Refill | None:
        nonlocal most
        assert (topic, position.epoch, size) == ("t", "e", READ_BYTES)
        most = max(most, rig.outbox.queued)
        after = position.offset + 1
        return Refill(frames[position.offset], Position("e", after) if after < 100 else None)

    while not rig.outbox.blocked:
        rig.queue(b"f" * 70_000)
        rig.turn()
    rig.catch_up(read_on)
    while rig.outbox.blocked:
        assert rig.outbox.queued
        rig.turn(10_000)
    # Twisted's transports keep some.
    rig.turn(10**9)
    assert rig.wire.sent == rig.queued + b"".join(frames)
    assert rig.outbox.catch_up is None
    assert rig.outbox.queued == rig.pressure.total == 0
    assert most < 2 * 70_000 + 2 * SLICE_BYTES
    rig.queue(b"end")
    rig.turn(10)
    assert rig.wire.sent.endswith(b"end")


def test_a_client_that_cannot_read_on_is_dropped(kind: type[ClientOutbox]) -> None:
    rig = Rig(kind)
    while not rig.outbox.blocked:
        rig.queue(b"f" * 70_000)
        rig.turn()
    rig.catch_up(lambda *_: None)
    rig.turn(10**9)
    rig.turn()
    assert rig.overflows == 1
    assert rig.outbox.closed
    assert rig.pressure.total == 0
    assert rig.wire.sent == rig.queued


def test_over_the_limit_the_queue_is_freed(kind: type[ClientOutbox]) -> None:
    rig = Rig(kind, limit=1000)
    for _ in range(200):
        rig.queue(b"x" * 100)
        rig.turn()
        if kind is TransportOutbox and not rig.outbox.blocked and not rig.outbox.closed:
            # Twisted's transports are stuffed at 64 KiB.
            rig.queue(b"y" * 70_000)
            rig.turn()
    assert rig.overflows == 1
    assert rig.outbox.closed
    assert rig.outbox.chunks == []
    assert rig.pressure.total == 0
    rig.queue(b"more")
    rig.turn(10**6)
    assert rig.overflows == 1


def test_one_large_chunk_is_taken_when_nothing_waits(kind: type[ClientOutbox]) -> None:
    rig = Rig(kind, limit=1000)
    rig.queue(b"x" * 5000)
    rig.turn(10_000)
    assert rig.overflows == 0
    assert rig.wire.sent == rig.queued


def test_a_reset_in_the_middle_of_a_flush(kind: type[ClientOutbox]) -> None:
    rig = Rig(kind)
    rig.queue(b"a" * 1000)
    rig.turn(10)
    rig.queue(b"b" * 1000)
    rig.wire.broken = True
    rig.turn()
    rig.queue(b"c")
    rig.turn(100)
    assert len(rig.wire.ended) == 1
    assert rig.outbox.closed
    assert rig.outbox.chunks == []
    assert rig.pressure.total == 0
    assert rig.queued.startswith(rig.wire.sent)


def test_a_reset_on_the_direct_way() -> None:
    rig = Rig(SocketOutbox)
    rig.wire.broken = True
    rig.queue(b"a")
    rig.turn()
    assert rig.outbox.closed
    assert rig.overflows == 0, "the reactor reports the loss; the client is not slow"
    rig.queue(b"b")
    rig.finish()
    rig.turn()


def test_a_transport_that_is_gone_when_it_blocks() -> None:
    rig = Rig(SocketOutbox)
    rig.wire.connectionLost(Failure(ConnectionLost()))
    rig.queue(b"a")
    rig.turn()
    assert rig.outbox.closed
    assert rig.pressure.total == 0


@pytest.mark.parametrize("capacity", [0, 1, 999, 1000, 10**6])
def test_finish_delivers_everything_and_ends(kind: type[ClientOutbox], capacity: int) -> None:
    rig = Rig(kind)
    rig.wire.capacity = capacity
    rig.queue(b"a" * 1000)
    rig.turn()
    rig.queue(b"b" * 200_000)
    rig.turn()
    rig.queue(b"c" * 1000)
    rig.finish()
    assert rig.outbox.closed
    expected = bytes(rig.queued)
    rig.queue(b"too late")
    while rig.wire.selector.writing:
        assert not rig.wire.ended
        rig.turn(50_000)
    assert rig.wire.sent == expected
    assert len(rig.wire.ended) == 1
    assert rig.pressure.total == 0
    assert rig.events == [Event.SENT]


def test_finish_of_an_idle_outbox_ends_at_once(kind: type[ClientOutbox]) -> None:
    rig = Rig(kind)
    rig.finish()
    rig.turn(1)
    assert len(rig.wire.ended) == 1
    assert rig.wire.sent == b""


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("queue"), st.sampled_from([1, 10, 126, 3000, 70_000, 140_000])),
        st.tuples(st.just("end of turn"), st.just(0)),
        st.tuples(st.just("capacity"), st.sampled_from([1, 5, 100, 5000, 100_000, 10**6])),
    ),
    max_size=40,
)


@given(STEPS, st.sampled_from(["go on", "finish", "break"]), st.sampled_from(KINDS))
def test_the_wire_sees_a_prefix_whatever_happens(
    steps: list[tuple[str, int]], end: str, kind: type[ClientOutbox]
) -> None:
    rig = Rig(kind, limit=10**8)
    chunks = random.Random(1)  # the bytes only have to differ
    for step, size in steps:
        if step == "queue":
            rig.queue(chunks.randbytes(size))
        elif step == "end of turn":
            rig.turn()
        else:
            rig.wire.turn(size)
        assert rig.queued.startswith(rig.wire.sent)
        assert rig.pressure.total == (rig.outbox.queued if rig.outbox.blocked else 0)
    if end == "break":
        rig.wire.broken = True
        rig.queue(b"more")
        rig.turn(1)
        rig.turn(1)
        assert rig.queued.startswith(rig.wire.sent)
    else:
        if end == "finish":
            rig.finish()
        for _ in range(300):
            rig.turn(10**6)
        assert rig.wire.sent == rig.queued
        assert bool(rig.wire.ended) == (end == "finish")
    assert rig.pressure.total == 0
    assert rig.overflows == 0


# Real sockets.


class Loop:
    """Turns the real reactor, with the node's own clock for the end of a turn."""

    def __init__(self, node: MemoryNode) -> None:
        self.node = node

    def turn(self) -> None:
        reactor.iterate(0.001)
        self.node.turn()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            self.turn()


class SmallBuffers:
    """A factory whose connections have the smallest send buffer that the system gives."""

    def __init__(self, node: MemoryNode) -> None:
        self.edge = node.edge
        self.made: weakref.WeakSet[Connection] = weakref.WeakSet()

    def doStart(self) -> None:
        pass

    def doStop(self) -> None:
        pass

    def buildProtocol(self, address: Any) -> Connection:
        connection = self.edge.buildProtocol(address)
        assert isinstance(connection, Connection)
        made = connection.connectionMade

        def connection_made() -> None:
            connection.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            del connection.connectionMade
            made()

        connection.connectionMade = connection_made  # type: ignore[method-assign]
        self.made.add(connection)
        return connection


class Reader:
    """A client that reads as much as the test says, through a small buffer."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(request() + masked(b'[5,"t"]') + masked(b'[2,"first","p"]'))
        self.socket.setblocking(False)
        self.data = bytearray()
        self.ended = ""

    def read(self, size: int = 1 << 20) -> None:
        try:
            data = self.socket.recv(size)
        except BlockingIOError:
            return
        except ConnectionResetError:
            self.ended = "reset"
            return
        self.data += data
        if not data:
            self.ended = "end"

    def messages(self) -> list[bytes]:
        _, _, stream = bytes(self.data).partition(b"\r\n\r\n")
        return [frame.payload for frame in frames(stream)]


@contextlib.contextmanager
def small_buffers(node: MemoryNode) -> Iterator[tuple[Loop, Reader, Connection]]:
    """A real TCP connection that takes a few KB at a time."""
    factory = SmallBuffers(node)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    loop = Loop(node)
    reader = Reader(port.getHost().port)
    try:

        def subscribed() -> bool:
            reader.read()
            return b'"first"' in reader.data

        loop.until(subscribed)
        yield loop, reader, next(iter(factory.made))
    finally:
        reader.socket.close()
        port.stopListening()
        loop.until(lambda: not node.edge.connections)


def test_order_and_whole_frames_with_direct_and_buffered_sends() -> None:
    node = MemoryNode(queue_bytes=10**8)
    dice = random.Random(7)
    with small_buffers(node) as (loop, reader, connection):
        outbox = connection.outbox
        assert isinstance(outbox, SocketOutbox)
        expected: list[bytes] = []
        ways = {"direct": 0, "blocked": 0}
        for number in range(400):
            size = dice.choice((1, 10, 130, 1000, 5000, 70_000 if number % 20 == 0 else 10))
            payload = f'"{number} {"x" * size}"'.encode()
            ways["blocked" if outbox.blocked else "direct"] += 1
            if number % 7 == 3:
                # A reply in between, asked for by the client.
                call = f"call {number}"
                assert connection.conversation is not None
                connection.conversation.on_text(f'[2,"{call}","p"]'.encode())
                expected.append(call.encode())
            node.broker.publish(Publication("t", payload))
            expected.append(b'[8,"t",' + payload + b"]")
            if dice.random() < 0.5:
                loop.turn()
            for _ in range(dice.randrange(4)):
                reader.read(dice.choice((1, 100, 3000, 100_000)))
            if dice.random() < 0.03:

                def caught_up(outbox: SocketOutbox = outbox) -> bool:
                    reader.read()
                    return not outbox.queued

                loop.until(caught_up)
        connection.end(CloseReason.SERVER_STOPPED)

        def ended() -> bool:
            reader.read()
            return bool(reader.ended)

        loop.until(ended)
        assert reader.ended == "end"
        seen = reader.messages()[2:]
        assert len(seen) == len(expected)
        for got, wanted in zip(seen, expected, strict=True):
            assert wanted in got
        assert min(ways.values()) > 20, ways
    assert node.pressure.total == 0


def test_a_client_that_reads_nothing_is_dropped_and_its_memory_freed() -> None:
    node = MemoryNode(queue_bytes=200_000)
    with small_buffers(node) as (loop, reader, connection):
        outbox = connection.outbox
        assert outbox is not None
        left = weakref.ref(connection)
        payload = b'"' + b"x" * 10_000 + b'"'
        most = 0
        for _ in range(100):
            node.broker.publish(Publication("t", payload))
            loop.turn()
            most = max(most, 0 if outbox.closed else outbox.queued)
        assert node.ledger.ended == {CloseReason.SLOW_CLIENT: 1}
        assert most <= 200_000
        assert outbox.closed
        assert outbox.chunks == []
        assert node.pressure.total == 0
        loop.until(lambda: not node.edge.connections)
        del connection, outbox

        def reset() -> bool:
            reader.read()
            return bool(reader.ended)

        loop.until(reset)
        assert reader.ended == "reset", "an abort, so that a client knows that it missed events"
    # Twisted's server transports are part of cycles, so they wait for the collector.
    gc.collect()
    assert node.broker.sessions == {}
    assert node.broker.subscriptions.topic_count == 0
    assert left() is None


def test_a_client_that_resets_while_it_is_blocked() -> None:
    node = MemoryNode(queue_bytes=10**7)
    with small_buffers(node) as (loop, reader, connection):
        outbox = connection.outbox
        assert outbox is not None

        def blocked() -> bool:
            node.broker.publish(Publication("t", b'"' + b"x" * 5000 + b'"'))
            return outbox.blocked

        loop.until(blocked)
        reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        reader.socket.close()
        loop.until(lambda: not node.edge.connections)
        assert outbox.closed
    assert node.ledger.ended == {CloseReason.PEER_LOST: 1}
    assert node.pressure.total == 0


# TLS.


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost; returns the files of key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_file, certificate_file = folder / "key.pem", folder / "certificate.pem"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key_file, certificate_file


class TlsReader(threading.Thread):
    """A client over TLS that reads to the end."""

    def __init__(self, port: int, certificate: Path, *, reads: bool = True) -> None:
        super().__init__(daemon=True)
        self._tls = ssl.create_default_context(cafile=str(certificate))
        self._port = port
        self.reads = threading.Event()
        if reads:
            self.reads.set()
        self.subscribed = threading.Event()
        self.data = bytearray()
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            with (
                socket.create_connection(("127.0.0.1", self._port), PATIENCE) as plain,
                self._tls.wrap_socket(plain, server_hostname="localhost") as secure,
            ):
                secure.sendall(request() + masked(b'[5,"t"]') + masked(b'[2,"first","p"]'))
                while b'"first"' not in self.data:
                    self.data += secure.recv(4096)
                self.subscribed.set()
                self.reads.wait(PATIENCE)
                while data := secure.recv(1 << 16):
                    self.data += data
        except OSError as error:
            self.error = error

    def messages(self) -> list[bytes]:
        return [frame.payload for frame in frames(bytes(self.data).partition(b"\r\n\r\n")[2])]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("tls"))


@contextlib.contextmanager
def over_tls(
    node: MemoryNode, certificate: tuple[Path, Path], direct: bool, *, reads: bool
) -> Iterator[tuple[Loop, TlsReader, Connection]]:
    key_file, certificate_file = certificate
    listening: Any = KeyedReactor(reactor, FailedHandshakes()) if direct else reactor
    port = listeners.listen(
        listening,
        f"ssl:0:interface=127.0.0.1:privateKey={key_file}:certKey={certificate_file}",
        node.edge,
    )
    loop = Loop(node)
    reader = TlsReader(port.getHost().port, certificate_file, reads=reads)
    try:
        loop.until(lambda: reader.subscribed.is_set() or not reader.is_alive())
        assert reader.error is None, reader.error
        (connection,) = node.edge.connections
        yield loop, reader, connection
    finally:
        reader.reads.set()
        port.stopListening()
        loop.until(lambda: not reader.is_alive() and not node.edge.connections)


#: Whether TLS is on the socket, or Twisted's.
on_both_kinds_of_tls = pytest.mark.parametrize("direct", [True, False], ids=["direct", "twisted"])


@on_both_kinds_of_tls
def test_events_over_tls_arrive_whole_and_in_order(
    certificate: tuple[Path, Path], direct: bool
) -> None:
    node = MemoryNode(queue_bytes=10**8)
    dice = random.Random(3)
    with over_tls(node, certificate, direct, reads=True) as (loop, reader, connection):
        assert type(connection.outbox) is (TlsOutbox if direct else TransportOutbox)
        expected = []
        for number in range(300):
            size = dice.choice((1, 100, 1000, 20_000, 200_000 if number % 30 == 0 else 1))
            payload = f'"{number} {"x" * size}"'.encode()
            node.broker.publish(Publication("t", payload))
            expected.append(b'[8,"t",' + payload + b"]")
            if dice.random() < 0.5:
                loop.turn()
        connection.end(CloseReason.SERVER_STOPPED)
        loop.until(lambda: not reader.is_alive())
        assert reader.error is None
        assert reader.messages()[2:] == expected
    assert node.pressure.total == 0
    assert node.ledger.ended == {CloseReason.SERVER_STOPPED: 1}


@on_both_kinds_of_tls
def test_finish_over_tls_delivers_what_waits_for_a_full_transport(
    certificate: tuple[Path, Path], direct: bool
) -> None:
    node = MemoryNode(queue_bytes=10**8)
    with over_tls(node, certificate, direct, reads=False) as (loop, reader, connection):
        outbox = connection.outbox
        assert outbox is not None
        count = 0
        while not outbox.blocked or count < 1000:
            node.broker.publish(Publication("t", f'"{count} {"x" * 10_000}"'.encode()))
            count += 1
            loop.turn()
        assert outbox.chunks
        connection.end(CloseReason.SERVER_STOPPED)
        reader.reads.set()
        loop.until(lambda: not reader.is_alive())
        assert reader.error is None
        seen = reader.messages()[2:]
        assert [int(text[len(b'[8,"t","') :].split()[0]) for text in seen] == list(range(count))
    assert node.pressure.total == 0


@on_both_kinds_of_tls
def test_a_slow_client_over_tls_is_dropped(certificate: tuple[Path, Path], direct: bool) -> None:
    node = MemoryNode(queue_bytes=500_000)
    with over_tls(node, certificate, direct, reads=False) as (loop, _, connection):
        outbox = connection.outbox
        assert outbox is not None

        def dropped() -> bool:
            node.broker.publish(Publication("t", b'"' + b"x" * 50_000 + b'"'))
            return outbox.closed

        loop.until(dropped)
        loop.until(lambda: not node.edge.connections)
        assert outbox.chunks == []
        assert connection.outbox is None
    assert node.ledger.ended == {CloseReason.SLOW_CLIENT: 1}
    assert node.pressure.total == 0


def test_the_kind_of_outbox_depends_on_the_handle() -> None:
    pressure = Backpressure(1000, Clock().callLater)
    owner = Rig(TransportOutbox)
    wire = Wire()
    assert type(outbox_for(wire, 1000, pressure, owner)) is TransportOutbox
    wire = Wire()
    with socket.socket() as plain:
        wire.getHandle = lambda: plain  # type: ignore[method-assign, assignment, return-value]
        assert type(outbox_for(wire, 1000, pressure, owner)) is SocketOutbox


def test_what_is_sent_can_be_counted(kind: type[ClientOutbox]) -> None:
    rig = Rig(kind)
    counted: list[int] = []
    rig.outbox.count_sent(counted.append)
    rig.wire.capacity = 4
    rig.queue(b"abcdef")
    rig.turn()
    rig.queue(b"while it is blocked")
    rig.turn(3)
    rig.finish()
    for _ in range(10):
        rig.turn(10)
    assert rig.wire.sent == rig.queued
    assert sum(counted) == len(rig.queued)
