"""The old node: its order, what it does when the new one ends, and how it ends itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.two_nodes import CATCH_UP, DEFLATE, TwoNodes, two_nodes
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.node.handover import HandedOver, HandOverFailed, handing_over
from wampush.node.handover.handing_over import BACKLOG_BYTES
from wampush.node.handover.phases import Phase


def cut(nodes: TwoNodes) -> Any:
    """The new node ends; returns how the hand-over has failed."""
    assert nodes.taking is not None
    nodes.taking.close()
    for connection in list(nodes.new.node.websocket.connections):
        connection.transport.abortConnection()
    nodes.settle(nodes.new, nodes.old)
    return nodes.outcomes["old"].value


def test_sessions_histories_and_publications_are_counted() -> None:
    with two_nodes(CATCH_UP) as nodes:
        for _ in range(3):
            nodes.client(topics=["t"])
        nodes.old.publish("kept", 1)
        nodes.begin()
        # Told with the history, which has not been told yet.
        nodes.old.publish("kept", 2)
        # Nobody there gets it: no session has moved.
        nodes.old.publish("t", 1)
        nodes.finish()
        given = nodes.outcomes["old"]
        assert isinstance(given, HandedOver)
        assert (given.sessions, given.staying, given.publications) == (3, 0, 0)
        assert given.seconds < 1
        nodes.read_all()
        assert [each.events("t") for each in nodes.clients] == [[1]] * 3
        assert nodes.old.node.websocket.connections == set()
        assert nodes.giving is not None
        assert nodes.giving.backlog == 0


def test_a_new_node_that_ends_at_once_changes_nothing() -> None:
    with two_nodes(CATCH_UP) as nodes:
        client = nodes.client(topics=["t", "kept"])
        nodes.begin()
        failed = cut(nodes)
        assert isinstance(failed, HandOverFailed)
        assert (failed.lost, failed.goes_on) == (0, True)
        assert "0 sessions had moved" in str(failed)
        nodes.old.publish("t", 1)
        nodes.old.publish("kept", 1)
        nodes.read_all()
        assert (client.events("t"), client.events("kept")) == ([1], [1])


def test_sessions_that_had_moved_are_lost_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handing_over, "_LOST_PER_TURN", 1)
    with two_nodes() as nodes:
        clients = [nodes.client(topics=["t"]) for _ in range(3)]
        late = nodes.client(DEFLATE, topics=["t"])
        # In the middle of a compressed message, it cannot move yet.
        late.send(b"\xc1\x85" + bytes(4) + b"abc")
        nodes.settle(nodes.old)
        nodes.begin()
        while len(nodes.new.broker.sessions) < 3:
            nodes.old.turn()
            nodes.new.turn()
            assert not nodes.outcomes
        failed = cut(nodes)
        assert (failed.lost, failed.goes_on) == (3, True)
        nodes.old.publish("t", 1)
        nodes.read_all()
        assert [each.is_ended for each in clients] == [True] * 3
        assert late.events("t") == [1]
        broker = nodes.old.broker
        assert set(broker.sessions) == {late.session_id}
        assert broker.ledger.ends() == {"move-failed": 3}
        assert nodes.old.node.websocket.shared.admission.connections == 1
        assert broker.presence is not None
        assert broker.presence.num_clients == 1


def test_a_new_node_that_ends_without_confirming_has_everything_with_it() -> None:
    with two_nodes() as nodes:
        client = nodes.client()
        nodes.begin()
        assert nodes.giving is not None
        while nodes.giving._phase is not Phase.ENDING:
            nodes.old.turn()
        failed = cut(nodes)
        assert (failed.lost, failed.goes_on) == (1, False)
        nodes.read_all()
        assert client.is_ended


def test_sources_pause_while_much_waits_for_the_new_node() -> None:
    with two_nodes(buffer=4608) as nodes:
        nodes.client(topics=["t"])
        nodes.begin()
        while not nodes.new.broker.sessions:
            nodes.old.turn()
            nodes.new.turn()
        pressure: Any = nodes.old.node.backpressure
        for _ in range(BACKLOG_BYTES // 100_000 + 2):
            nodes.old.publish("none", "x" * 100_000)
        assert pressure.paused
        nodes.finish()
        assert not pressure.paused
        assert isinstance(nodes.outcomes["old"], HandedOver)


def test_the_old_node_ends_when_everything_is_sent() -> None:
    with two_nodes(buffer=4608) as nodes:
        client = nodes.client(topics=["t"])
        nodes.hand_over()
        assert nodes.giving is not None
        ended: list[None] = []
        nodes.giving.drain(0.5, silence=0.5).addCallback(ended.append)
        nodes.old.reactor.advance(0.4)
        nodes.old.broker.push(Source.HTTP, Publication("t", b'"%s"' % (b"x" * 50_000)))
        nodes.old.reactor.advance(0.1)
        assert not ended
        nodes.old.reactor.advance(0.4)
        assert not ended
        assert nodes.giving.backlog
        nodes.read_all()
        assert ended == [None]
        assert len(client.events("t")) == 1
        nodes.old.publish("t", "too late")
        nodes.read_all()
        assert len(client.events("t")) == 1


def test_a_new_node_that_ends_later_ends_the_forwarding(log: list[str]) -> None:
    with two_nodes() as nodes:
        nodes.client()
        nodes.hand_over()
        assert nodes.giving is not None
        ended: list[None] = []
        nodes.giving.drain(0.0, silence=0.1).addCallback(ended.append)
        assert nodes.taking is not None
        nodes.taking.close()
        nodes.settle(nodes.old)
        assert any("takes no pushes any more" in line for line in log)
        nodes.old.reactor.advance(0.1)
        assert ended == [None]


def test_a_mistake_in_a_step_ends_the_hand_over_and_not_the_node(
    monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    with two_nodes() as nodes:
        client = nodes.client(topics=["t"])
        nodes.begin()
        assert nodes.giving is not None

        def fail() -> None:
            raise TypeError("no JSON")

        monkeypatch.setattr(nodes.giving._slices, "take", fail)
        nodes.settle(nodes.old, nodes.new)
        failed: Any = nodes.outcomes["old"]
        assert "TypeError: no JSON; 0 sessions had moved" in str(failed.value)
        assert failed.value.goes_on
        assert "a step of the hand-over has failed" in log
        nodes.old.publish("t", 1)
        nodes.read_all()
        assert client.events("t") == [1]
