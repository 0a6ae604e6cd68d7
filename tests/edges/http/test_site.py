"""What applies to every request of the HTTP port, and how many connections it has."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionAborted
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from tests.edges.http.http_in_memory import LIMITS, MAX_BYTES, ask, complete_edge, edge_with, run
from wampush.edges.access_log import AccessLog
from wampush.edges.http.routes import HttpEdge
from wampush.edges.http.site import MAX_DROPPED_BYTES, BoundedSite, HttpLimits

ADDRESS: Any = IPv4Address("TCP", "127.0.0.1", 50000)
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def edge() -> HttpEdge:
    return complete_edge()


@pytest.mark.parametrize(
    "path", ["/", "/demo/", "/static/site.css", "/static/demo/demo.js", "/nix", "/healthz"]
)
def test_every_response_carries_the_security_headers(edge: HttpEdge, path: str) -> None:
    headers = ask(edge, path).headers
    assert headers["server"] == "wampush"
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self' ws: wss:" in policy
    assert "unsafe" not in policy


def test_a_path_that_is_not_utf8_is_refused(edge: HttpEdge) -> None:
    assert ask(edge, "/%ff%fe").status == 400


@pytest.mark.parametrize("method", ["get", "G\xe9T", "X" * 30])
def test_a_method_that_is_none_is_refused(edge: HttpEdge, method: str) -> None:
    assert ask(edge, "/", method=method).status == 400


@pytest.mark.parametrize("size", [2, MAX_BYTES, MAX_BYTES + 1, MAX_DROPPED_BYTES])
def test_a_body_that_nobody_needs_is_dropped(edge: HttpEdge, size: int) -> None:
    head = b"POST /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    plain = head + b"Content-Length: %d\r\n\r\n%s" % (size, b"x" * size)
    half, rest = size // 2, size - size // 2
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (half, b"x" * half, rest, b"x" * rest)
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    for request in (plain, chunked):
        answer = run(edge, request)
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("other", ["localhost:8081", "evil.example"])
def test_two_hosts_are_refused(edge: HttpEdge, other: str) -> None:
    assert ask(edge, "/healthz", host=other, headers="Host: localhost:8081\r\n").status == 400


@pytest.mark.parametrize(
    "codings", [["chunked", "identity"], ["identity"], ["identity", "chunked"]]
)
def test_a_body_whose_end_could_be_elsewhere_ends_the_connection(
    edge: HttpEdge, codings: list[str]
) -> None:
    lines = "".join(f"Transfer-Encoding: {each}\r\n" for each in codings)
    head = f"POST /publish/t HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()
    answer = run(edge, head + b"1\r\n1\r\n0\r\n\r\n" + head)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_body_without_end_ends_the_connection(edge: HttpEdge) -> None:
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {MAX_DROPPED_BYTES * 4}\r\n\r\n"
    assert run(edge, head.encode() + b"x" * (MAX_DROPPED_BYTES + 1)) == b""


@pytest.mark.parametrize("path", ["/", "/ws", "/healthz"])
@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket"])
def test_a_request_for_a_websocket_learns_where_it_is(edge, path, upgrade):
    response = ask(edge, path, headers=f"Upgrade: {upgrade}\r\n", host="push.example.org:8081")
    assert response.status == 400
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.body.decode() == (
        "This is the HTTP port of wampush; the WebSocket is at ws://push.example.org:8080/\n"
    )
    nowhere = ask(edge_with(), path, headers=f"Upgrade: {upgrade}\r\n")
    assert nowhere.body == b"This is the HTTP port of wampush\n"
    assert ask(edge, "/healthz", headers="Upgrade: h2c\r\n").status == 200


@pytest.fixture
def rejected() -> list[str]:
    """The addresses of clients that exceeded the number of connections."""
    return []


@pytest.fixture
def site(rejected: list[str]) -> BoundedSite:
    return edge_with().site(Clock(), rejected.append, print, print)


def connect(site: BoundedSite, address: Any = ADDRESS) -> tuple[Any, Any]:
    channel = site.buildProtocol(address)
    transport: Any = StringTransport(address, address)
    channel.makeConnection(transport)
    return channel, transport


def far(number: int) -> Any:
    return IPv4Address("TCP", f"192.0.2.{number}", 50000)


def test_a_full_port_closes_the_connection_that_waits_longest(
    site: BoundedSite, rejected: list[str]
) -> None:
    transports = [connect(site, far(number))[1] for number in range(LIMITS.connections)]
    assert rejected == []
    channel, transport = connect(site, far(9))
    assert [each.disconnected for each in transports] == [True, False]
    assert rejected == ["192.0.2.0"]
    assert len(site.channels) == LIMITS.connections
    channel.dataReceived(REQUEST)
    assert transport.value().startswith(b"HTTP/1.1 200 ")


def test_connections_of_those_who_may_see_state_keep_their_places(
    site: BoundedSite, rejected: list[str]
) -> None:
    channels = [connect(site)[0] for _ in range(LIMITS.connections)]
    for channel in channels:
        # From this machine, and without a token that is needed.
        channel.dataReceived(REQUEST)
    _, transport = connect(site, far(1))
    assert transport.disconnected
    assert rejected == ["192.0.2.1"]
    assert len(site.channels) == LIMITS.connections
    channels.pop().connectionLost(Failure(ConnectionAborted()))
    channel, transport = connect(site)
    channel.dataReceived(REQUEST)
    assert transport.value().startswith(b"HTTP/1.1 200 ")
    assert rejected == ["192.0.2.1"]


def test_connections_are_limited_by_address(rejected: list[str]) -> None:
    edge = edge_with(limits=HttpLimits(100, 2, MAX_BYTES))
    site = edge.site(Clock(), rejected.append, print, print)
    for _ in range(2):
        assert not connect(site, far(1))[1].disconnected
    assert connect(site, far(1))[1].disconnected
    assert rejected == ["192.0.2.1"]
    assert not connect(site, far(2))[1].disconnected
    for _ in range(5):
        assert not connect(site)[1].disconnected


def test_a_client_of_a_unix_socket_is_named_so(site: BoundedSite, rejected: list[str]) -> None:
    for _ in range(LIMITS.connections + 1):
        connect(site, UNIXAddress(b"/run/x"))
    assert rejected == ["unix socket"]


def test_tls_may_negotiate_http_1_alone(site: BoundedSite) -> None:
    assert site.acceptableProtocols() == [b"http/1.1"]


def test_starting_and_stopping_leave_nothing_behind(site: BoundedSite) -> None:
    site.doStart()
    clock: Any = site.reactor
    assert clock.getDelayedCalls() == []
    site.doStop()


def access_lines(data: bytes) -> list[tuple[str, str, int, int]]:
    """What the access log says about the requests of a connection that then ends."""
    clock = Clock()
    log = AccessLog(clock.callLater, clock.seconds)
    site = complete_edge().site(clock, print, print, print, log)
    with capturedLogs() as events:
        channel, _ = connect(site, far(1))
        channel.dataReceived(data)
        # One request per turn.
        clock.advance(0)
        clock.advance(0)
        channel.connectionLost(Failure(ConnectionAborted()))
        clock.advance(0)
    lines = [each for each in events if each["log_namespace"] == "wampush.access"]
    assert {each["address"] for each in lines} <= {"192.0.2.1"}
    return [(each["request"], each["reason"], each["received"], each["sent"]) for each in lines]


def test_the_access_log_has_a_line_for_each_request() -> None:
    post = b"POST /healthz?token=secret HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
    first, second = access_lines(REQUEST + post)
    assert first[:3] == ("GET /healthz", "200", 0)
    assert first[3] > 0
    assert second[:3] == ("POST /healthz", "405", 2)


def test_the_access_log_has_one_line_for_a_request_whose_connection_is_lost_at_once() -> None:
    clock = Clock()
    log = AccessLog(clock.callLater, clock.seconds)
    site = complete_edge().site(clock, print, print, print, log)
    with capturedLogs() as events:
        channel, _ = connect(site)
        # The next request waits for a turn of its own.
        channel.dataReceived(REQUEST * 2)
        channel.connectionLost(Failure(ConnectionAborted()))
        clock.advance(0)
    lines = [each for each in events if each["log_namespace"] == "wampush.access"]
    assert [each["reason"] for each in lines] == ["200"]


def test_the_access_log_has_a_line_for_a_request_that_is_cut_off() -> None:
    cut = b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"
    assert access_lines(cut) == [("no request", "peer-lost", 2, 0)]
    assert access_lines(b"GET /heal") == []
