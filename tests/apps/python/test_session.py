"""A session between handshake and end: events that are kept, its end, what is left of it."""

from __future__ import annotations

from datetime import date

import pytest
from twisted.logger import capturedLogs, formatEvent

from tests.apps.python.fake_server import FakeServer
from wampush.apps.python.session import Session
from wampush.broker.identity import Identity
from wampush.errors import CloseReason, NotSerialisable, PushRefused
from wampush.excerpts import shown
from wampush.state_machine import IllegalMove


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


def session_of(server: FakeServer) -> Session:
    return Session(server.api, server.subscriber(), Identity("7"), "192.0.2.1")


def test_events_before_welcome_follow_it(server: FakeServer) -> None:
    session = session_of(server)
    session.send("a", 1)
    session.send("b", None)
    assert server.sent == []
    assert not session.is_open
    session.on_open()
    session.send("c", [3])
    assert [each[1:] for each in server.sent] == [("a", b"1"), ("b", b"null"), ("c", b"[3]")]
    assert session.is_open


def test_an_ended_session_does_nothing_and_keeps_its_identity(server: FakeServer) -> None:
    subscriber = server.subscriber()
    session = Session(server.api, subscriber, Identity("7"), "192.0.2.1")
    session.on_open()
    subscriber.identity = Identity("8")
    session.on_lost()
    subscriber.identity = Identity("9")
    session.send("a", 1)
    session.end("bye")
    assert server.sent == []
    assert not session.is_open
    assert session.user == "8"
    assert session.identity == Identity("8")
    session.on_lost()


def test_an_open_session_is_ended_by_its_peer(server: FakeServer) -> None:
    client = server.world.client()
    session = Session(server.api, client.subscriber, Identity(), "192.0.2.1")
    session.on_open()
    session.end("bye")
    assert client.peer.ends == [(CloseReason.ENDED_BY_APPLICATION, "bye")]
    assert session.end_reason is None


def test_ending_a_session_before_it_opens_is_remembered(server: FakeServer) -> None:
    session = session_of(server)
    session.end("full")
    assert session.end_reason == "full"


def test_a_plain_websocket_has_neither_id_nor_events(server: FakeServer) -> None:
    session = Session(server.api, None, Identity("7"), "192.0.2.1")
    session.send("a", 1)
    assert session.id == ""
    assert session.user == "7"
    assert repr(session) == "<Session  of 192.0.2.1>"


def test_data_is_kept(server: FakeServer) -> None:
    session = session_of(server)
    session.data.count = 1
    assert session.data.count == 1


def test_everything_runs_in_the_reactor(server: FakeServer) -> None:
    session = session_of(server)
    session.send("a", 1)
    session.end()
    assert server.reactor_calls == ["_send", "_end"]


def test_what_cannot_be_sent_is_refused(server: FakeServer) -> None:
    session = session_of(server)
    with pytest.raises(PushRefused):
        session.send("wampush.x", 1)
    with pytest.raises(NotSerialisable):
        session.send("a", object())


def test_states_follow_the_table(server: FakeServer) -> None:
    session = session_of(server)
    session.on_open()
    with pytest.raises(IllegalMove):
        session.on_open()


def test_plain_attributes_of_the_app_go_to_another_process(server: FakeServer) -> None:
    session = session_of(server)
    assert session.snapshot() is None
    session.data.room = "lobby"
    session.data.seen = {"a": [1, 2.5, None, True], "long": 2**70}
    values = session.snapshot()
    assert values is not None
    other = session_of(server)
    other.restore(values)
    assert other.data == session.data


@pytest.mark.parametrize("value", [{1}, (1, 2), {1: 2}, float("nan"), date(2026, 1, 1), object()])
def test_others_do_not_and_the_log_says_so_once(server: FakeServer, value: object) -> None:
    with capturedLogs() as events:
        session, another = session_of(server), session_of(server)
        for each in (session, another):
            each.data.room = "lobby"
            each.data.value = value
            assert each.snapshot() is None
    (line,) = map(formatEvent, events)
    assert line.startswith(f"session.data of {session!r} is lost at this upgrade")
    assert line.endswith(f": value is {shown(value)}, which is not plain JSON data")
