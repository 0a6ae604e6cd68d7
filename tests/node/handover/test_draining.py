"""What stays in the old node gets events until its turn; then backends have time to fall silent."""

from __future__ import annotations

import pytest

from tests.support.two_nodes import TwoNodes, two_nodes
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.node.handover.draining import BACKEND_SECONDS


def staying(nodes: TwoNodes, count: int) -> None:
    """Event streams, which cannot move."""
    for _ in range(count):
        client = nodes.socket()
        client.send(b"GET /events?topic=t HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        nodes.settle(nodes.old)


def received(nodes: TwoNodes) -> list[int]:
    nodes.settle(nodes.old, nodes.new)
    for client in nodes.clients:
        try:
            client.data += client.end.recv(100_000)
        except BlockingIOError:
            continue
    return [client.data.count(b"\ndata:") for client in nodes.clients]


def test_connections_end_one_after_the_other_and_get_events_until_then() -> None:
    with two_nodes() as nodes:
        staying(nodes, 2)
        given, taken = nodes.hand_over()
        assert (given.sessions, given.staying, taken.sessions) == (0, 2, 0)
        nodes.new.publish("t", 1)
        begun = received(nodes)
        assert min(begun) >= 1
        assert nodes.giving is not None
        ended: list[None] = []
        nodes.giving.drain(2.0, silence=0.5).addCallback(ended.append)
        nodes.old.reactor.advance(0)
        nodes.new.publish("t", 2)
        after = received(nodes)
        assert sum(after) == sum(begun) + 1
        nodes.old.reactor.advance(1.0)
        nodes.new.publish("t", 3)
        assert received(nodes) == after
        assert nodes.old.broker.ledger.ends() == {"not-moved": 2}
        nodes.old.reactor.advance(1.0)
        assert ended == [None]


def test_requests_that_are_still_to_be_answered_are_waited_for() -> None:
    with two_nodes() as nodes:
        nodes.hand_over()
        assert nodes.giving is not None
        ended: list[None] = []
        is_busy = [True]
        drained = nodes.giving.drain(1.0, silence=0.5, is_needed=lambda: is_busy[0])
        drained.addCallback(ended.append)
        nodes.old.reactor.advance(1.2)
        assert not ended
        is_busy[0] = False
        nodes.old.reactor.advance(0.1)
        nodes.settle(nodes.old, nodes.new)
        assert ended == [None]


def test_a_backend_that_never_falls_silent_is_not_waited_for_for_ever() -> None:
    with two_nodes() as nodes:
        nodes.hand_over()
        assert nodes.giving is not None
        ended: list[None] = []
        nodes.giving.drain(1.0, silence=0.5).addCallback(ended.append)
        for _ in range(19):
            nodes.old.broker.push(Source.ZEROMQ, Publication("t", b"1"))
            nodes.old.reactor.advance(0.1)
            nodes.settle(nodes.old, nodes.new)
            assert not ended
        nodes.old.broker.push(Source.ZEROMQ, Publication("t", b"1"))
        nodes.old.reactor.advance(0.2)
        nodes.settle(nodes.old, nodes.new)
        assert ended == [None]
        assert nodes.new.broker.ledger.accepted[Source.ZEROMQ] == 20


def test_backends_that_are_still_connected_have_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    with two_nodes() as nodes:
        nodes.hand_over()
        assert nodes.giving is not None
        pull, is_alone, looks = nodes.old.node.pull, [False], []

        def stop_listening() -> bool:
            looks.append(nodes.old.reactor.seconds())
            return is_alone[0]

        monkeypatch.setattr(pull, "stop_listening", stop_listening)
        ended: list[None] = []
        nodes.giving.drain(1.0, silence=0.5).addCallback(ended.append)
        for _ in range(30):
            nodes.old.reactor.advance(0.1)
        assert not ended
        is_alone[0] = True
        for _ in range(2):
            nodes.old.reactor.advance(0.1)
        nodes.settle(nodes.old, nodes.new)
        assert ended == [None]
        assert len(looks) > 20


def test_they_are_not_waited_for_for_ever_either(monkeypatch: pytest.MonkeyPatch) -> None:
    with two_nodes() as nodes:
        nodes.hand_over()
        assert nodes.giving is not None
        monkeypatch.setattr(nodes.old.node.pull, "stop_listening", lambda: False)
        ended: list[None] = []
        nodes.giving.drain(1.0, silence=0.5).addCallback(ended.append)
        for _ in range(round((2.0 + BACKEND_SECONDS) * 10) - 1):
            nodes.old.reactor.advance(0.1)
        assert not ended
        for _ in range(3):
            nodes.old.reactor.advance(0.1)
        nodes.settle(nodes.old, nodes.new)
        assert ended == [None]
