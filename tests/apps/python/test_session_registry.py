"""All apps get the same session of a client."""

from __future__ import annotations

from tests.apps.python.fake_server import FakeServer
from wampush.broker.identity import Identity
from wampush.broker.requests.connect_request import ConnectAttempt, ConnectRequest
from wampush.broker.subscriber import KeptHandle, Subscriber


def attempt(subscriber: Subscriber | None) -> ConnectAttempt:
    return ConnectAttempt(Identity("7"), ConnectRequest("/", {}, "192.0.2.7"), subscriber)


def test_the_session_of_the_handshake_is_that_of_the_client() -> None:
    server = FakeServer()
    subscriber = server.subscriber()
    connecting = attempt(subscriber)
    session = server.sessions.connecting(connecting)
    assert session.address == "192.0.2.7"
    assert server.sessions.connecting(connecting) is session
    states = [session.is_open]
    server.sessions.on_open(subscriber)
    states.append(session.is_open)
    assert server.sessions.of(subscriber) is session
    server.sessions.on_lost(subscriber)
    states.append(session.is_open)
    assert states == [False, True, False]
    assert server.sessions.ended(subscriber) is session


def test_a_client_without_a_session_gets_one_when_a_handler_needs_it() -> None:
    server = FakeServer()
    subscriber = server.subscriber()
    server.sessions.on_open(subscriber)
    server.sessions.on_lost(subscriber)
    assert subscriber.handle is None
    session = server.sessions.of(subscriber)
    assert session.is_open
    assert session.address == "192.0.2.1"
    other = server.subscriber()
    other.peer = None
    assert server.sessions.of(other).address == ""
    assert not server.sessions.ended(server.subscriber()).is_open


def test_a_client_that_must_not_connect_has_no_session_any_more() -> None:
    server = FakeServer()
    connecting = attempt(server.subscriber())
    session = server.sessions.connecting(connecting)
    session.send("a", 1)
    server.sessions.on_connect_refused(connecting)
    assert server.sent == []
    assert not session.is_open


def test_a_plain_websocket_has_a_session_for_each_handshake() -> None:
    server = FakeServer()
    connecting = attempt(None)
    session = server.sessions.connecting(connecting)
    assert session.user == "7"
    assert server.sessions.connecting(connecting) is not session
    server.sessions.on_connect_refused(connecting)


def test_attributes_from_another_process_are_there_when_a_handler_needs_the_session() -> None:
    server = FakeServer()
    subscriber = server.subscriber()
    subscriber.handle = KeptHandle({"room": "lobby", "count": 2})
    session = server.sessions.of(subscriber)
    assert vars(session.data) == {"room": "lobby", "count": 2}
    session.data.count += 1
    assert server.sessions.of(subscriber).data.count == 3
