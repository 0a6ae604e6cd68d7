"""The time limits of a connection of the HTTP port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from tests.edges.http.http_in_memory import RecordedPushes, edge_with
from wampush.edges.acknowledged_pushes import Published
from wampush.edges.http.channel import (
    BODY_TIMEOUT,
    CLOSE_TIMEOUT,
    HEADER_TIMEOUT,
    IDLE_TIMEOUT,
    MOVES,
    RESPONSE_TIMEOUT,
    TIMEOUTS,
    Phase,
)

ADDRESS: Any = IPv4Address("TCP", "127.0.0.1", 50000)
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /publish/t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"


class PendingPushes(RecordedPushes):
    """Answers when the test says so."""

    def publish(self, parts: Any, origin: str, push_id: str = "") -> Deferred[Published]:  # noqa: ARG002
        self.answer: Deferred[Published] = Deferred()
        return self.answer


class Port:
    """A port with a clock in the test's hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pushes = PendingPushes()
        self.rejected: list[str] = []
        self.wrong: list[tuple[str, str]] = []
        self.site = edge_with(publisher=self.pushes).site(
            self.clock, self.rejected.append, self._on_wrong_protocol, lambda *_: None
        )
        self.lines: list[Any] = []

    def _on_wrong_protocol(self, address: str, mistake: str) -> None:
        self.wrong.append((address, mistake))

    def connect(self) -> tuple[Any, Any]:
        """A connection: the channel, and its transport."""
        channel = self.site.buildProtocol(ADDRESS)
        transport: Any = StringTransport(ADDRESS, ADDRESS)
        channel.makeConnection(transport)
        return channel, transport

    def turn(self) -> None:
        """Run what is due now, and not what that schedules."""
        due = [each for each in self.clock.calls if each.getTime() <= self.clock.seconds()]
        for call in due:
            self.clock.calls.remove(call)
            call.called = 1
            call.func(*call.args)

    def pass_time(self, seconds: float) -> None:
        """In steps, as bytes of nobody would let it pass."""
        for _ in range(round(seconds * 2)):
            self.clock.advance(0.5)


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
def log() -> Iterator[list[Any]]:
    """What Twisted writes meanwhile."""
    events: list[Any] = []
    observer: Any = events.append
    globalLogPublisher.addObserver(observer)
    yield events
    globalLogPublisher.removeObserver(observer)


def lose(channel: Any) -> None:
    channel.connectionLost(Failure(ConnectionAborted()))


def test_a_connection_that_says_nothing_ends(port: Port, log: list[Any]) -> None:
    _, transport = port.connect()
    port.pass_time(HEADER_TIMEOUT - 0.5)
    assert not transport.disconnected
    port.pass_time(0.5)
    assert transport.disconnected
    assert log == []


def test_a_header_that_trickles_ends(port: Port) -> None:
    channel, transport = port.connect()
    for byte in REQUEST[:19]:
        channel.dataReceived(bytes([byte]))
        assert not transport.disconnected
        port.clock.advance(0.5)
    port.clock.advance(0.5)
    assert transport.disconnected
    assert transport.value() == b""


def test_a_body_that_trickles_ends(port: Port) -> None:
    channel, transport = port.connect()
    channel.dataReceived(POST.replace(b"4", b"999"))
    for _ in range(round(BODY_TIMEOUT * 2) - 1):
        channel.dataReceived(b"1")
        port.clock.advance(0.5)
    assert not transport.disconnected
    port.clock.advance(0.5)
    assert transport.disconnected
    assert port.pushes.published == []


def test_an_idle_connection_is_closed_without_a_word(port: Port, log: list[Any]) -> None:
    channel, transport = port.connect()
    port.pass_time(HEADER_TIMEOUT - 1)
    channel.dataReceived(REQUEST)
    assert transport.value().startswith(b"HTTP/1.1 200 ")
    transport.clear()
    port.pass_time(IDLE_TIMEOUT - 0.5)
    assert not transport.disconnecting
    channel.dataReceived(REQUEST)
    assert transport.value().startswith(b"HTTP/1.1 200 ")
    port.pass_time(IDLE_TIMEOUT)
    assert transport.disconnecting
    assert not transport.disconnected
    # A peer that does not take what is still to be sent would otherwise hold it for ever.
    port.pass_time(CLOSE_TIMEOUT)
    assert transport.disconnected
    assert log == []


def test_the_header_of_a_later_request_may_not_trickle_either(port: Port) -> None:
    channel, transport = port.connect()
    channel.dataReceived(REQUEST + REQUEST[:5])
    port.clock.advance(0)
    for byte in REQUEST[5:24]:
        channel.dataReceived(bytes([byte]))
        assert not transport.disconnected
        port.clock.advance(0.5)
    port.clock.advance(0.5)
    assert transport.disconnected


def test_an_answer_has_its_time(port: Port) -> None:
    channel, transport = port.connect()
    channel.dataReceived(POST + b"1234")
    port.pass_time(RESPONSE_TIMEOUT - 0.5)
    port.pushes.answer.callback(Published(5))
    assert b'{"receivers":5}' in transport.value()
    port.pass_time(IDLE_TIMEOUT - 0.5)
    assert not transport.disconnecting
    channel.dataReceived(POST + b"1234")
    port.pass_time(RESPONSE_TIMEOUT)
    assert transport.disconnected


@pytest.mark.parametrize(
    "request_", [REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b"\0\r\n\r\n"]
)
def test_closing_has_its_time(port: Port, request_: bytes) -> None:
    channel, transport = port.connect()
    channel.dataReceived(request_)
    assert transport.disconnecting
    port.pass_time(CLOSE_TIMEOUT)
    assert transport.disconnected


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x16\x03\x01\x02\x00", "The client speaks TLS"),
        (b"\xff\0\0\0\0\0\0\0\x01\x7f", "The client speaks ZeroMQ"),
    ],
)
def test_a_client_of_another_protocol_gets_an_error_at_once(
    port: Port, data: bytes, said: str
) -> None:
    channel, transport = port.connect()
    channel.dataReceived(data)
    assert transport.value().startswith(b"HTTP/1.1 400 ")
    assert transport.disconnecting
    ((address, mistake),) = port.wrong
    assert address == ADDRESS.host
    assert mistake.startswith(said)


def test_nothing_is_taken_behind_the_end(port: Port) -> None:
    # Over TLS bytes go on coming until the peer closes its side.
    channel, transport = port.connect()
    channel.dataReceived(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    answer = transport.value()
    assert transport.disconnecting
    for _ in range(round(CLOSE_TIMEOUT)):
        port.clock.advance(1)
        channel.dataReceived(REQUEST)
    assert transport.value() == answer
    assert transport.disconnected


def test_a_body_without_end_is_cut_off(port: Port) -> None:
    channel, transport = port.connect()
    channel.dataReceived(POST.replace(b"Length: 4", b"Length: 99999999999"))
    while not transport.disconnected:
        channel.dataReceived(b"x" * 65_536)
    assert transport.value() == b""


def send_nothing(_: Any) -> None:
    """The connection alone."""


def ask(channel: Any) -> None:
    channel.dataReceived(REQUEST)


def post(channel: Any) -> None:
    channel.dataReceived(POST + b"1234")


def begin(channel: Any) -> None:
    channel.dataReceived(REQUEST[:10])


@pytest.mark.parametrize("act", [send_nothing, ask, post, begin])
def test_no_timer_outlives_a_connection(port: Port, act: Callable[[Any], None]) -> None:
    channel, transport = port.connect()
    act(channel)
    lose(channel)
    assert port.clock.getDelayedCalls() == []
    assert not transport.disconnected
    assert len(port.site.channels) == 0


@pytest.mark.parametrize(
    "end", [REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b"\0\r\n\r\n"]
)
def test_an_answer_after_the_end_does_not_prolong_it(port: Port, end: bytes) -> None:
    channel, transport = port.connect()
    channel.dataReceived(POST + b"1234")
    channel.loseConnection()
    port.pushes.answer.callback(Published(5))
    channel.dataReceived(end)
    port.pass_time(CLOSE_TIMEOUT)
    assert transport.disconnected


def test_pipelined_requests_are_answered_one_after_the_other(port: Port) -> None:
    channel, transport = port.connect()
    channel.dataReceived(POST + b"1234" + REQUEST + REQUEST)
    assert transport.value() == b""
    port.pushes.answer.callback(Published(5))
    port.clock.advance(0)
    assert transport.value().count(b"HTTP/1.1 200 ") == 3


def test_every_phase_has_a_row_and_a_time_limit() -> None:
    assert MOVES.keys() == TIMEOUTS.keys() == set(Phase)
    assert [phase for phase, after in MOVES.items() if not after] == [Phase.CLOSING]


def test_one_request_per_turn_is_answered(port: Port) -> None:
    channel, transport = port.connect()
    channel.dataReceived(REQUEST * 5)
    for number in range(1, 6):
        assert transport.value().count(b"HTTP/1.1 200 ") == number
        port.turn()
    channel.dataReceived(REQUEST)
    assert transport.value().count(b"HTTP/1.1 200 ") == 6
    assert not transport.disconnecting


def test_a_request_that_arrives_in_pieces_behind_another_is_answered(port: Port) -> None:
    channel, transport = port.connect()
    channel.dataReceived(REQUEST + REQUEST[:20])
    channel.dataReceived(REQUEST[20:] + POST + b"1234")
    for _ in range(3):
        port.clock.advance(0)
    assert transport.value().count(b"HTTP/1.1 200 ") == 2
    port.pushes.answer.callback(Published(1))
    assert transport.value().count(b"HTTP/1.1 200 ") == 3


def test_a_connection_that_is_lost_reads_no_further_request(port: Port) -> None:
    channel, transport = port.connect()
    channel.dataReceived(REQUEST * 2)
    channel.connectionLost(Failure(ConnectionAborted()))
    port.clock.advance(0)
    assert transport.value().count(b"HTTP/1.1 200 ") == 1
    assert port.clock.getDelayedCalls() == []


def test_a_node_that_is_replaced_keeps_no_connection(port: Port) -> None:
    channel, transport = port.connect()
    assert port.site.has_requests()
    channel.dataReceived(REQUEST)
    assert b"Connection: close" not in transport.value()
    assert not port.site.has_requests()
    port.site.keeps_connections = lambda: False
    transport.clear()
    channel.dataReceived(REQUEST)
    assert b"Connection: close" in transport.value()
    assert transport.disconnecting
