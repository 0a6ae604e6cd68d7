"""The API of plain WebSocket components: what a connection offers, and how it is closed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apps.sample_components import HostWorld, Scripted
from wampush.apps.component import Component, ComponentConnection
from wampush.broker.identity import Identity
from wampush.errors import CloseReason


def test_a_connection_has_number_identity_request_and_room_of_its_own():
    seen: list[ComponentConnection] = []
    world = HostWorld(Scripted(on_open=seen.append))
    world.connect(Identity("7"))
    world.connect()
    first, second = seen
    assert (first.id, second.id) == (1, 2)
    assert (first.identity.user, second.identity.user) == ("7", None)
    assert first.request.path == "/chat"
    assert first.request.parameters == {"room": "1"}
    assert first.request.address == "192.0.2.1"
    assert first.subprotocol is None
    first.data.name = "Ann"
    assert first.data.name == "Ann"
    assert not hasattr(second.data, "name")
    assert repr(first) == "<ComponentConnection 1 of 192.0.2.1>"
    assert len({first, second}) == 2


def test_text_goes_out_as_text_and_bytes_as_binary():
    world = HostWorld(Scripted(on_message=lambda conn, data: conn.send(data)))
    line, runner = world.connect()
    for data in ("grüße", b"\x00\xff", "", b""):
        runner.on_message(data)
    assert line.written == ["grüße", b"\x00\xff", "", b""]


def test_every_kind_of_bytes_can_be_sent_and_nothing_else():
    seen: list[ComponentConnection] = []
    line, _ = HostWorld(Scripted(on_open=seen.append)).connect()
    (conn,) = seen
    sent: list[Any] = [bytearray(b"ab"), memoryview(b"cd")]
    for data in sent:
        conn.send(data)
    assert line.written == [b"ab", b"cd"]
    wrong: list[Any] = [5, None, ["x"], {"a": 1}]
    for data in wrong:
        with pytest.raises(TypeError):
            conn.send(data)
    with pytest.raises(UnicodeEncodeError):
        conn.send("\ud800")
    assert line.written == [b"ab", b"cd"]


def test_what_is_sent_to_a_client_that_is_gone_is_nothing():
    seen: list[ComponentConnection] = []
    world = HostWorld(Scripted(on_open=seen.append))
    line, runner = world.connect()
    (conn,) = seen
    states = [conn.is_open]
    world.lose(line, runner)
    assert [*states, conn.is_open] == [True, False]
    conn.send("x")
    conn.send(b"x")
    conn.close()
    assert line.written == []
    assert line.ended == []


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999])
def test_a_component_closes_with_a_code_of_its_choice(code: int):
    world = HostWorld(Scripted(on_message=lambda conn, data: conn.close(code, data)))
    line, runner = world.connect()
    runner.on_message("bye")
    assert line.ended == [(CloseReason.CLOSED_BY_COMPONENT, "bye", code)]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, -1])
def test_other_codes_may_not_be_sent(code: int):
    seen: list[ComponentConnection] = []
    line, _ = HostWorld(Scripted(on_open=seen.append)).connect()
    with pytest.raises(ValueError, match="code must be 1000 to 1003"):
        seen[0].close(code)
    assert line.ended == []


def test_a_component_needs_no_method():
    line, runner = HostWorld(Component()).connect()
    runner.on_message("x")
    HostWorld.lose(line, runner)
    assert line.ended == []
