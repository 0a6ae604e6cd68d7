"""The stream of all publications: its lines, slow readers, and its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.edges.http.http_in_memory import ask, edge_with, problem_of
from wampush.edges.http.channel import RESPONSE_TIMEOUT
from wampush.edges.http.event_stream import HEARTBEAT, MAX_WAITING

ADDRESS: Any = IPv4Address("TCP", "127.0.0.1", 50000)
REQUEST = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Reader:
    """A connection that has asked for the stream."""

    def __init__(self, port: Port) -> None:
        self.channel = port.site.buildProtocol(ADDRESS)
        self.transport: Any = StringTransport(ADDRESS, ADDRESS)
        self.channel.makeConnection(self.transport)
        self.channel.dataReceived(REQUEST)

    def read(self) -> bytes:
        """What has arrived since: the contents of the chunks, after the header if there is one."""
        data: bytes = self.transport.value()
        self.transport.clear()
        head, mark, rest = data.partition(b"\r\n\r\n")
        if mark and head.startswith(b"HTTP/"):
            assert b"Content-Type: application/x-ndjson" in head
            data = rest
        content = b""
        while data:
            size, _, data = data.partition(b"\r\n")
            content += data[: int(size, 16)]
            data = data[int(size, 16) + 2 :]
        return content

    def lose(self) -> None:
        self.channel.connectionLost(Failure(ConnectionAborted()))


class Port:
    """A port whose publications come from the test."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.watchers: list[Callable[[str, bytes], None]] = []
        self.edge = edge_with(watch=self.watch)
        self.site = self.edge.site(self.clock, print, print, print)

    def watch(self, on_event: Callable[[str, bytes], None]) -> Callable[[], None]:
        self.watchers.append(on_event)
        return lambda: self.watchers.remove(on_event)

    def publish(self, topic: str, payload: bytes) -> None:
        for each in self.watchers:
            each(topic, payload)


@pytest.fixture
def port() -> Port:
    return Port()


def test_each_publication_is_a_line(port: Port) -> None:
    reader = Reader(port)
    assert reader.read() == b"\n"
    port.publish('caf\u00e9 "1"', b"1.0")
    port.publish("t", b'{\r\n"a":\n1}')
    assert reader.read() == (
        b'{"topic":"caf\xc3\xa9 \\"1\\"","payload":1.0}\n{"topic":"t","payload":{  "a": 1}}\n'
    )


def test_a_stream_outlasts_the_time_limits(port: Port) -> None:
    reader = Reader(port)
    for _ in range(round(RESPONSE_TIMEOUT * 3)):
        port.clock.advance(1)
    assert not reader.transport.disconnected
    assert reader.read() == b"\n" * (1 + int(RESPONSE_TIMEOUT * 3 / HEARTBEAT))
    port.publish("t", b"1")
    assert reader.read() == b'{"topic":"t","payload":1}\n'


def test_a_stream_ends_with_its_connection(port: Port) -> None:
    reader, other = Reader(port), Reader(port)
    reader.lose()
    assert len(port.watchers) == 1
    port.publish("t", b"1")
    assert b'"payload":1' in other.read()
    other.lose()
    assert port.watchers == []
    assert port.clock.getDelayedCalls() == []


def test_a_slow_reader_gets_what_waited_and_learns_what_it_missed(port: Port) -> None:
    reader = Reader(port)
    reader.read()
    producer = reader.transport.producer
    producer.pauseProducing()
    half = b'"%s"' % (b"x" * (MAX_WAITING // 2 - 100))
    for payload in (half, half, half, b"1"):
        port.publish("t", payload)
    assert reader.read() == b""
    producer.resumeProducing()
    assert reader.read() == (
        b'{"topic":"t","payload":%b}\n' % half * 2 + b'{"topic":"t","payload":1}\n{"dropped":1}\n'
    )
    port.publish("t", b"2")
    assert reader.read() == b'{"topic":"t","payload":2}\n'


def test_a_reader_that_takes_nothing_is_dropped(port: Port) -> None:
    reader = Reader(port)
    reader.transport.producer.pauseProducing()
    port.clock.advance(HEARTBEAT)
    assert not reader.transport.disconnected
    port.clock.advance(HEARTBEAT)
    assert reader.transport.disconnected


def test_the_number_of_streams_is_limited(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wampush.edges.http.event_stream.MAX_STREAMS", 1)
    reader = Reader(port)
    response = ask(port.edge, "/events")
    assert (response.status, problem_of(response)) == (503, "the limit of streams, 1, is reached")
    reader.lose()
    assert Reader(port).read() == b"\n"


def test_it_needs_access() -> None:
    edge = edge_with(token=b"0123456789abcdef0123456789abcdef")
    assert ask(edge, "/events").status == 401


def test_head_begins_no_stream(port: Port) -> None:
    response = ask(port.edge, "/events", method="HEAD")
    assert (response.status, response.body) == (200, b"")
    assert response.headers["content-type"] == "application/x-ndjson"
    assert port.watchers == []
