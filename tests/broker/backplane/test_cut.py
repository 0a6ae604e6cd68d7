"""The cut between two processes, of which one goes on for the other."""

from __future__ import annotations

import pytest

from tests.broker.backplane.nodes import Node, World, data
from wampush.broker.backplane import cut as cut_module
from wampush.broker.backplane.cut import Cut, CutState
from wampush.broker.backplane.node_message import NodeMessage, encoded
from wampush.state_machine import IllegalMove


class Upgrade:
    """An old process, a new one and another node, with a client at each; what each is told."""

    def __init__(self) -> None:
        self.world = World(3)
        self.clients = [self.world.client(each, "news") for each in range(3)]
        self.calls: list[str] = []

    @property
    def other(self) -> Node:
        return self.world.nodes[2]

    @property
    def old(self) -> Cut:
        return self.world.nodes[0].backplane.cut

    @property
    def new(self) -> Cut:
        return self.world.nodes[1].backplane.cut

    def publish(self, *numbers: int) -> None:
        for number in numbers:
            self.other.accept("news", b"%d" % number)

    def mark(self, token: str = "t") -> None:
        self.new.mark(token, lambda: self.calls.append("held"), self.full)

    def full(self) -> None:
        self.calls.append("full")

    def reached(self) -> None:
        self.calls.append("reached")

    def got(self) -> list[list[int]]:
        """What the clients of the old and the new process have got since the last time."""
        return [data(each) for each in self.clients[:2]]


def test_what_comes_before_the_marker_is_the_old_ones_and_the_rest_the_new_ones() -> None:
    upgrade = Upgrade()
    upgrade.new.begin()
    upgrade.publish(1, 2)
    upgrade.world.settle()
    assert upgrade.got() == [[1, 2], []]
    upgrade.old.expect("t", upgrade.reached)
    upgrade.publish(3)
    # The marker goes to the bus after what was published before, from whatever node.
    upgrade.mark()
    upgrade.publish(4, 5)
    upgrade.world.settle()
    assert sorted(upgrade.calls) == ["held", "reached"]
    assert (upgrade.old.state, upgrade.new.state) == (CutState.LEFT, CutState.HELD)
    assert upgrade.got() == [[3], []]
    upgrade.new.open()
    assert upgrade.got() == [[], [4, 5]]
    upgrade.publish(6)
    upgrade.world.settle()
    assert upgrade.got() == [[], [6]]
    assert upgrade.new.left_out == upgrade.old.left_out == 3


def test_the_marker_waits_until_everything_is_followed() -> None:
    upgrade = Upgrade()
    upgrade.new.begin()
    upgrade.old.expect("t", upgrade.reached)
    upgrade.clients[1].subscribe("late")
    upgrade.mark()
    upgrade.other.accept("late", b"1")
    upgrade.world.settle()
    assert sorted(upgrade.calls) == ["held", "reached"]
    # It came to the bus before the topic was followed, so it is the old one's business.
    upgrade.new.open()
    assert data(upgrade.clients[1]) == []


def test_a_marker_that_is_lost_with_the_link_is_sent_again() -> None:
    upgrade = Upgrade()
    upgrade.new.begin()
    upgrade.old.expect("t", upgrade.reached)
    upgrade.mark()
    upgrade.world.nodes[1].link.cut("cut")
    upgrade.world.settle()
    assert upgrade.calls == []
    upgrade.world.nodes[1].link.restore()
    upgrade.world.settle()
    assert sorted(upgrade.calls) == ["held", "reached"]
    assert upgrade.new.state is CutState.HELD


def test_markers_of_others_change_nothing() -> None:
    upgrade = Upgrade()
    upgrade.new.begin()
    upgrade.old.expect("t", upgrade.reached)
    upgrade.mark("other")
    upgrade.world.settle()
    assert upgrade.calls == ["held"]
    assert upgrade.old.state is CutState.HERE
    assert upgrade.other.backplane.cut.state is CutState.HERE
    assert not upgrade.other.backplane.control.unknown
    upgrade.publish(1)
    upgrade.world.settle()
    assert data(upgrade.clients[0]) == [1]
    listener = upgrade.other.backplane.listener
    listener.on_message("c:all", encoded(NodeMessage("x", 1, b"[]", "cut")))
    assert upgrade.other.backplane.cut.state is CutState.HERE


def test_the_new_process_can_do_without_the_old_one() -> None:
    upgrade = Upgrade()
    upgrade.new.begin()
    upgrade.mark()
    upgrade.new.open()
    upgrade.publish(1)
    upgrade.world.settle()
    assert upgrade.got() == [[1], [1]]
    upgrade.old.leave()
    upgrade.old.leave()
    upgrade.publish(2)
    upgrade.world.settle()
    assert upgrade.got() == [[], [2]]
    with pytest.raises(IllegalMove):
        upgrade.old.begin()


def test_too_much_that_waits_is_reported_once_and_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cut_module, "HELD_BYTES", 3 * cut_module.OVERHEAD_BYTES)
    upgrade = Upgrade()
    upgrade.new.begin()
    upgrade.mark()
    upgrade.world.settle()
    upgrade.publish(1, 2)
    upgrade.world.settle()
    assert upgrade.calls == ["held"]
    upgrade.publish(3, 4, 5)
    upgrade.world.settle()
    assert upgrade.calls == ["held", "full"]
    upgrade.new.open()
    assert data(upgrade.clients[1]) == [1, 2, 3, 4, 5]


def test_publications_of_the_old_process_that_come_back_after_the_marker_have_an_outcome() -> None:
    upgrade = Upgrade()
    old = upgrade.world.nodes[0]
    upgrade.new.begin()
    upgrade.old.expect("t", upgrade.reached)
    upgrade.mark()
    old.accept("news", b"1")
    upgrade.world.settle()
    upgrade.new.open()
    assert upgrade.got() == [[], [1]]
    assert old.outcomes == [1]
    assert len(old.backplane.plain) == 0
