"""Which connections can move, and that one goes on as it was."""

from __future__ import annotations

import os
import socket
from typing import Any

import orjson
import pytest
from twisted.logger import capturedLogs

from tests.edges.websocket.in_memory import MemoryNode, masked, request
from tests.support.two_nodes import DEFLATE, Client, TestNode, TwoNodes, two_nodes
from wampush.broker.transfer.session_transfer import SessionState
from wampush.config.tables.log import LogSettings
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.websocket.admission import TicketState
from wampush.edges.websocket.connection import Connection
from wampush.edges.websocket.transfer.connection_state import (
    ConnectionState,
    Departure,
    Readiness,
    connection_state,
    depart,
    readiness,
)
from wampush.errors import CloseReason


def only_connection(nodes: TwoNodes) -> Connection:
    """The only connection of the old node."""
    (connection,) = nodes.old.node.websocket.connections
    return connection


def state_of(departure: Departure) -> ConnectionState:
    """The state of a connection as the other process reads it."""
    return connection_state(orjson.loads(orjson.dumps(departure.values)))


def move(nodes: TwoNodes, departure: Departure) -> Any:
    """Let a connection arrive in the new node."""
    descriptor = os.dup(departure.descriptor)
    os.close(departure.descriptor)
    state = state_of(departure)
    body = memoryview(b"".join(departure.parts))
    return nodes.new.node.websocket.arrive(descriptor, state, body)


def test_a_state_is_written_and_read() -> None:
    state = ConnectionState(
        session=SessionState(session_id="s", topics=["t"], rates=[[1, 2.0, 3.0]], requests=["r"]),
        is_local=True,
        ticket=TicketState(peer="p", address="a", user="7", allowance=3.5),
        window_bits=12,
        unread=3,
        chunks=[4, 5],
        latest={"t": 1},
        behind={"t": ["e", 3]},
        stalled=True,
        shared=[0],
    )
    written = orjson.loads(orjson.dumps(state))
    assert connection_state(written) == state
    assert connection_state({**written, "colour": "red"}) == state
    assert connection_state({}) == ConnectionState()


def test_what_most_clients_do_not_have_is_not_written() -> None:
    with two_nodes() as nodes:
        nodes.client(topics=["t"])
        departure = depart(only_connection(nodes))
        assert departure.values.keys() == {"session", "ticket", "is_local"}
        assert departure.values["session"].keys() == {"session_id", "topics", "kept"}
        assert departure.values["ticket"].keys() == {"peer", "address", "user", "allowance"}
        assert departure.parts == ()
        move(nodes, departure).begin()


def test_a_connection_with_all_it_has_goes_on() -> None:
    with two_nodes() as nodes:
        client = nodes.client(DEFLATE, topics=["t"], buffer=4608)
        text = "".join(map(chr, range(32, 127)))
        for number in range(200):
            nodes.old.publish("t", [number, text])
            nodes.old.turn()
        message = masked(b'[5,"u"]')
        client.send(message[:5])
        nodes.old.turn()
        connection = only_connection(nodes)
        assert readiness(connection) is Readiness.READY
        departure = depart(connection)
        assert state_of(departure).chunks
        assert state_of(departure).window_bits == 15
        assert nodes.old.node.websocket.connections == set()
        # Nothing that happens to it here matters any more.
        connection.drop(CloseReason.FLOODING)
        connection.end(CloseReason.SERVER_STOPPED)
        assert nodes.old.broker.ledger.ends() == {}
        assert readiness(connection) is Readiness.NEVER
        with pytest.raises(ValueError, match="not ready"):
            depart(connection)
        arrival = move(nodes, departure)
        client.send(message[5:])
        nodes.settle(nodes.new, client)
        assert [each[0] for each in client.events("t")] == list(range(200))
        assert arrival.connection.conversation.subscriber.session.session_id == client.session_id
        arrival.begin()
        nodes.settle(nodes.new)
        nodes.new.publish("u", 1)
        nodes.settle(nodes.new, client)
        assert client.events("u") == [1]


def pass_time(nodes: TwoNodes, node: TestNode, client: Client, seconds: int) -> None:
    for _ in range(seconds):
        node.reactor.advance(1.0)
        nodes.settle(node, client)


def test_a_ping_is_due_when_it_would_be_without_the_move() -> None:
    settings = WebSocketSettings(ping_interval=30.0, silence_timeout=60.0)
    with two_nodes(websocket=settings) as nodes:
        client = nodes.client()
        pass_time(nodes, nodes.old, client, 20)
        move(nodes, depart(only_connection(nodes))).begin()
        pass_time(nodes, nodes.new, client, 8)
        assert client.pings == []
        pass_time(nodes, nodes.new, client, 4)
        assert len(client.pings) == 1


def test_a_client_that_was_silent_for_longer_is_pinged_before_it_is_judged() -> None:
    settings = WebSocketSettings(ping_interval=30.0, silence_timeout=60.0)
    with two_nodes(websocket=settings) as nodes:
        client = nodes.client()
        for _ in range(58):
            # The client does not read the ping.
            nodes.old.reactor.advance(1.0)
        departure = depart(only_connection(nodes))
        assert state_of(departure).silent > settings.ping_interval
        arrival = move(nodes, departure)
        nodes.settle(nodes.new, client)
        client.pings.clear()
        arrival.begin()
        pass_time(nodes, nodes.new, client, 3)
        assert client.pings
        assert not client.is_ended


def test_a_handshake_goes_on() -> None:
    with two_nodes() as nodes:
        client = nodes.socket()
        client.send(request()[:30])
        nodes.settle(nodes.old)
        connection = only_connection(nodes)
        assert readiness(connection) is Readiness.READY
        departure = depart(connection)
        assert state_of(departure) == ConnectionState(unread=30)
        assert nodes.old.node.websocket.shared.admission.connections == 0
        arrival = move(nodes, departure)
        arrival.begin()
        client.send(request()[30:])
        nodes.settle(nodes.new, client)
        assert client.session_id


def test_a_message_that_is_inflated_already_is_waited_for() -> None:
    with two_nodes() as nodes:
        client = nodes.client(DEFLATE)
        client.send(b"\xc1\x85" + bytes(4) + b"abc")
        nodes.settle(nodes.old)
        assert readiness(only_connection(nodes)) is Readiness.LATER


@pytest.mark.parametrize(
    "frames",
    [
        masked(b'[5,"t"]')[:7],
        masked(b'[5,"t"]', key=b"abcd")[:11],
        masked(b"[5,", first=0x01),
        masked(b"[5,", first=0x01) + masked(b'"t', first=0x00)[:7],
        masked(b"", first=0x01) + masked(b"[5,", first=0x00)[:8],
        masked(b"[5,", first=0x01) + masked(b"ping", first=0x89)[:8],
        masked(b"", first=0x01) + masked(b"ping", first=0x89)[:6],
        masked(b"ping", first=0x89)[:7],
        masked(b"x" * 300, first=0x82)[:100],
    ],
)
def test_what_is_read_in_part_is_read_again(frames: bytes) -> None:
    node, other = MemoryNode(), MemoryNode()
    first, second = node.open(), other.open()
    first.send(frames)
    unread = first.connection.unread()
    assert unread is not None
    second.send(unread)
    assert second.connection.unread() == unread
    for peer in (first, second):
        frame = peer.connection.current_frame
        found = (
            frame and (frame.opcode > 7, frame.fin, frame.length, frame.mask),
            peer.connection.inside_message,
            b"".join(getattr(peer.connection, "message_data", ()) or ()),
        )
        peer.lose()
        if peer is first:
            expected = found
    assert found == expected


def test_what_is_ending_or_streams_stays() -> None:
    with two_nodes() as nodes:
        stream = nodes.socket()
        stream.send(b"GET /events?topic=t HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        nodes.settle(nodes.old)
        connection = only_connection(nodes)
        assert readiness(connection) is Readiness.NEVER
        connection.drop(CloseReason.FLOODING)
        assert readiness(connection) is Readiness.NEVER
    memory = MemoryNode().open()
    assert readiness(memory.connection) is Readiness.NEVER


def test_a_client_that_is_gone_does_not_arrive() -> None:
    with two_nodes() as nodes:
        descriptor = socket.socket().detach()
        state = ConnectionState(session=SessionState(session_id="s"))
        with pytest.raises(OSError, match="not connected"):
            nodes.new.node.websocket.arrive(descriptor, state, memoryview(b""))
        assert nodes.new.node.websocket.connections == set()


def test_the_access_log_has_one_line_with_the_bytes_of_both_processes() -> None:
    with two_nodes(log=LogSettings(access=True)) as nodes, capturedLogs() as events:
        client = nodes.client(topics=["t"])
        sent = client.received
        connection = only_connection(nodes)
        assert connection.ticket is not None
        assert connection.ticket.record is not None
        received = connection.ticket.record.received
        message = masked(b'[5,"u"]')
        client.send(message[:5])
        nodes.settle(nodes.old)
        arrival = move(nodes, depart(connection))
        arrival.begin()
        client.send(message[5:])
        nodes.settle(nodes.new, client)
        nodes.new.publish("u", 1)
        nodes.settle(nodes.new, client)
        assert client.events("u") == [1]
        assert client.received > sent
        client.end.close()
        nodes.clients.remove(client)
        nodes.settle(nodes.new)
        (event,) = (each for each in events if each["log_namespace"] == "wampush.access")
        assert (event["request"], event["reason"]) == ("WebSocket /", "peer-lost")
        assert event["session"] == client.session_id
        assert event["sent"] == client.received
        assert event["received"] == received + len(message)


def test_the_access_log_has_a_line_for_a_client_that_has_gone_on_the_way() -> None:
    with two_nodes(log=LogSettings(access=True)) as nodes, capturedLogs() as events:
        nodes.client()
        departure = depart(only_connection(nodes))
        os.close(departure.descriptor)
        state = state_of(departure)
        with pytest.raises(OSError):
            nodes.new.node.websocket.arrive(
                os.open(os.devnull, os.O_RDONLY), state, memoryview(b"")
            )
        nodes.settle(nodes.new)
        (event,) = (each for each in events if each["log_namespace"] == "wampush.access")
        assert (event["request"], event["reason"]) == ("WebSocket /", "peer-lost")
