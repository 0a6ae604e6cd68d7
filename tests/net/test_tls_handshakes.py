"""TLS handshakes that fail: in memory, by clients of the standard library."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from tests.support.certificates import Certificate, make_certificate
from tests.support.tls_pair import TlsPair
from wampush.config.tables.network import TlsSettings
from wampush.net.tls import ServerContext
from wampush.net.tls_handshakes import FailedHandshakes, problem_of

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


def shake_hands(current: ServerContext, client: ssl.SSLContext) -> None:
    """Let a client do its handshake, which may fail."""
    pair = TlsPair(current, client)
    pair.until(lambda: pair.client.is_open or pair.client.error is not None)
    for _ in range(3):
        pair.turn()
    pair.close()


def say(current: ServerContext, server: Certificate, data: bytes) -> None:
    """Let a client without TLS say something."""
    pair = TlsPair(current, server.context())
    pair.client.end.send(data)
    for _ in range(3):
        pair.reactor.turn()
    assert pair.talker.lost is not None
    pair.close()


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
    current: ServerContext, server: Certificate, logged: list[str], data: bytes, words: str
) -> None:
    say(current, server, data)
    (line,) = logged
    assert line.startswith(BEGIN + words)


def test_a_flood_is_counted_and_not_logged(
    current: ServerContext, server: Certificate, failed: FailedHandshakes, logged: list[str]
) -> None:
    for _ in range(50):
        say(current, server, b"GET / HTTP/1.1\r\n\r\n")
    assert failed.count == 50
    assert len(logged) < 10


def test_a_client_that_leaves_without_a_word_is_no_failure(
    current: ServerContext, server: Certificate, failed: FailedHandshakes, logged: list[str]
) -> None:
    pair = TlsPair(current, server.context())
    pair.client.end.close()
    for _ in range(3):
        pair.reactor.turn()
    assert pair.talker.lost is not None
    assert failed.count == 0
    assert logged == []


def test_words_of_openssl_that_are_not_ours() -> None:
    assert problem_of(SSL.Error([("", "", "odd thing")])) == "odd thing"
    assert problem_of(SSL.Error([])) == problem_of(SSL.Error()) == "no reason given"
