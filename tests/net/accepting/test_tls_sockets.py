"""TLS on the socket: records in pieces, either direction waiting for the other, and every end."""

# ruff: noqa: N802 (Twisted's names)

from __future__ import annotations

import contextlib
import inspect
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet import abstract, tcp
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor

from tests.support.certificates import Certificate, make_certificate
from tests.support.tls_pair import Talker, TlsPair
from wampush.config.tables.network import TlsSettings
from wampush.net.accepting import tls_sockets
from wampush.net.accepting.slim_sockets import SlimServer
from wampush.net.accepting.tls_sockets import RECORD_BYTES, TlsServer, secure
from wampush.net.tls import ServerContext
from wampush.net.tls_handshakes import FailedHandshakes


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


class Pair(TlsPair):
    """With a count of the handshakes that have failed.

    :param certificate: of the server.
    :param client: the context of the client; None for one that trusts the certificate.
    :param more: settings of ``[tls]``.
    """

    def __init__(
        self,
        certificate: Certificate,
        client: ssl.SSLContext | None = None,
        *,
        small: bool = False,
        twisted: bool = False,
        **more: Any,
    ) -> None:
        self.failed = FailedHandshakes()
        more |= {"certificate": str(certificate.certificate), "key": str(certificate.key)}
        contexts = ServerContext(TlsSettings(**more), self.failed)
        client = certificate.context() if client is None else client
        super().__init__(contexts, client, small=small, twisted=twisted)


Pairs = Callable[..., Pair]


@pytest.fixture
def pairs(certificate: Certificate) -> Iterator[Pairs]:
    """Makes pairs, and ends them."""
    with contextlib.ExitStack() as stack:

        def make(client: ssl.SSLContext | None = None, **how: Any) -> Pair:
            made = Pair(certificate, client, **how)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture(params=[False, True], ids=["direct", "twisted"])
def either(request: pytest.FixtureRequest, pairs: Pairs) -> Pair:
    """Ours and Twisted's TLS, on a socket that takes less than a record."""
    made = pairs(small=True, twisted=request.param)
    made.open()
    return made


@pytest.fixture
def pair(pairs: Pairs) -> Pair:
    made = pairs(small=True)
    made.open()
    return made


def text_of(size: int) -> bytes:
    return b"".join(b"%07d" % number for number in range(size // 7 + 1))[:size]


# Bytes.


def test_bytes_both_ways(either: Pair) -> None:
    client, talker = either.client, either.talker
    sent = text_of(100_000)
    client.write(sent)
    either.until(lambda: talker.received == sent)
    either.transport.write(sent[:50_000])
    either.transport.writeSequence([sent[50_000:99_999], sent[99_999:]])
    either.until(lambda: client.received == sent)


def test_everything_is_sent_before_the_end(either: Pair) -> None:
    sent = text_of(500_000)
    either.transport.write(sent)
    either.transport.loseConnection()
    either.until(lambda: either.client.is_told)
    assert either.client.received == sent
    assert either.client.error is None
    either.client.say_end()
    either.until(lambda: either.talker.lost is not None)


class Producer:
    """Hands over slices of 10,000 bytes as it is asked."""

    def __init__(self, pair: Pair, total: int) -> None:
        self._pair, self._rest = pair, text_of(total)

    def resumeProducing(self) -> None:
        data, self._rest = self._rest[:10_000], self._rest[10_000:]
        if data:
            self._pair.transport.write(data)
        else:
            self._pair.transport.unregisterProducer()

    def stopProducing(self) -> None:
        self._rest = b""


def test_a_producer_is_asked_for_more(pair: Pair) -> None:
    pair.transport.registerProducer(Producer(pair, 200_000), False)
    pair.until(lambda: len(pair.client.received) == 200_000)
    assert pair.client.received == text_of(200_000)
    pair.until(lambda: pair.transport.producer is None)


def test_it_says_that_it_is_tls(pair: Pair) -> None:
    assert ISSLTransport.providedBy(pair.transport)
    assert pair.transport.getPeerCertificate() is None
    assert pair.transport.getHandle() is pair.transport
    assert set(vars(pair.transport)) == {"socket", "protocol", "host", "_tls", "_phase"}


def test_the_certificate_of_the_client(tmp_path: Path, certificate: Certificate) -> None:
    known = make_certificate(tmp_path, "known")
    context = certificate.context()
    context.load_cert_chain(known.certificate, known.key)
    pair = Pair(
        certificate, context, client_certificate="required", client_ca=str(known.certificate)
    )
    pair.open()
    shown = pair.transport.getPeerCertificate().to_cryptography().subject.rfc4514_string()
    assert shown == "CN=known"
    pair.close()


@pytest.mark.parametrize("most", [1, 7])
def test_a_handshake_in_pieces(pairs: Pairs, most: int) -> None:
    pair = pairs(small=True)
    pair.until(lambda: pair.client.is_open, most)
    pair.client.write(b"ping")
    pair.until(lambda: pair.talker.received == b"ping", most)
    pair.transport.write(b"pong")
    pair.until(lambda: pair.client.received == b"pong", most)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_each_version(pairs: Pairs, certificate: Certificate, version: ssl.TLSVersion) -> None:
    context = certificate.context()
    context.minimum_version = context.maximum_version = version
    pair = pairs(context, small=True)
    pair.open()
    pair.client.write(text_of(40_000))
    pair.transport.write(text_of(40_000))
    pair.until(lambda: len(pair.talker.received) == len(pair.client.received) == 40_000)
    assert pair.talker.received == pair.client.received == text_of(40_000)


def test_what_is_written_before_the_handshake_leaves_after_it(pairs: Pairs) -> None:
    pair = pairs()
    with pytest.raises(BlockingIOError):
        pair.transport.send(b"too early")
    pair.transport.write(b"waits")
    for _ in range(3):
        pair.reactor.turn()
    assert not pair.reactor._writers, "it does not ask for what cannot be used"
    pair.until(lambda: pair.client.received == b"waits")


# Direct sends.


@pytest.mark.parametrize("size", [1, 4000, RECORD_BYTES, RECORD_BYTES + 1, 300_000])
def test_a_record_that_does_not_fit_comes_first(pair: Pair, size: int) -> None:
    sent, expected = text_of(size), b""
    while True:
        taken = pair.transport.send(sent)
        expected += sent[:taken]
        if taken < size or pair.transport._tempDataLen:
            break
    assert 0 < taken <= size
    assert pair.transport._tempDataLen <= RECORD_BYTES
    assert expected.endswith(pair.transport._tempDataBuffer[0]), "the record that is encrypted"
    with pytest.raises(BlockingIOError):
        pair.transport.send(b"overtakes")
    pair.transport.write(b"follows")
    pair.until(lambda: len(pair.client.received) == len(expected) + 7)
    assert pair.client.received == expected + b"follows"
    assert pair.transport.send(b"again free") == 10
    pair.until(lambda: pair.client.received.endswith(b"again free"))


def test_a_view_can_be_sent(pair: Pair) -> None:
    assert pair.transport.send(memoryview(b"abcdef")[2:]) == 4
    pair.until(lambda: pair.client.received == b"cdef")


def test_nothing_is_sent_on_a_lost_connection(pair: Pair) -> None:
    transport = pair.transport
    pair.client.end.close()
    pair.until(lambda: pair.talker.lost is not None)
    with pytest.raises(ConnectionError):
        transport.send(b"nobody")
    transport.write(b"nobody")
    assert transport.doWrite() is None
    assert not hasattr(transport, "_tls"), "it has the number of a descriptor that is closed"


def test_a_client_that_is_gone_is_found_by_the_send_as_well(pair: Pair) -> None:
    pair.client.end.close()
    with pytest.raises(ConnectionError):
        pair.transport.send(b"nobody")
    pair.until(lambda: pair.talker.lost is not None)


STEPS = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 60_000)),
    st.tuples(st.just("write"), st.integers(1, 60_000)),
    st.tuples(st.just("say"), st.integers(1, 40_000)),
    st.tuples(st.just("turn"), st.sampled_from((1, 100, 3000, 100_000))),
    st.tuples(st.just("stall"), st.sampled_from((1, 100, 3000))),
    st.tuples(st.just("pause"), st.just(0)),
    st.tuples(st.just("resume"), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(script=st.lists(STEPS, max_size=25), early=st.booleans())
def test_nothing_is_lost_or_out_of_order(
    certificate: Certificate, script: list[tuple[str, int]], early: bool
) -> None:
    pair = Pair(certificate, small=True)
    if not early:
        pair.open()
    down, up = bytearray(), bytearray()
    for step, size in script:
        data = bytes([65 + len(down) % 26]) * size
        if step == "send":
            with contextlib.suppress(BlockingIOError):
                down += data[: pair.transport.send(data)]
        elif step == "write":
            pair.transport.write(data)
            down += data
        elif step == "say":
            if pair.client.is_open:
                pair.client.write(data)
                up += data
        elif step == "pause":
            pair.transport.pauseProducing()
        elif step == "resume":
            pair.transport.resumeProducing()
        else:
            pair.turn(size, reads=step == "turn")
    pair.transport.resumeProducing()
    pair.until(lambda: (pair.client.received, pair.talker.received) == (down, up), 50_000)
    pair.transport.loseWriteConnection()
    pair.until(lambda: pair.client.is_told)
    pair.client.say_end()
    pair.until(lambda: pair.talker.lost is not None)
    assert pair.talker.lost is not None
    assert pair.talker.lost.check(ConnectionDone)
    pair.client.end.close()


# Reading.


def test_a_read_takes_one_record(pair: Pair) -> None:
    pieces: list[bytes] = []
    pair.talker.on_data = pieces.append
    for text in (b"one", b"two", b"three"):
        pair.client.write(text)
    pair.client.turn()
    pair.reactor.turn()
    assert pieces == [b"one"]
    pair.until(lambda: pieces == [b"one", b"two", b"three"])


def test_a_flood_of_records_leaves_time_for_others(pair: Pair) -> None:
    turns: list[int] = []
    pair.talker.on_data = lambda data: turns.append(len(data))
    for _ in range(500):
        pair.client.write(b"x")
    before = len(turns)
    pair.until(lambda: sum(turns) == 500)
    assert set(turns[before:]) == {1}


def test_reading_can_be_paused(pair: Pair) -> None:
    pair.transport.pauseProducing()
    pair.client.write(b"later")
    for _ in range(5):
        pair.turn()
    assert pair.talker.received == b""
    pair.transport.resumeProducing()
    pair.until(lambda: pair.talker.received == b"later")


# One direction waits for the other.


class Scripted:
    """OpenSSL's state of a connection, which answers as a test says; then as the real one.

    :param real: which answers after that.
    """

    def __init__(self, real: SSL.Connection, **answers: list[Any]) -> None:
        self._real = real
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        answers = self._answers.get(name)
        if not answers:
            return getattr(self._real, name)
        answer = answers.pop(0)

        def give(*_: object) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return give


def script(pair: Pair, **answers: list[Any]) -> None:
    pair.transport._tls = Scripted(pair.transport._tls, **answers)


def test_a_read_that_waits_for_the_socket_to_take_something(pair: Pair) -> None:
    script(pair, recv=[SSL.WantWriteError(), SSL.WantWriteError()])
    pair.client.write(b"hello")
    pair.client.turn()
    pair.transport.doRead()
    assert pair.transport not in pair.reactor._readers.values()
    assert pair.transport in pair.reactor._writers.values()
    # Data that is written meanwhile comes after it.
    pair.transport.write(b"world")
    pair.until(lambda: pair.talker.received == b"hello" and pair.client.received == b"world")
    pair.client.write(b"!")
    pair.until(lambda: pair.talker.received == b"hello!")
    pair.turn()
    assert not pair.reactor._writers


def test_such_a_read_does_not_undo_a_pause(pair: Pair) -> None:
    script(pair, recv=[SSL.WantWriteError()])
    pair.client.write(b"hello")
    pair.client.turn()
    pair.transport.doRead()
    pair.transport.pauseProducing()
    for _ in range(3):
        pair.turn()
    assert pair.talker.received == b""
    pair.transport.resumeProducing()
    pair.until(lambda: pair.talker.received == b"hello")


def test_such_a_read_does_not_keep_a_connection_from_closing(pair: Pair) -> None:
    script(pair, recv=[SSL.WantWriteError()])
    pair.transport.doRead()
    pair.transport.write(b"bye")
    pair.transport.loseConnection()
    pair.until(lambda: pair.talker.lost is not None)
    pair.turn()
    assert pair.client.received == b"bye"
    assert pair.talker.received == b""


@pytest.mark.parametrize("direct", [True, False])
def test_a_write_that_waits_for_the_client(pair: Pair, direct: bool) -> None:
    script(pair, send=[SSL.WantReadError()])
    if direct:
        assert pair.transport.send(b"hello") == 5
        with pytest.raises(BlockingIOError):
            pair.transport.send(b"more")
    else:
        pair.transport.write(b"hello")
    for _ in range(3):
        pair.reactor.turn()
    assert not pair.reactor._writers
    pair.client.write(b"what it waits for")
    pair.until(lambda: pair.client.received == b"hello")
    assert pair.talker.received == b"what it waits for"


def test_such_a_write_ends_with_the_connection(pair: Pair) -> None:
    script(pair, send=[SSL.WantReadError()])
    pair.transport.write(b"hello")
    pair.reactor.turn()
    pair.transport.loseConnection()
    pair.reactor.turn()
    assert pair.talker.lost is not None


def test_a_handshake_that_waits_for_the_socket(pairs: Pairs) -> None:
    pair = pairs()
    script(pair, do_handshake=[SSL.WantWriteError(), SSL.WantWriteError()])
    pair.client.turn()
    pair.reactor.turn()
    assert pair.transport not in pair.reactor._readers.values()
    pair.open()
    pair.client.write(b"hello")
    pair.until(lambda: pair.talker.received == b"hello")


# Ends.


def test_a_clean_end_of_the_client(pair: Pair) -> None:
    pair.client.say_end()
    pair.until(lambda: pair.talker.lost is not None)
    assert pair.talker.lost is not None
    assert pair.talker.lost.check(ConnectionDone)
    for _ in range(3):
        pair.client.turn()
    assert pair.client.is_told
    assert pair.client.is_cut_off
    assert pair.client.error is None


def test_an_end_that_is_cut_off(pair: Pair) -> None:
    pair.client.end.close()
    pair.until(lambda: pair.talker.lost is not None)
    assert pair.talker.lost is not None
    assert pair.talker.lost.check(ConnectionLost, ConnectionDone)
    assert pair.failed.count == 0


def test_half_a_record_and_the_end(pair: Pair) -> None:
    pair.client.write_plain(b"\x17\x03\x03\x01\x00half")
    pair.turn()
    pair.client.end.shutdown(socket.SHUT_WR)
    pair.until(lambda: pair.talker.lost is not None)
    assert pair.talker.received == b""


def test_our_side_may_be_closed_alone(pair: Pair) -> None:
    sent = text_of(30_000)
    pair.transport.write(sent)
    pair.transport.loseWriteConnection()
    pair.until(lambda: pair.client.is_told)
    assert pair.client.received == sent
    pair.client.write(b"you too")
    pair.until(lambda: pair.talker.received == b"you too")
    assert pair.talker.lost is None
    with pytest.raises(ConnectionError):
        pair.transport.send(b"too late")
    pair.until(lambda: pair.talker.lost is not None)


def test_the_word_about_it_waits_for_the_socket(pair: Pair) -> None:
    script(pair, shutdown=[SSL.WantWriteError(), SSL.WantWriteError()])
    pair.transport.write(b"bye")
    pair.transport.loseWriteConnection()
    pair.until(lambda: pair.client.is_told)
    assert pair.client.received == b"bye"
    pair.turn()
    assert pair.client.is_cut_off, "TCP is half closed, too"
    assert not pair.reactor._writers


def test_a_client_that_is_gone_needs_no_word(pair: Pair) -> None:
    script(pair, shutdown=[SSL.SysCallError(32, "EPIPE")])
    pair.transport.loseWriteConnection()
    pair.until(lambda: pair.client.is_cut_off)


def test_an_abort_says_nothing(pair: Pair) -> None:
    pair.transport.write(text_of(200_000))
    pair.reactor.turn()
    pair.transport.abortConnection()
    pair.until(lambda: pair.talker.lost is not None)
    assert pair.talker.lost is not None
    assert pair.talker.lost.check(ConnectionAborted)
    pair.until(lambda: pair.client.is_cut_off)
    assert not pair.client.is_told


@pytest.mark.parametrize("waits", [b"", b"an answer"])
def test_an_end_before_the_handshake_is_done(pairs: Pairs, waits: bytes) -> None:
    pair = pairs()
    pair.transport.write(waits)
    pair.transport.loseConnection()
    pair.reactor.turn()
    assert pair.talker.lost is not None
    pair.client.turn()
    assert pair.client.is_cut_off


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 40, b"SSH-2.0-OpenSSH_9.6\r\n"]
)
def test_a_client_without_tls_is_counted_and_not_reset(pairs: Pairs, data: bytes) -> None:
    pair = pairs()
    pair.client.end.send(data)
    pair.reactor.turn()
    pair.reactor.turn()
    assert pair.talker.lost is not None
    assert pair.failed.count == 1
    answer = pair.client.end.recv(1000)
    assert pair.client.end.recv(1000) == b"" if answer else True


def test_a_client_that_does_not_trust_us_is_counted(pairs: Pairs) -> None:
    pair = pairs(ssl.create_default_context())
    pair.until(lambda: pair.talker.lost is not None)
    assert isinstance(pair.client.error, ssl.SSLCertVerificationError)
    assert pair.failed.count == 1


@pytest.mark.parametrize("hello", [0, 100])
def test_a_client_that_leaves_in_the_handshake_is_not_counted(pairs: Pairs, hello: int) -> None:
    pair = pairs()
    if hello:
        pair.client.turn(hello)
    pair.client.end.close()
    for _ in range(3):
        pair.reactor.turn()
    assert pair.talker.lost is not None
    assert pair.failed.count == 0


def test_garbage_after_the_handshake_ends_the_connection(pair: Pair) -> None:
    pair.client.write_plain(b"\x17\x03\x03\x00\x30" + bytes(48))
    pair.until(lambda: pair.talker.lost is not None)
    assert pair.talker.received == b""
    assert pair.failed.count == 0, "the handshake was good"
    pair.client.turn()
    assert isinstance(pair.client.error, ssl.SSLError), "the client learns why"
    assert not isinstance(pair.client.error, ssl.SSLEOFError)


def test_garbage_after_our_side_is_closed(pair: Pair) -> None:
    pair.transport.loseWriteConnection()
    pair.until(lambda: pair.client.is_told)
    pair.client.write_plain(b"\x17\x03\x03\x00\x30" + bytes(48))
    pair.until(lambda: pair.talker.lost is not None)


def test_a_defect_of_tls_ends_the_connection(pair: Pair) -> None:
    script(pair, send=[SSL.Error([("", "", "bad length")])])
    with pytest.raises(ConnectionError):
        pair.transport.send(b"x")
    pair.reactor.turn()
    assert pair.talker.lost is not None
    assert pair.talker.lost.check(ConnectionAborted)


def test_a_defect_in_what_waits_ends_it_too(pair: Pair) -> None:
    script(pair, send=[SSL.Error([("", "", "bad length")])])
    pair.transport.write(b"x")
    pair.reactor.turn()
    assert pair.talker.lost is not None
    assert pair.talker.lost.check(ConnectionLost)


def test_renegotiation_is_refused(pairs: Pairs) -> None:
    pair = pairs()
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    client = SSL.Connection(context, pair.client.end)
    client.set_connect_state()

    def until_done(step: Callable[[], object]) -> None:
        for _ in range(20):
            with contextlib.suppress(SSL.WantReadError):
                step()
                return
            pair.reactor.turn()
        raise AssertionError("it is never done")

    until_done(client.do_handshake)
    try:
        client.renegotiate()
        until_done(client.do_handshake)
        renegotiated = client.total_renegotiations()
    except SSL.Error:
        renegotiated = 0
    assert renegotiated == 0
    assert pair.failed.count == 0


# Ports.


def test_a_port_of_another_kind_is_closed() -> None:
    reactor = MemoryReactor()
    contexts: Any = None
    port: Any = reactor.listenTCP(0, Factory.forProtocol(Talker))
    stopped: list[bool] = []
    port.stopListening = lambda: stopped.append(True)
    with pytest.raises(TypeError, match=r"_FakePort, not tcp\.Port"):
        secure(port, contexts)
    assert stopped == [True]


def test_a_port_makes_connections_of_this_kind() -> None:
    contexts: Any = object()
    reactor: Any = object()
    factory: Any = Factory.forProtocol(Talker)
    port: Any = tcp.Port(0, factory, reactor=reactor)
    secure(port, contexts)
    assert issubclass(port.transport, TlsServer)
    assert vars(port.transport)["contexts"] is contexts
    assert vars(port.transport)["server"] is port


# A new Twisted or pyOpenSSL. What is tested here are assumptions, not what they promise.


def test_twisted_offers_the_front_of_its_buffer_again() -> None:
    """A record that is encrypted has to be offered first, with as many bytes or more."""

    class Refusing(abstract.FileDescriptor):
        connected = 1

        def __init__(self, reactor: Any) -> None:
            super().__init__(reactor)
            self.offered: list[bytes] = []

        def writeSomeData(self, data: bytes) -> int:
            self.offered.append(bytes(data))
            return 3 if len(self.offered) == 2 else 0

    class Reactor:
        def addWriter(self, _: object) -> None:
            pass

    reactor: Any = Reactor()
    descriptor: Any = Refusing(reactor)
    descriptor.write(b"abcdef")
    descriptor.doWrite()
    descriptor.write(b"ghi")
    for _ in range(3):
        descriptor.doWrite()
    assert descriptor.offered == [b"abcdef", b"abcdefghi", b"defghi", b"defghi"]


def test_twisted_calls_what_is_overridden() -> None:
    used = set(abstract.FileDescriptor.doWrite.__code__.co_names)
    assert {"writeSomeData", "_closeWriteConnection", "_postLoseConnection"} <= used
    source = inspect.getsource(abstract.FileDescriptor.doWrite)
    assert source.index("_writeDisconnected = True") < source.index("_closeWriteConnection()")
    assert "self.socket.shutdown(1)" in inspect.getsource(tcp.Connection._closeWriteConnection)
    for name in ("doRead", "doWrite", "writeSomeData", "connectionLost", "pauseProducing"):
        ours, theirs = getattr(TlsServer, name), getattr(tcp.Connection, name)
        assert list(inspect.signature(ours).parameters) == list(
            inspect.signature(theirs).parameters
        ), name


def test_only_known_methods_of_twisted_use_the_socket_for_data() -> None:
    users = {
        name
        for kind in SlimServer.__mro__
        if kind.__module__.startswith("twisted.")
        for name, function in vars(kind).items()
        if inspect.isfunction(function) and {"recv", "send"} & set(function.__code__.co_names)
    }
    assert users == {"doRead", "writeSomeData"}, "and both are overridden"


def test_records_may_be_written_in_part_and_from_another_place() -> None:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    partial_write, moving_buffer = 1, 2
    assert context.set_mode(0) & (partial_write | moving_buffer) == partial_write | moving_buffer


def test_a_read_holds_a_whole_record(pair: Pair) -> None:
    pair.client.write(text_of(3 * RECORD_BYTES))
    sizes: list[int] = []
    pair.talker.on_data = lambda data: sizes.append(len(data))
    pair.until(lambda: sum(sizes) == 3 * RECORD_BYTES)
    assert sizes == [RECORD_BYTES] * 3
    assert tls_sockets.RECORD_BYTES == 2**14
