"""All connections of a node: how they are accepted, limited and ended."""

from __future__ import annotations

import pytest
from twisted.logger import LogEvent, capturedLogs

from tests.edges.websocket.in_memory import (
    ADDRESS,
    Frame,
    MemoryNode,
    MemoryTransport,
    frames,
    masked,
    request,
)
from wampush.broker.identity import Identity
from wampush.broker.publication import Publication
from wampush.config.tables.websocket import WebSocketSettings
from wampush.errors import CloseReason

SETTINGS = WebSocketSettings(ping_interval=30.0, silence_timeout=60.0, handshake_timeout=5.0)


def test_the_server_stops_without_a_close_frame() -> None:
    node = MemoryNode(SETTINGS)
    peers = [node.open() for _ in range(3)]
    connecting = node.connect()
    for peer in peers:
        peer.subscribe("t")
    node.broker.publish(Publication("t", b"1"))
    done: list[None] = []
    node.edge.stop(5.0).addCallback(done.append)
    for peer in peers:
        (event,) = frames(peer.take())
        assert event.payload == b'[8,"t",1]'
        assert peer.transport.disconnecting
        assert not peer.transport.disconnected
    assert connecting.transport.disconnecting
    refused = node.connect()
    refused.send(request())
    assert refused.take().startswith(b"HTTP/1.1 503 ")
    assert done == []
    for peer in (*peers, connecting, refused):
        peer.lose()
    assert done == [None]
    assert node.ledger.ended[CloseReason.SERVER_STOPPED] == 4
    assert node.clock.getDelayedCalls() == []


def test_clients_that_do_not_read_while_the_server_stops_are_dropped() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    done: list[None] = []
    node.edge.stop(5.0).addCallback(done.append)
    node.clock.advance(4.9)
    assert not peer.transport.disconnected
    node.clock.advance(0.2)
    assert peer.transport.disconnected
    peer.lose()
    assert done == [None]


def test_many_connections_end_a_few_at_a_time() -> None:
    node = MemoryNode(SETTINGS)
    peers = [node.open() for _ in range(30)]
    done: list[None] = []
    node.edge.stop(0.1).addCallback(done.append)
    ended = sum(peer.transport.disconnecting for peer in peers)
    # Two steps within four fifths of the time.
    assert ended == 19
    late = [peer for peer in peers if not peer.transport.disconnecting]
    late[0].lose()
    node.clock.advance(0.05)
    assert all(peer.transport.disconnecting for peer in late[1:])
    for peer in peers:
        if peer is not late[0]:
            peer.lose()
    assert done == [None]
    assert node.clock.getDelayedCalls() == []


def test_stopping_without_clients_is_done_at_once() -> None:
    node = MemoryNode(SETTINGS)
    done: list[None] = []
    node.edge.stop(5.0).addCallback(done.append)
    assert done == [None]
    assert node.clock.getDelayedCalls() == []


def test_connections_beyond_the_limit_are_answered() -> None:
    node = MemoryNode(SETTINGS, most=3)
    peers = [node.open() for _ in range(3)]
    late = node.connect()
    late.send(request())
    answer = late.take()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert (
        b"The server already has websocket.max_connections connections open. 3 are allowed."
        in answer
    )
    assert node.ledger.ended == {CloseReason.TOO_MANY_CONNECTIONS: 1}
    late.lose()
    peers.pop().lose()
    node.open()
    assert len(node.broker.sessions) == 3


def test_a_flood_beyond_the_limit_is_not_accepted_at_all() -> None:
    node = MemoryNode(SETTINGS, most=3)
    for _ in range(3 + 64):
        node.connect()
    late = node.edge.buildProtocol(ADDRESS)
    transport = MemoryTransport()
    late.makeConnection(transport)
    assert transport.disconnecting
    assert node.ledger.ended == {CloseReason.TOO_MANY_CONNECTIONS: 1}
    assert len(node.edge.connections) == 3 + 64


def test_short_times_get_shorter_ticks() -> None:
    node = MemoryNode(
        WebSocketSettings(ping_interval=0.2, silence_timeout=0.4, handshake_timeout=0.1)
    )
    waiting = node.connect()
    peer = node.open()
    for _ in range(20):
        node.clock.advance(0.01)
    assert waiting.transport.disconnected
    for _ in range(10):
        node.clock.advance(0.01)
    assert frames(peer.take()) == [Frame(0x89, b"")]
    for _ in range(20):
        node.clock.advance(0.01)
    assert peer.transport.disconnected


def test_accepted_sockets_are_connections_until_they_are_lost() -> None:
    node = MemoryNode(SETTINGS)
    first, second = node.connect(), node.open()
    assert node.edge.connections == {first.connection, second.connection}
    first.lose()
    assert node.edge.connections == {second.connection}
    second.lose()
    assert node.edge.connections == set()


def test_a_socket_without_an_address_is_a_unix_socket() -> None:
    node = MemoryNode(SETTINGS, most=0)
    for _ in range(64):
        node.connect()
    rejected = node.edge.buildProtocol(None)
    rejected.makeConnection(MemoryTransport())
    (line,) = node.lines
    assert line.startswith("unix socket: too-many-connections: ")


def fields(event: LogEvent) -> dict[str, object]:
    """The fields of a line of the access log, without those that depend on time."""
    names = ("address", "request", "reason", "received", "sent", "user", "session")
    return {name: event[name] for name in names if name in event}


def test_the_access_log_has_a_line_for_an_ended_connection() -> None:
    node = MemoryNode(SETTINGS, access=True)
    handshake, message = request(target="/ws?token=secret"), masked(b'[5,"t"]')
    peer = node.connect("192.0.2.7")
    with capturedLogs() as events:
        peer.send(handshake)
        peer.send(message)
        peer.become(Identity(user="anna", source="callback"))
        session = peer.subscriber.session_id
        node.publish("t", b"1")
        sent = len(peer.take())
        peer.lose()
    (event,) = (each for each in events if each["log_namespace"] == "wampush.access")
    assert fields(event) == {
        "address": "192.0.2.7",
        "request": "WebSocket /ws",
        "reason": "peer-lost",
        "received": len(handshake) + len(message),
        "sent": sent,
        "user": "anna",
        "session": session,
    }
    # Nothing refers to the transport any more.
    assert "write" not in vars(peer.transport)


@pytest.mark.parametrize(
    ("sent", "asked", "reason"),
    [
        (b"nonsense\r\n\r\n", "no request", "bad-handshake"),
        (b"GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x", "plain-request"),
        (b"", "no request", "peer-lost"),
    ],
)
def test_the_access_log_has_a_line_without_a_session(sent: bytes, asked: str, reason: str) -> None:
    node = MemoryNode(SETTINGS, access=True)
    peer = node.connect()
    with capturedLogs() as events:
        peer.send(sent)
        peer.lose()
    (event,) = (each for each in events if each["log_namespace"] == "wampush.access")
    assert (event["request"], event["reason"]) == (asked, reason)
    assert not {"user", "session"} & event.keys()


def test_the_access_log_has_a_line_for_a_socket_far_beyond_the_limit() -> None:
    node = MemoryNode(SETTINGS, access=True, most=0)
    node.edge.shared.admission.connections = 64
    with capturedLogs() as events:
        node.edge.buildProtocol(ADDRESS)
        node.turn()
    (event,) = (each for each in events if each["log_namespace"] == "wampush.access")
    assert (event["address"], event["reason"]) == (ADDRESS.host, "too-many-connections")


def test_there_is_no_access_log_by_default() -> None:
    node = MemoryNode(SETTINGS)
    with capturedLogs() as events:
        node.open().lose()
    assert not [each for each in events if each["log_namespace"] == "wampush.access"]
