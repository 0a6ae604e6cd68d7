"""What a node does when it is replaced, and when it replaces another one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.two_nodes import TestNode, TwoNodes, two_nodes
from wampush.node.monitoring.serving import Serving, ServingState
from wampush.node.moving import Moving


class Recorder:
    """Stands for listening sockets and the link to the parent, and notes what they are asked.

    :ivar calls: the names of what was called, with the arguments.
    """

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **more: self.calls.append((name, *arguments, *more.values()))

    def has_requests(self) -> bool:
        """Nothing waits for an answer."""
        return False

    def names(self) -> list[str]:
        return [each[0] for each in self.calls]


class Side:
    """A node and what is around it."""

    def __init__(self, node: TestNode) -> None:
        self.around = Recorder()
        self.serving = Serving()
        self.collector = Recorder()
        around: Any = self.around
        collector: Any = self.collector
        self.moving = Moving(
            node.node,
            around,
            around,
            node.reactor,
            serving=self.serving,
            garbage_collection=collector,
            drain=2.0,
        )
        self.handlers = self.moving.handlers(around.serve, around.reload, around.stop)


@pytest.fixture
def nodes() -> Iterator[TwoNodes]:
    with two_nodes() as made:
        yield made


def settle(nodes: TwoNodes, seconds: float) -> None:
    for _ in range(int(seconds / 0.01)):
        nodes.settle(nodes.old, nodes.new)
        nodes.old.reactor.advance(0.01)
        nodes.new.reactor.advance(0.01)
    nodes.settle(nodes.old, nodes.new)


def test_sessions_move_and_the_old_node_ends(nodes: TwoNodes) -> None:
    client = nodes.client(topics=["a"])
    old, new = Side(nodes.old), Side(nodes.new)
    one, other = socket.socketpair()
    new.handlers.take_over(other)
    old.handlers.hand_over(one)
    # Requests over HTTP are answered here until the new node is about to know everything.
    assert old.serving.takes_more()
    assert old.around.names() == ["pause_websocket"]
    settle(nodes, 0.5)
    assert old.serving.state is ServingState.DRAINING
    ((name, report),) = new.around.calls
    assert name == "serve"
    assert report.startswith("1 sessions and 0 publications taken over in ")
    assert old.around.names()[:3] == ["pause_websocket", "pause_http", "handed_over"]
    assert new.moving._is_needed()
    settle(nodes, 3.0)
    assert old.around.names() == ["pause_websocket", "pause_http", "handed_over", "stop"]
    # The old node ends so; the other one resumes when it serves.
    assert old.collector.names() == new.collector.names() == ["pause"]
    # This one need not wait for that one any more when it is replaced itself.
    assert not new.moving._is_needed()
    nodes.new.publish("a", 1)
    nodes.read_all()
    assert client.events("a") == [1]
    counts = nodes.new.node.replacements
    assert (counts.moved, counts.not_moved) == (1, 0)
    new.handlers.note_outcome("upgrade", True)
    assert counts.outcomes()["upgrade", "done"] == 1


def test_the_old_node_goes_on_when_the_new_one_is_gone(nodes: TwoNodes) -> None:
    client = nodes.client(topics=["a"])
    old = Side(nodes.old)
    one, other = socket.socketpair()
    other.close()
    old.handlers.hand_over(one)
    settle(nodes, 1.0)
    assert old.around.names() == ["pause_websocket", "hand_over_failed", "accept"]
    assert old.around.calls[1][2] is True
    assert old.collector.names() == ["pause", "resume"]
    assert old.serving.state is ServingState.SERVING
    nodes.old.publish("a", 1)
    nodes.read_all()
    assert client.events("a") == [1]


def test_the_old_node_takes_requests_again_when_the_last_step_fails(
    nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("a mistake")

    old, new = Side(nodes.old), Side(nodes.new)
    monkeypatch.setattr(nodes.old.node.broker.ledger, "snapshot", fail)
    one, other = socket.socketpair()
    new.handlers.take_over(other)
    old.handlers.hand_over(one)
    settle(nodes, 0.5)
    names = old.around.names()
    assert names == ["pause_websocket", "pause_http", "hand_over_failed", "accept"]
    assert "a mistake" in old.around.calls[2][1]
    assert old.serving.state is ServingState.SERVING


def test_the_new_node_reports_that_the_old_one_is_gone(nodes: TwoNodes) -> None:
    new = Side(nodes.new)
    one, other = socket.socketpair()
    one.close()
    new.handlers.take_over(other)
    settle(nodes, 0.1)
    assert new.around.names() == ["failed"]
