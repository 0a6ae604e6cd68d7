"""Slices: how many sessions and bytes they have, and what becomes of sessions that have left."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.edges.websocket.in_memory import request
from tests.node.handover import an_app
from tests.support.two_nodes import DEFLATE, TwoNodes, two_nodes
from wampush.broker.identity import Identity
from wampush.broker.session_ends import end_user_sessions
from wampush.errors import CloseReason
from wampush.node.handover import slices
from wampush.node.handover.records import Kind
from wampush.node.handover.slices import Slice, Slices


def slices_of(nodes: TwoNodes, most: int = 253) -> tuple[Slices, list[Any]]:
    sent: list[Any] = []
    made = Slices(nodes.old.node, lambda *record: sent.append(record), most)
    return made, sent


def close(taken: Slice | None) -> int:
    assert taken is not None
    for each in taken.descriptors:
        os.close(each)
    return len(taken.states)


def test_a_slice_has_so_many_sessions() -> None:
    with two_nodes() as nodes:
        for _ in range(5):
            nodes.client()
        found, _ = slices_of(nodes, 2)
        assert found.take() is None
        found.look()
        assert [close(found.take()) for _ in range(3)] == [2, 2, 1]
        assert found.take() is None
        assert not found.may_come
        assert len(found) == 5


def test_a_slice_has_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE_BYTES", 50_000)
    with two_nodes() as nodes:
        for _ in range(4):
            nodes.client(topics=["t"], buffer=4608)
        nodes.old.publish("t", "x" * 40_000)
        nodes.old.turn()
        found, _ = slices_of(nodes)
        found.look()
        assert [close(found.take()) for _ in range(2)] == [2, 2]


def test_what_is_published_before_is_in_the_state_and_later_frames_are_forwarded() -> None:
    with two_nodes() as nodes:
        client = nodes.client(topics=["t"], buffer=4608)
        subscriber = nodes.old.broker.sessions[client.session_id]
        nodes.old.publish("t", "x" * 20_000)
        found, sent = slices_of(nodes)
        found.look()
        taken = found.take()
        assert taken is not None
        assert sum(taken.states[0]["chunks"]) > 10_000
        nodes.old.publish("t", 2)
        nodes.old.broker.send(subscriber, "private", b"1")
        nodes.old.turn()
        ((kind, values, (frame,)),) = sent
        assert (kind, values) == (Kind.FRAME, {"session": client.session_id})
        assert frame.endswith(b'[8,"private",1]')
        end_user_sessions(nodes.old.broker, "nobody", CloseReason.ENDED_BY_OPERATOR)
        assert found.is_moved(subscriber)
        nodes.old.node.requests.become(subscriber, Identity("7"))
        assert sent[1][0] is Kind.IDENTITY
        close(taken)


def test_connections_that_are_never_ready_end() -> None:
    with two_nodes() as nodes:
        client = nodes.client(DEFLATE)
        client.send(b"\xc1\x85" + bytes(4) + b"abc")
        waiting = nodes.socket()
        waiting.send(request())
        nodes.settle(nodes.old)
        found, _ = slices_of(nodes)
        found.look()
        close(found.take())
        assert found.may_come
        found.end_late()
        nodes.settle(nodes.old, client)
        assert client.is_ended
        assert nodes.old.broker.ledger.ends() == {"not-moved": 1}


def test_calls_of_moved_sessions_end_once() -> None:
    an_app.waiting.clear()
    with two_nodes(apps=(f"{an_app.__name__}:app",)) as nodes:
        client, idle = nodes.client(), nodes.client()
        client.text(2, "c", "slow", 1)
        nodes.read_all()
        found, sent = slices_of(nodes)
        found.look()
        close(found.take())
        assert idle.session_id != client.session_id
        found.end_calls()
        found.end_calls()
        nodes.old.turn()
        ((kind, values, (frame,)),) = sent
        assert (kind, values["session"]) == (Kind.FRAME, client.session_id)
        assert b'[4,"c","http://api.wamp.ws/error#unavailable"' in frame


def test_lost_sessions_end_here_some_at_a_time() -> None:
    with two_nodes() as nodes:
        for _ in range(3):
            nodes.client(topics=["t"])
        found, _ = slices_of(nodes)
        found.look()
        close(found.take())
        assert found.lose(2) is True
        assert len(nodes.old.broker.sessions) == 1
        assert found.lose(2) is False
        assert nodes.old.broker.sessions == {}
        assert nodes.old.broker.subscriptions.topic_count == 0
        assert nodes.old.broker.ledger.ends() == {"move-failed": 3}
