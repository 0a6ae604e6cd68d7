"""Slim connections do what Twisted's do, and Twisted's code is the one they were made for."""

# ruff: noqa: N802 (Twisted's names)

from __future__ import annotations

import errno
import inspect
import os
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from types import FunctionType, SimpleNamespace
from typing import Any, NoReturn

import pytest
from twisted.internet import abstract, tcp
from twisted.internet import reactor as installed
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from tests.support.waiting import PATIENCE
from wampush.net.accepting.slim_sockets import (
    AcceptSome,
    SlimServer,
    accept_slim,
    accept_some_in_python,
    accepting,
    slim_server_without_port,
)

reactor: Any = installed
MOST = 4


class Talker(Protocol):
    """Notes what happens to its connection."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: Failure | None = None
        self.on_data: Callable[[bytes], object] = lambda _: None
        self.on_made: Callable[[], object] = lambda: None

    def connectionMade(self) -> None:
        self.on_made()

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.on_data(data)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.lost = reason


class Talkers(Factory):
    """Makes talkers and keeps them."""

    noisy = False

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.addresses: list[Any] = []
        self.prepare: Callable[[Talker], object] = lambda _: None
        self.refuses = False

    def buildProtocol(self, addr: Any) -> Talker | None:
        self.addresses.append(addr)
        if self.refuses:
            return None
        talker = Talker()
        self.prepare(talker)
        self.made.append(talker)
        return talker


def turn_until(holds: Callable[[], bool]) -> None:
    """Turn the reactor until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        reactor.iterate(0.01)


class Rig:
    """A port, and its clients."""

    def __init__(self, interface: str = "127.0.0.1", slim: bool = True) -> None:
        self.factory = Talkers()
        self.port = reactor.listenTCP(0, self.factory, 50, interface)
        if slim:
            accept_slim(self.port, MOST)
        self.clients: list[socket.socket] = []

    def connect(self, data: bytes = b"") -> socket.socket:
        client = socket.create_connection(self.port.socket.getsockname()[:2], PATIENCE)
        self.clients.append(client)
        if data:
            client.sendall(data)
        return client

    def pair(self) -> tuple[socket.socket, Any]:
        """Connect; return the client and the talker."""
        client, before = self.connect(), len(self.factory.made)
        turn_until(lambda: len(self.factory.made) > before)
        return client, self.factory.made[-1]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        turn_until(lambda: all(each.lost for each in self.factory.made))
        self.port.stopListening()
        reactor.iterate(0)


@pytest.fixture(params=[True, False], ids=["slim", "twisted"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Both kinds of transports."""
    made = Rig(slim=request.param)
    yield made
    made.close()


@pytest.fixture
def slim() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def received(client: socket.socket, size: int) -> bytes:
    """Read from a client while the reactor turns."""
    client.setblocking(False)
    data = bytearray()

    def has_all() -> bool:
        try:
            data.extend(client.recv(65_536))
        except BlockingIOError:
            return False
        return len(data) >= size

    turn_until(has_all)
    return bytes(data)


def test_bytes_both_ways(rig: Rig) -> None:
    client, talker = rig.pair()
    client.sendall(b"ping")
    turn_until(lambda: talker.received == b"ping")
    talker.transport.write(b"po")
    talker.transport.writeSequence([b"n", b"g"])
    assert received(client, 4) == b"pong"
    # Once more, after the buffer has been empty.
    talker.transport.writeSequence([b"a", b"b"])
    talker.transport.write(b"c")
    assert received(client, 3) == b"abc"


def test_connections_do_not_share_what_they_write(rig: Rig) -> None:
    pairs = [rig.pair() for _ in range(3)]
    for number, (_, talker) in enumerate(pairs):
        talker.transport.write(b"%d" % number)
    for number, (client, _) in enumerate(pairs):
        assert received(client, 1) == b"%d" % number


def test_more_than_the_socket_takes_is_written_in_order(rig: Rig) -> None:
    client, talker = rig.pair()
    parts = [bytes([number]) * 100_000 for number in range(60)]
    for part in parts:
        talker.transport.write(part)
    assert received(client, 6_000_000) == b"".join(parts)
    assert not talker.transport._tempDataLen


class Producer:
    """A pull producer with so many parts."""

    def __init__(self, transport: Any, parts: int) -> None:
        self.transport = transport
        self.parts = parts
        self.stopped = False

    def resumeProducing(self) -> None:
        if self.parts:
            self.parts -= 1
            self.transport.write(b"x" * 70_000)
        else:
            self.transport.unregisterProducer()

    def stopProducing(self) -> None:
        self.stopped = True


def test_a_producer_is_asked_until_it_has_nothing_left(rig: Rig) -> None:
    client, talker = rig.pair()
    producer = Producer(talker.transport, 20)
    talker.transport.registerProducer(producer, False)
    assert len(received(client, 1_400_000)) == 1_400_000
    turn_until(lambda: talker.transport.producer is None)


def test_a_producer_learns_that_the_client_is_gone(rig: Rig) -> None:
    client, talker = rig.pair()
    producer = Producer(talker.transport, 10_000)
    talker.transport.registerProducer(producer, False)
    client.close()
    turn_until(lambda: talker.lost is not None)
    assert producer.stopped


def test_everything_is_sent_before_the_end(rig: Rig) -> None:
    client, talker = rig.pair()
    talker.transport.write(b"y" * 3_000_000)
    talker.transport.loseConnection()
    assert len(received(client, 3_000_000)) == 3_000_000
    turn_until(lambda: talker.lost is not None)
    assert talker.lost.check(ConnectionDone)
    assert client.recv(1) == b""


def test_one_side_may_be_closed(rig: Rig) -> None:
    client, talker = rig.pair()
    talker.transport.write(b"bye")
    talker.transport.loseWriteConnection()
    assert received(client, 3) == b"bye"
    client.setblocking(True)
    client.settimeout(PATIENCE)
    turn_until(lambda: talker.transport._writeDisconnected)
    assert client.recv(1) == b""
    client.sendall(b"you too")
    turn_until(lambda: talker.received == b"you too")


def test_an_abort_discards_what_waits(rig: Rig) -> None:
    client, talker = rig.pair()
    talker.transport.write(b"z" * 10_000_000)
    reactor.iterate(0)
    talker.transport.abortConnection()
    turn_until(lambda: talker.lost is not None)
    assert talker.lost.check(ConnectionAborted)
    client.settimeout(PATIENCE)

    def read_all() -> None:
        while client.recv(1_000_000):
            pass

    with pytest.raises(ConnectionResetError):
        read_all()


def test_a_reset_ends_the_connection(rig: Rig) -> None:
    client, talker = rig.pair()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    turn_until(lambda: talker.lost is not None)
    assert talker.lost.check(ConnectionLost, ConnectionDone)


def test_a_closed_connection_has_no_descriptor(rig: Rig) -> None:
    client, talker = rig.pair()
    transport = talker.transport
    descriptor = transport.fileno()
    assert descriptor == transport.getHandle().fileno() > 0
    client.close()
    turn_until(lambda: talker.lost is not None)
    assert transport.fileno() == -1
    assert (transport.connected, transport.disconnected) == (0, 1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    # Twice, as after an abort that comes while an error is handled.
    transport.connectionLost(Failure(ConnectionDone()))
    transport.write(b"nobody")
    transport.writeSequence([b"nobody"])


def test_reading_can_be_paused(rig: Rig) -> None:
    client, talker = rig.pair()
    talker.transport.pauseProducing()
    client.sendall(b"later")
    for _ in range(3):
        reactor.iterate(0.001)
    assert talker.received == b""
    talker.transport.resumeProducing()
    turn_until(lambda: talker.received == b"later")


def test_both_addresses(rig: Rig) -> None:
    client, talker = rig.pair()
    assert talker.transport.getPeer() == IPv4Address("TCP", *client.getsockname())
    assert talker.transport.getHost() == IPv4Address("TCP", *client.getpeername())
    assert rig.factory.addresses == [talker.transport.getPeer()]


def test_addresses_of_ipv6() -> None:
    rig = Rig("::1")
    client, talker = rig.pair()
    assert talker.transport.getPeer() == IPv6Address("TCP", *client.getsockname())
    assert talker.transport.getHost() == IPv6Address("TCP", *client.getpeername())
    rig.close()


def test_what_logs_and_errors_say(slim: Rig) -> None:
    client, talker = slim.pair()
    assert talker.transport.logPrefix() == "Talker,127.0.0.1"
    assert repr(talker.transport) == "<Talker from 127.0.0.1>"
    client.close()
    turn_until(lambda: talker.lost is not None)
    assert "127.0.0.1" in talker.transport.logPrefix()
    assert "127.0.0.1" in repr(talker.transport)


def test_a_connection_has_three_attributes(slim: Rig) -> None:
    _, talker = slim.pair()
    assert set(vars(talker.transport)) == {"socket", "protocol", "host"}
    assert talker.transport.reactor is reactor
    assert talker.transport.server is slim.port


def test_connections_share_the_text_of_their_host(slim: Rig) -> None:
    hosts = [slim.pair()[1].transport.host for _ in range(2)]
    assert hosts[0] == "127.0.0.1"
    assert hosts[0] is hosts[1]


def test_the_port_of_a_client_is_not_known_once_it_is_gone(slim: Rig) -> None:
    client, talker = slim.pair()
    assert talker.transport.client == client.getsockname()
    client.close()
    turn_until(lambda: talker.lost is not None)
    assert talker.transport.client == ("127.0.0.1", 0)


def test_a_factory_may_need_no_object_for_an_address() -> None:
    class ForHosts(Talkers):
        def build_for_host(self, host: str) -> Talker | None:
            return self.buildProtocol(host)

    rig = Rig(slim=False)
    rig.port.factory = rig.factory = ForHosts()
    accept_slim(rig.port, MOST)
    rig.pair()
    assert rig.factory.addresses == ["127.0.0.1"]
    rig.close()


def test_a_turn_accepts_a_bounded_number(slim: Rig) -> None:
    for _ in range(MOST + 2):
        slim.connect()
    slim.port.doRead()
    assert len(slim.factory.made) == MOST
    slim.port.doRead()
    slim.port.doRead()
    assert len(slim.factory.made) == MOST + 2


def test_what_has_come_is_read_at_once(slim: Rig) -> None:
    slim.connect(b"GET /")
    slim.port.doRead()
    (talker,) = slim.factory.made
    assert talker.received == b"GET /"


def test_an_end_that_has_come_is_left_to_the_reactor(slim: Rig) -> None:
    slim.connect().close()
    slim.port.doRead()
    assert [each.lost for each in slim.factory.made] == [None]
    turn_until(lambda: slim.factory.made[0].lost is not None)
    assert slim.factory.made[0].lost.check(ConnectionDone)


def test_a_connection_that_is_aborted_at_once_is_not_read(slim: Rig) -> None:
    def prepare(talker: Any) -> None:
        talker.on_made = lambda: talker.transport.abortConnection()  # noqa: PLW0108 - later

    slim.factory.prepare = prepare
    slim.connect(b"GET /")
    slim.port.doRead()
    (talker,) = slim.factory.made
    assert talker.received == b""
    turn_until(lambda: talker.lost is not None)


def test_a_connection_that_is_lost_at_once_is_not_read(slim: Rig) -> None:
    def prepare(talker: Any) -> None:
        talker.on_made = lambda: talker.transport.connectionLost(Failure(ConnectionDone()))

    slim.factory.prepare = prepare
    slim.connect(b"GET /")
    slim.port.doRead()
    (talker,) = slim.factory.made
    assert talker.received == b""
    assert talker.lost is not None


def test_a_connection_that_nobody_wants_is_closed(slim: Rig) -> None:
    slim.factory.refuses = True
    client = slim.connect()
    slim.port.doRead()
    assert client.recv(1) == b""


@pytest.fixture
def failures() -> Iterator[list[str]]:
    """What is logged with a traceback."""
    found: list[str] = []

    def observe(event: LogEvent) -> None:
        if "log_failure" in event:
            found.append(str(event["log_format"]).format(**event))

    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    yield found
    globalLogPublisher.removeObserver(observer)


def fail(*_: object) -> None:
    raise RuntimeError("a defect")


def test_a_protocol_that_fails_ends_its_own_connection_only(slim: Rig, failures: list[str]) -> None:
    def prepare(talker: Talker) -> None:
        if not slim.factory.made:
            talker.on_data = fail

    slim.factory.prepare = prepare
    first, second = slim.connect(b"x"), slim.connect(b"y")
    slim.port.doRead()
    assert [each.received for each in slim.factory.made] == [b"x", b"y"]
    assert failures == ["could not begin the connection from 127.0.0.1"]
    turn_until(lambda: slim.factory.made[0].lost is not None)
    assert slim.factory.made[1].lost is None
    with pytest.raises(ConnectionResetError):
        first.recv(1)
    assert second.fileno() > 0


def test_a_factory_that_fails_leaves_no_socket(slim: Rig, failures: list[str]) -> None:
    slim.factory.prepare = fail
    client = slim.connect()
    slim.port.doRead()
    assert client.recv(1) == b""
    assert len(failures) == 1


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A socket that listens, and does not block."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


@pytest.mark.parametrize("accept_some", [accept_some_in_python, accepting()])
def test_what_waits_is_accepted(listening: socket.socket, accept_some: AcceptSome) -> None:
    with pytest.raises(BlockingIOError):
        accept_some(listening, MOST)
    clients = [socket.create_connection(listening.getsockname(), PATIENCE) for _ in range(MOST + 1)]
    accepted = accept_some(listening, MOST) + accept_some(listening, MOST)
    assert [address for _, address in accepted] == [each.getsockname() for each in clients]
    for descriptor, _ in accepted:
        assert not os.get_blocking(descriptor)
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)
    for each in clients:
        each.close()


def test_python_accepts_where_the_extension_cannot() -> None:
    assert accepting(None) is accept_some_in_python
    assert accepting(SimpleNamespace()) is accept_some_in_python


def test_the_extension_is_given_the_descriptor(listening: socket.socket) -> None:
    given: list[tuple[int, int]] = []
    extension = SimpleNamespace(accept_some=lambda *each: given.append(each))
    accepting(extension)(listening, MOST)
    assert given == [(listening.fileno(), MOST)]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ECONNABORTED, errno.EPERM])
def test_errors_of_accepting_are_left_to_twisted(
    slim: Rig, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    acceptor = slim.port.doRead.__self__

    def fail(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(
        acceptor, "_accept_by_twisted", lambda: asked.append(slim.port.numberAccepts)
    )
    monkeypatch.setattr(acceptor, "_accept_some", fail)
    slim.port.doRead()
    assert asked == [MOST]


def test_a_link_local_address_names_its_interface(
    slim: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getnameinfo", lambda *_: ("fe80::1%eth0", "80"))
    monkeypatch.setattr(slim.port, "_buildAddr", lambda address: address)
    acceptor = slim.port.doRead.__self__
    ours, theirs = socket.socketpair()
    with theirs:
        acceptor._begin(ours, ("fe80::1", 80, 0, 2))
        assert slim.factory.addresses == [("fe80::1%eth0", 80, 0, 2)]
        assert slim.factory.made[0].transport.client[0] == "fe80::1%eth0"
    turn_until(lambda: slim.factory.made[0].lost is not None)


def test_connections_of_other_processes_share_a_class() -> None:
    kind = slim_server_without_port(reactor, socket.AF_INET)
    assert slim_server_without_port(reactor, socket.AF_INET) is kind
    assert slim_server_without_port(reactor, socket.AF_INET6) is not kind
    assert vars(kind)["server"] is None


# A new Twisted. What is tested here are assumptions of the module, not what Twisted promises.


def code_of(kind: type) -> dict[str, FunctionType]:
    """The functions that a class defines itself."""
    return {name: each for name, each in vars(kind).items() if isinstance(each, FunctionType)}


INHERITED = [each for each in SlimServer.__mro__ if each.__module__.startswith("twisted.")]


def attributes_set_by_twisted() -> set[str]:
    rig = Rig(slim=False)
    _, talker = rig.pair()
    found = set(vars(talker.transport))
    rig.close()
    return found


def test_twisted_sets_no_other_attributes() -> None:
    """Each of these is on the class, made when it is asked for, or not needed."""
    assert attributes_set_by_twisted() == {
        "reactor",
        "_tempDataBuffer",
        "_tempDataLen",
        "socket",
        "fileno",
        "protocol",
        "server",
        "client",
        "sessionno",
        "hostname",
        "logstr",
        "repstr",
        "connected",
    }


def test_only_known_methods_use_the_buffer_that_is_shared_while_empty() -> None:
    users = {
        name
        for kind in INHERITED
        for name, function in code_of(kind).items()
        if "_tempDataBuffer" in function.__code__.co_names
    }
    # The first is not called here, the last replaces it, and the others are overridden.
    assert users == {"__init__", "write", "writeSequence", "doWrite"}
    assert "self._tempDataBuffer = []" in inspect.getsource(abstract.FileDescriptor.doWrite)


@pytest.mark.parametrize("name", ["logstr", "repstr", "hostname", "sessionno"])
def test_no_inherited_method_needs_the_texts(name: str) -> None:
    users = {
        each
        for kind in INHERITED
        for each, function in code_of(kind).items()
        if name in function.__code__.co_names
    }
    assert users <= {"__init__", "logPrefix", "__repr__", "_fromConnectedSocket"}


def test_the_transport_of_a_port_may_be_replaced() -> None:
    documentation = re.sub(r"\s+", " ", tcp.Port.__doc__ or "")
    assert "C{transport} attribute will be called with the signature expected for" in documentation
    assert list(inspect.signature(tcp.Server.__init__).parameters) == [
        "self",
        "sock",
        "protocol",
        "client",
        "server",
        "sessionno",
        "reactor",
    ]


def test_sockets_accept_as_before() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    with listening, socket.create_connection(listening.getsockname(), PATIENCE) as client:
        descriptor, address = listening._accept()  # type: ignore[attr-defined]
        kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        accepted = socket.SocketType(socket.AF_INET, kind, 0, descriptor)
        assert accepted.gettimeout() == 0
        assert accepted.type == socket.SOCK_STREAM
        assert address == client.getsockname()
        assert accepted.getpeername() == address
        assert not os.get_inheritable(descriptor)
        accepted.close()
