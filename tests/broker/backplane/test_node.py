"""What a node does with what the bus brings: it checks everything, and says where it goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.broker.backplane.nodes import Node, World, data
from tests.broker.backplane.test_publishing import Kept
from wampush.broker.backplane.node import CONTROL_BYTES, BackplaneNode
from wampush.broker.backplane.node_message import NodeMessage, encoded
from wampush.broker.ledger import Source
from wampush.broker.publication import Position
from wampush.errors import PushRefused, Refusal


@pytest.fixture
def world() -> World:
    return World(1)


def test_what_is_not_a_message_of_a_node_is_refused_and_reaches_nobody(world: World) -> None:
    client = world.client(0, "news")
    listener = world.nodes[0].backplane.listener
    ledger = world.nodes[0].core.broker.ledger
    before = ledger.received[Source.BACKPLANE]
    good = encoded(NodeMessage("other", 1, b"5"))
    long = encoded(NodeMessage("other", 1, b'"' + b"x" * 1_100_000 + b'"'))
    for message in (b"garbage", b"2{}\n1", good, b'1{"node":"other","id":2}\nnot json', long):
        listener.on_message("t:news", message)
    assert data(client) == [5]
    refused = {refusal for source, refusal in ledger.refused if source is Source.BACKPLANE}
    assert refused == {
        Refusal.NODE_FORM,
        Refusal.NODE_VERSION,
        Refusal.NOT_JSON,
        Refusal.TOO_LARGE,
    }
    assert ledger.received[Source.BACKPLANE] == before + 5
    assert ledger.recent[0].origin == "'t:news'"


def test_the_length_of_publications_does_not_bound_what_nodes_say_of_themselves(
    world: World,
) -> None:
    backplane = world.nodes[0].backplane
    got: list[NodeMessage] = []
    backplane.control.take("greeting", got.append)
    payload = b'"' + b"x" * (CONTROL_BYTES - 100) + b'"'
    backplane.listener.on_message("c:all", encoded(NodeMessage("other", 1, payload, "greeting")))
    assert len(got) == 1
    payload = b'"' + b"x" * CONTROL_BYTES + b'"'
    backplane.listener.on_message("c:all", encoded(NodeMessage("other", 2, payload, "greeting")))
    assert len(got) == 1
    assert world.nodes[0].core.broker.ledger.recent[0].refusal is Refusal.TOO_LARGE


def test_other_kinds_are_not_publications(world: World) -> None:
    client = world.client(0, "news")
    backplane = world.nodes[0].backplane
    got: list[NodeMessage] = []
    backplane.control.take("greeting", got.append)
    message = NodeMessage("other", 1, b"5", "greeting")
    for channel in ("t:news", "c:all"):
        backplane.listener.on_message(channel, encoded(message))
    backplane.listener.on_message("c:all", encoded(NodeMessage("other", 2, b"5")))
    assert got == [message, message]
    assert data(client) == []
    assert backplane.control.unknown == 1


def test_what_a_taker_refuses_counts_as_refused(world: World) -> None:
    def refuse(message: NodeMessage) -> None:
        raise PushRefused(Refusal.NODE_FORM, f"{message.number} is odd.")

    backplane = world.nodes[0].backplane
    backplane.control.take("greeting", refuse)
    ledger = world.nodes[0].core.broker.ledger
    before = ledger.accepted[Source.BACKPLANE]
    backplane.listener.on_message("c:all", encoded(NodeMessage("other", 1, b"5", "greeting")))
    assert (ledger.recent[0].refusal, ledger.recent[0].detail) == (Refusal.NODE_FORM, "1 is odd.")
    assert ledger.accepted[Source.BACKPLANE] == before


class HistoryKept(Kept):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[object] = []
        self.waiting: set[str] = set()

    def on_message(self, topic: str, message: NodeMessage) -> None:
        self.events.append((topic, message.number))

    def on_plain_message(
        self, topic: str, message: NodeMessage, deliver: Callable[[str, NodeMessage], object]
    ) -> bool:
        if message.number == 5:
            deliver(topic, message)
        return message.number < 4

    def is_waiting(self, topic: str) -> bool:
        return topic in self.waiting

    def give_way(self) -> None:
        self.events.append("give way")

    def deliver_plain(self) -> None:
        self.events.append("plain")

    def on_joined(self) -> None:
        self.events.append("joined")

    def on_left(self, problem: str) -> None:
        self.events.append(problem)


def listener_with(node: Node, kept: Kept) -> BackplaneNode:
    backplane, broker = node.backplane, node.core.broker
    return BackplaneNode(
        backplane.control,
        interest=backplane.interest,
        plain=backplane.plain,
        kept=kept,
        router=broker._router,
        ledger=broker.ledger,
        max_bytes=1000,
    )


def test_topics_with_a_history_get_their_own_messages_and_changes(world: World) -> None:
    client = world.client(0, "kept.a", "plain")
    backplane = world.nodes[0].backplane
    kept = HistoryKept()
    listener = listener_with(world.nodes[0], kept)
    own, position = backplane.control.node, Position("e", 3)
    listener.on_message("t:kept.a", encoded(NodeMessage("other", 1, b"5", position=position)))
    listener.on_message("t:kept.a", encoded(NodeMessage(own, 2, b"5", position=position)))
    listener.on_message("t:plain", encoded(NodeMessage("other", 3, b"6", position=position)))
    listener.on_message("t:plain", encoded(NodeMessage("other", 4, b"7")))
    listener.on_message("t:plain", encoded(NodeMessage("other", 5, b"8")))
    listener.on_message("c:all", encoded(NodeMessage("other", 6, b"{}", "greeting")))
    listener.on_message("c:all", encoded(NodeMessage("other", 7, b'{"token":"x"}', "cut")))
    listener.on_joined()
    listener.on_left("away")
    assert kept.events == [("kept.a", 1), ("kept.a", 2), "give way", "joined", "plain", "away"]
    assert data(client) == [6, 8]


def test_what_comes_back_takes_its_turn_where_messages_wait(world: World) -> None:
    client = world.client(0, "plain")
    core, backplane = world.nodes[0].core, world.nodes[0].backplane
    kept = HistoryKept()
    listener = listener_with(world.nodes[0], kept)
    for number in range(3):
        world.nodes[0].accept("plain", b"%d" % number)
    beginning = backplane.plain.beginning
    # Not what was published: that is delivered as it was sent, however it comes back.
    listener.on_message("t:plain", beginning + b"1}\nnot read")
    assert data(client) == [0]
    kept.waiting.add("plain")
    listener.on_message("t:plain", beginning + b"4}\n1")
    assert data(client) == []
    listener.on_message("t:plain", beginning + b"3}\n2")
    assert data(client) == [2]
    assert core.broker.ledger.refused.total() == 0


class Resuming(HistoryKept):
    """Topics whose waiting requests go on after a loss, and publish.

    :param go_on: publishes.
    """

    def __init__(self, go_on: Callable[[], None]) -> None:
        super().__init__()
        self._go_on = go_on

    def on_left(self, problem: str) -> None:
        super().on_left(problem)
        self._go_on()


def test_what_was_published_before_a_loss_comes_before_what_goes_on_after_it() -> None:
    world = World(1, delay=1.0)
    client = world.client(0, "plain")
    node = world.nodes[0]
    listener = listener_with(node, Resuming(lambda: node.accept("plain", b"2")))
    node.accept("plain", b"1")
    node.link.is_joined = False
    listener.on_left("away")
    world.settle()
    assert data(client) == [1, 2]
