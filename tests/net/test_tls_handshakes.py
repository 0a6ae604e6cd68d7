"""TLS handshakes that fail: in memory, by clients of the standard library."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from tests.support.certificates import Certificate, make_certificate
from wampush.config.tables.network import TlsSettings
from wampush.net.tls import ServerContext
from wampush.net.tls_handshakes import FailedHandshakes, problem_of

PEER: Any = IPv4Address("TCP", "203.0.113.7", 51234)
BEGIN = "TLS: handshake with 203.0.113.7:51234 failed: "


@pytest.fixture
def server(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
def failed() -> FailedHandshakes:
    return FailedHandshakes()


@pytest.fixture
def current(server: Certificate, failed: FailedHandshakes) -> ServerContext:
    settings = TlsSettings(certificate=str(server.certificate), key=str(server.key))
    return ServerContext(settings, failed)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Lines of the log."""
    lines: list[str] = []

    def add(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    observer: Any = add
    globalLogPublisher.addObserver(observer)
    yield lines
    globalLogPublisher.removeObserver(observer)


def accepted(current: ServerContext) -> tuple[Any, Any]:
    """A connection of a client: its protocol and transport."""
    transport: Any = StringTransport(peerAddress=PEER)
    protocol: Any = current.factory(Factory.forProtocol(Protocol)).buildProtocol(PEER)
    protocol.makeConnection(transport)
    return protocol, transport


def shake_hands(current: ServerContext, client: ssl.SSLContext) -> None:
    """Let a client do its handshake, which may fail."""
    protocol, transport = accepted(current)
    arriving, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.wrap_bio(arriving, leaving, server_hostname="localhost")
    for _ in range(5):
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLError):
            tls.do_handshake()
        sent = leaving.read()
        if sent and not transport.disconnecting:
            protocol.dataReceived(sent)
        arriving.write(transport.value())
        transport.clear()


def test_a_good_handshake_is_no_news(
    current: ServerContext, failed: FailedHandshakes, server: Certificate, logged: list[str]
) -> None:
    shake_hands(current, server.context())
    assert failed.count == 0
    assert logged == []


def test_a_client_that_does_not_trust_us(
    current: ServerContext, failed: FailedHandshakes, logged: list[str]
) -> None:
    shake_hands(current, ssl.create_default_context())
    assert failed.count == 1
    (line,) = logged
    assert line.startswith(f"{BEGIN}the client does not trust the authority of tls.certificate (")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "the client sent plain HTTP; clients of this port"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the client does not speak TLS (wrong version number)"),
    ],
)
def test_a_client_without_tls(
    current: ServerContext, logged: list[str], data: bytes, words: str
) -> None:
    protocol, transport = accepted(current)
    protocol.dataReceived(data)
    assert transport.disconnecting
    (line,) = logged
    assert line.startswith(BEGIN + words)


def test_a_flood_is_counted_and_not_logged(
    current: ServerContext, failed: FailedHandshakes, logged: list[str]
) -> None:
    for _ in range(50):
        accepted(current)[0].dataReceived(b"GET / HTTP/1.1\r\n\r\n")
    assert failed.count == 50
    assert len(logged) < 10


def test_a_client_that_leaves_without_a_word_is_no_failure(
    current: ServerContext, failed: FailedHandshakes, logged: list[str]
) -> None:
    accepted(current)[0].connectionLost(Failure(ConnectionDone()))
    assert failed.count == 0
    assert logged == []


def test_words_of_openssl_that_are_not_ours() -> None:
    assert problem_of(SSL.Error([("", "", "odd thing")])) == "odd thing"
    assert problem_of(SSL.Error([])) == problem_of(SSL.Error()) == "no reason given"
