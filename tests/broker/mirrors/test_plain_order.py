"""What waits for a publication whose fate is not known yet."""

from __future__ import annotations

from functools import partial

import pytest

from wampush.broker.backplane.node_message import NodeMessage
from wampush.broker.mirrors.plain_order import HELD_BYTES, MOST_LOOKS, Fate, PlainOrder, Turn


class Order:
    """The order of topics, and what was delivered."""

    def __init__(self) -> None:
        self.order = PlainOrder()
        self.delivered: list[object] = []

    def turn(self, name: str, topic: str = "a") -> Turn:
        turn = Turn(partial(self.delivered.append, name))
        self.order.add(topic, turn)
        return turn

    def comes(self, number: int, topic: str = "a", payload: bytes = b"1") -> bool:
        """Whether a message waits."""
        return self.order.hold(topic, NodeMessage("n", number, payload), self._deliver)

    def settle(self, turn: Turn, fate: Fate, topic: str = "a") -> None:
        turn.fate = fate
        self.order.go_on(topic)

    def _deliver(self, topic: str, message: NodeMessage) -> None:
        self.delivered.append((topic, message.number))


@pytest.fixture
def order() -> Order:
    return Order()


def test_without_a_doubt_nothing_waits(order: Order) -> None:
    assert not order.comes(1)
    order.order.go_on("a")
    order.order.look()
    assert order.delivered == []


@pytest.mark.parametrize(
    ("fate", "delivered"), [(Fate.DUE, ["x", ("a", 1)]), (Fate.SETTLED, [("a", 1)])]
)
def test_what_comes_later_waits(order: Order, fate: Fate, delivered: list[object]) -> None:
    turn = order.turn("x")
    assert order.comes(1)
    assert not order.comes(2, "b")
    assert order.delivered == []
    order.settle(turn, fate)
    assert order.delivered == delivered
    assert not order.comes(3)
    assert len(order.order) == 0


def test_each_has_its_place(order: Order) -> None:
    first = order.turn("first")
    order.comes(1)
    second = order.turn("second")
    order.comes(2)
    order.settle(second, Fate.DUE)
    assert order.delivered == []
    order.settle(first, Fate.DUE)
    assert order.delivered == ["first", ("a", 1), "second", ("a", 2)]


def test_what_is_due_at_once_is_delivered_at_once(order: Order) -> None:
    order.order.add("a", Turn(partial(order.delivered.append, "x"), Fate.DUE))
    assert order.delivered == ["x"]
    assert len(order.order) == 0


def test_too_much_does_not_wait(order: Order) -> None:
    turn = order.turn("x")
    order.comes(1)
    order.comes(2, payload=b"1" * HELD_BYTES)
    assert order.delivered == [("a", 1), ("a", 2)]
    assert order.order.unordered == 2
    order.comes(3)
    order.settle(turn, Fate.DUE)
    assert order.delivered == [("a", 1), ("a", 2), "x", ("a", 3)]


def test_nothing_waits_for_long(order: Order) -> None:
    first, second = order.turn("first"), order.turn("second")
    order.comes(1)
    second.fate = Fate.DUE
    for _ in range(MOST_LOOKS):
        order.order.look()
    assert order.delivered == []
    order.order.look()
    assert order.delivered == ["second", ("a", 1)]
    order.settle(first, Fate.DUE)
    assert order.delivered == ["second", ("a", 1), "first"]
    assert len(order.order) == 0


def test_the_time_in_which_nothing_waits_does_not_count(order: Order) -> None:
    turn = order.turn("x")
    for _ in range(3 * MOST_LOOKS):
        # The link is lost.
        order.order.look()
    order.comes(1)
    for _ in range(MOST_LOOKS):
        order.order.look()
    assert order.delivered == []
    order.settle(turn, Fate.DUE)
    assert order.delivered == ["x", ("a", 1)]
    assert order.order.unordered == 0


def test_nothing_waits_across_a_cut(order: Order) -> None:
    turn = order.turn("x")
    order.turn("y", "b")
    order.comes(1)
    order.order.give_way()
    assert order.delivered == [("a", 1)]
    order.settle(turn, Fate.DUE)
    assert order.delivered == [("a", 1), "x"]


def test_what_is_delivered_may_publish_in_turn(order: Order) -> None:
    second = Turn(partial(order.delivered.append, "second"))
    third = Turn(partial(order.delivered.append, "third"), Fate.DUE)

    def publish() -> None:
        order.delivered.append("first")
        order.order.add("a", third)
        order.order.add("a", second)

    first = Turn(publish, Fate.DUE)
    order.order.add("a", first)
    assert order.delivered == ["first", "third"]
    assert order.comes(1)
    order.settle(second, Fate.SETTLED)
    assert order.delivered == ["first", "third", ("a", 1)]
    assert len(order.order) == 0


def test_what_has_waited_too_long_may_publish_in_turn(order: Order) -> None:
    settled = Turn(partial(order.delivered.append, "settled"), Fate.SETTLED)
    order.turn("open")
    order.order.hold("a", NodeMessage("n", 1, b"1"), lambda *_: order.order.add("a", settled))
    order.order.give_way()
    assert order.comes(2)
    order.order.give_way()
    assert order.delivered == [("a", 2)]
    assert len(order.order) == 1


def test_an_end_within_an_end_leaves_nothing(order: Order) -> None:
    turn = Turn(lambda: order.order.go_on("a"), Fate.OPEN)
    order.order.add("a", turn)
    assert order.comes(1)
    order.settle(turn, Fate.DUE)
    assert order.delivered == [("a", 1)]
    assert len(order.order) == 0
