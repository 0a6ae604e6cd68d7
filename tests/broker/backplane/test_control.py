"""What nodes say to each other besides publications."""

from __future__ import annotations

import pytest

from tests.broker.backplane.nodes import World
from wampush.broker.backplane.node_message import NodeMessage


class Watcher:
    def __init__(self) -> None:
        self.events: list[str] = []

    def on_joined(self) -> None:
        self.events.append("joined")

    def on_left(self, problem: str) -> None:
        self.events.append(problem)


@pytest.fixture
def world() -> World:
    return World(3)


def test_a_message_reaches_all_nodes_or_one(world: World) -> None:
    got: list[tuple[int, bytes, str]] = []
    controls = [each.backplane.control for each in world.nodes]
    for index, control in enumerate(controls):

        def take(message: NodeMessage, index: int = index) -> None:
            got.append((index, message.payload, message.node))

        control.take("greeting", take)
    sent: list[int | None] = []
    controls[0].send("greeting", b'"all"', on_sent=sent.append)
    controls[0].send("greeting", b'"one"', controls[2].node)
    world.settle()
    node = controls[0].node
    assert got == [
        (0, b'"all"', node),
        (1, b'"all"', node),
        (2, b'"all"', node),
        (2, b'"one"', node),
    ]
    assert sent == [3]


def test_messages_of_unknown_kinds_are_counted(world: World) -> None:
    for kind in ("novelty", "novelty" * 10):
        world.nodes[0].backplane.control.send(kind, b"1")
    world.settle()
    assert world.nodes[1].backplane.control.unknown == 2


def test_watchers_learn_of_losses(world: World) -> None:
    control = world.nodes[1].backplane.control
    watcher = Watcher()
    control.watch(watcher)
    world.bus.cut("a cut")
    assert watcher.events == ["a cut"]
    sent: list[int | None] = []
    control.send("greeting", b"1", on_sent=sent.append)
    world.settle()
    assert sent == [None]
    world.bus.restore()
    world.settle()
    assert watcher.events == ["a cut", "joined"]
    assert control.is_joined
