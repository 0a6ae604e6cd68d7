"""The client's connection, over transports in memory: each test plays the server byte by byte."""
# ruff: noqa: N802, N803 - Twisted calls the methods of the fakes by names of its own.

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, cast

import pytest
import txaio
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from wampush import __version__
from wampush.client.transport import (
    MAX_MESSAGE_BYTES,
    PING_INTERVAL,
    Channel,
    Listener,
    endpoint_of,
    reconnecting_service,
    without_secrets,
)
from wampush.errors import OperatorError

URL = "ws://example.com:8080/ws?token=secret"
#: RFC 6455 section 1.3.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING = 0x81, 0x82, 0x88, 0x89
RETRY_DELAY = 7.0
#: Seconds by which Autobahn's timers may be late, because it collects them.
TIMER_BUCKET = 0.2


@pytest.fixture(autouse=True)
def timers(monkeypatch: pytest.MonkeyPatch) -> MemoryReactorClock:
    """The clock of Autobahn's timers, which does not depend on the factory's reactor."""
    clock = MemoryReactorClock()
    monkeypatch.setattr(txaio.config, "loop", clock)
    return clock


@implementer(IStreamClientEndpoint)
class Attempts:
    """An endpoint whose attempts end when the test says so."""

    def __init__(self) -> None:
        self.pending: list[Deferred[Any]] = []
        self.factory: Any = None

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        self.factory = protocolFactory
        self.pending.append(Deferred())
        return self.pending[-1]


class Started:
    """A service that has been started, and what its listener was told."""

    def __init__(self, url: str = URL) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.attempts = Attempts()
        self.events: list[tuple[Any, ...]] = []
        add = self.events.append
        listener = Listener(
            on_connecting=lambda: add(("connecting",)),
            on_unreachable=lambda reason: add(("unreachable", reason)),
            on_open=lambda channel: add(("open", channel)),
            on_message=lambda payload, is_binary: add(("message", payload, is_binary)),
            on_closed=lambda reason, status: add(("closed", reason, status)),
        )
        endpoint = cast("IStreamClientEndpoint", self.attempts)
        self.service = reconnecting_service(
            url, self.reactor, listener, lambda: RETRY_DELAY, endpoint
        )
        self.service.startService()
        assert self.taken() == [("connecting",)]

    def taken(self) -> list[tuple[Any, ...]]:
        events = list(self.events)
        self.events.clear()
        return events


class Transport(StringTransport):
    """As TCP does, it takes back a producer that was never registered."""

    def unregisterProducer(self) -> None:
        if self.producer is not None:
            super().unregisterProducer()


class Server:
    """The other end of the connection that the pending attempt of a service gets."""

    def __init__(self, started: Started) -> None:
        self.started = started
        self.transport: Any = Transport()
        # ClientService wraps the protocol; it hands everything on.
        self.protocol: Any = started.attempts.factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.request: bytes = self.transport.value()
        self.transport.clear()
        started.attempts.pending.pop().callback(self.protocol)

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def frame(self, opcode: int, payload: bytes) -> None:
        assert len(payload) < 126
        self.send(bytes((opcode, len(payload))) + payload)

    def accept(self) -> Channel:
        found = re.search(rb"(?i)sec-websocket-key: (\S+)", self.request)
        assert found is not None
        # RFC 6455 section 4.2.2 prescribes SHA-1 here; it protects nothing.
        digest = hashlib.sha1(found[1] + GUID, usedforsecurity=False).digest()
        self.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: wamp\r\nSec-WebSocket-Accept: "
            + base64.b64encode(digest)
            + b"\r\n\r\n"
        )
        ((name, channel),) = self.started.taken()
        assert name == "open"
        assert isinstance(channel, Channel)
        return channel

    def received(self) -> list[tuple[int, bytes]]:
        """The first byte and the payload of each frame of the client since the last look."""
        data: bytes = self.transport.value()
        self.transport.clear()
        frames = []
        while data:
            size = data[1] & 0x7F
            assert size < 126
            assert data[1] & 0x80, "RFC 6455 section 5.1: a client masks its frames"
            mask, masked = data[2:6], data[6 : 6 + size]
            unmasked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(masked))
            frames.append((data[0], unmasked))
            data = data[6 + size :]
        return frames

    def lose(self, error: Exception) -> list[tuple[Any, ...]]:
        self.protocol.connectionLost(Failure(error))
        return self.started.taken()


def test_the_handshake_asks_for_wamp_at_the_address_of_the_url() -> None:
    lines = Server(Started()).request.decode().split("\r\n")
    assert lines[0] == "GET /ws?token=secret HTTP/1.1"
    assert {
        "Host: example.com:8080",
        "Sec-WebSocket-Protocol: wamp",
        f"User-Agent: wampush/{__version__}",
    } <= set(lines)


def test_messages_go_both_ways_once_the_connection_is_open() -> None:
    started = Started()
    server = Server(started)
    channel = server.accept()
    server.frame(TEXT, b'[8,"t",1]')
    server.frame(BINARY, b"\x00")
    assert started.taken() == [("message", b'[8,"t",1]', False), ("message", b"\x00", True)]
    channel.send(b'[5,"t"]')
    assert server.received() == [(TEXT, b'[5,"t"]')]


def test_a_message_may_have_the_limit_and_no_more() -> None:
    server = Server(Started())
    server.accept()
    # The length alone decides, so nothing of the payload has to be sent.
    server.send(bytes((TEXT, 127)) + MAX_MESSAGE_BYTES.to_bytes(8))
    assert not server.transport.disconnected
    server = Server(Started())
    server.accept()
    server.send(bytes((TEXT, 127)) + (MAX_MESSAGE_BYTES + 1).to_bytes(8))
    assert server.transport.disconnected


def test_a_server_that_answers_no_ping_is_dropped(timers: MemoryReactorClock) -> None:
    server = Server(Started())
    server.accept()
    timers.advance(PING_INTERVAL + TIMER_BUCKET)
    assert [code for code, _ in server.received()] == [PING]
    assert not server.transport.disconnected
    timers.advance(PING_INTERVAL + TIMER_BUCKET)
    assert server.transport.disconnected


def test_close_has_code_1000_and_abort_sends_nothing() -> None:
    server = Server(Started())
    channel = server.accept()
    channel.close()
    assert server.received() == [(CLOSE, (1000).to_bytes(2))]
    server = Server(Started())
    channel = server.accept()
    channel.abort()
    assert server.received() == []
    assert server.transport.disconnected


@pytest.mark.parametrize(("reason", "shown"), [(b"restart", ": restart"), (b"", "")])
def test_a_clean_close_has_its_code_and_its_reason(reason: bytes, shown: str) -> None:
    server = Server(Started())
    server.accept()
    server.frame(CLOSE, (4001).to_bytes(2) + reason)
    assert server.lose(ConnectionDone()) == [
        ("closed", f"the server closed the connection (code 4001{shown})", None)
    ]


def test_a_loss_has_a_reason() -> None:
    server = Server(Started())
    server.accept()
    ((event, reason, status),) = server.lose(ConnectionLost())
    assert (event, status) == ("closed", None)
    assert "lost" in reason or "dropped" in reason


@pytest.mark.parametrize(
    ("answer", "words", "status"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refused the WebSocket [403]: Forbidden", 403),
        (b"HTTP/1.1 200 OK\r\n\r\n", "this port speaks HTTP, not WebSocket", 200),
        (b"\x15\x03\x03\x00\x02\x02\x46\r\n\r\n", "write wss://", None),
    ],
)
def test_an_answer_without_a_websocket_is_explained(
    answer: bytes, words: str, status: int | None
) -> None:
    server = Server(Started())
    server.send(answer)
    ((event, reason, shown),) = server.lose(ConnectionDone())
    assert (event, shown) == ("closed", status)
    assert words in reason


@pytest.mark.parametrize(
    ("url", "answer", "words"),
    [
        (URL, b"", "is it a WebSocket server with TLS (wss://)?"),
        ("wss://example.com/", b"", "is it a WebSocket server without TLS (ws://)?"),
        (URL, b"SSH-2.0-x\r\n", "is not a WebSocket server"),
    ],
)
def test_an_end_before_the_answer_is_explained(url: str, answer: bytes, words: str) -> None:
    server = Server(Started(url))
    server.send(answer)
    ((event, reason, status),) = server.lose(ConnectionDone())
    assert (event, status) == ("closed", None)
    assert words in reason


def test_an_attempt_that_fails_is_followed_by_another() -> None:
    started = Started()
    started.attempts.pending.pop().errback(ConnectError(string="nobody listens."))
    ((event, reason),) = started.taken()
    assert event == "unreachable"
    assert reason.endswith("nobody listens")
    started.reactor.advance(RETRY_DELAY - 1)
    assert started.taken() == []
    started.reactor.advance(1)
    assert started.taken() == [("connecting",)]
    Server(started).accept()


def test_a_lost_connection_is_opened_again() -> None:
    started = Started()
    server = Server(started)
    server.accept()
    server.lose(ConnectionLost())
    started.reactor.advance(RETRY_DELAY)
    assert started.taken() == [("connecting",)]
    Server(started).accept()


def test_an_attempt_that_is_given_up_has_not_failed() -> None:
    started = Started()
    stopped: list[object] = []
    stopping: Any = started.service.stopService()
    stopping.addCallback(stopped.append)
    started.reactor.advance(RETRY_DELAY)
    assert stopped == [None]
    assert started.taken() == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://a/?token=secret", "ws://a/?…"),
        ("ws://a/?token=a?b", "ws://a/?…"),
        ("ws://a/", "ws://a/"),
    ],
)
def test_a_url_is_shown_without_its_query(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    "url",
    ["http://a/", "ws:///", "a", "", "ws://a:99999/", "ws://a:0/", "ws://a/#f", "ws://[::1/"],
)
def test_a_url_that_is_none_is_refused_in_words(url: str) -> None:
    with pytest.raises(OperatorError, match="ws://HOST:PORT/"):
        endpoint_of(url, MemoryReactorClock())


def test_a_refused_url_is_shown_without_its_query() -> None:
    with pytest.raises(OperatorError) as refused:
        endpoint_of("http://a/?token=secret", MemoryReactorClock())
    assert "'http://a/?…' is not a WebSocket URL" in str(refused.value)


@pytest.mark.parametrize(
    ("url", "port", "secure"),
    [
        ("ws://127.0.0.1/ws", 80, False),
        ("ws://127.0.0.1:8080/", 8080, False),
        ("wss://127.0.0.1/ws", 443, True),
        ("wss://127.0.0.1:8443/", 8443, True),
    ],
)
def test_the_port_and_tls_are_those_of_the_url(url: str, port: int, secure: bool) -> None:
    reactor: Any = MemoryReactorClock()
    endpoint: Any = endpoint_of(url, reactor)
    endpoint.connect(Factory.forProtocol(Protocol))
    # An attempt of HostnameEndpoint begins with the next turn.
    reactor.advance(0)
    ((host, number, factory, _, _),) = reactor.tcpClients
    assert (host, number) == ("127.0.0.1", port)
    transport: Any = StringTransport()
    factory.buildProtocol(None).makeConnection(transport)
    # A handshake record (RFC 8446 section 5.1).
    assert transport.value()[:2] == (b"\x16\x03" if secure else b"")


def test_without_an_endpoint_the_url_says_where_to_connect() -> None:
    reactor: Any = MemoryReactorClock()
    listener = Listener(
        on_connecting=lambda: None,
        on_unreachable=pytest.fail,
        on_open=lambda _: None,
        on_message=lambda *_: None,
        on_closed=lambda *_: None,
    )
    service = reconnecting_service("ws://127.0.0.1:8080/", reactor, listener, lambda: 1.0)
    service.startService()
    reactor.advance(0)
    ((host, port, _, _, _),) = reactor.tcpClients
    assert (host, port) == ("127.0.0.1", 8080)
