"""The bus in memory: the contract, and what is lost with a link."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from tests.broker.backplane.bus_contract import CONTRACT, Node, Setting
from wampush.broker.backplane.contract import (
    EVERY_NODE,
    Bus,
    node_channel,
    topic_channel,
)
from wampush.broker.backplane.memory_bus import MemoryBus


class MemorySetting:
    def __init__(self, delay: float = 0.001) -> None:
        self.clock = Clock()
        self.bus = MemoryBus(self.clock.callLater, delay)

    def link(self) -> Bus:
        return self.bus.link()

    def wait_until(self, holds: Callable[[], object]) -> None:
        for _ in range(1000):
            if holds():
                return
            self.clock.advance(0.001)
        raise AssertionError("it never held")

    def cut(self) -> None:
        self.bus.cut()

    def restore(self) -> None:
        self.bus.restore()


@pytest.mark.parametrize("step", CONTRACT, ids=lambda each: each.__name__)
def test_contract(step: Callable[[Setting], None]) -> None:
    step(MemorySetting())


def test_what_is_on_its_way_when_one_link_is_lost_does_not_arrive() -> None:
    setting = MemorySetting()
    first, second = Node(setting).join(), Node(setting).join()
    second.follow("t:a")
    first.link.publish("t:a", b"x", first.sent.append)
    setting.clock.advance(0.001)
    second.link.cut("cut off")  # type: ignore[attr-defined]
    assert second.link.problem == "cut off"
    second.link.restore()  # type: ignore[attr-defined]
    second.join()
    assert first.publish("t:a", b"y") == 1
    setting.wait_until(lambda: second.messages)
    assert second.messages == [("t:a", b"y")]
    assert first.sent == [1, 1]


def test_a_link_of_a_bus_that_is_away_joins_once_it_is_back() -> None:
    setting = MemorySetting()
    setting.cut()
    node = Node(setting)
    node.link.follow(["t:a"])
    assert node.publish("t:a", b"x") is None
    assert node.events == []
    setting.restore()
    node.join()
    assert node.followed == ["t:a"]
    assert node.publish("t:a", b"y") == 1


def test_a_second_cut_says_nothing_new() -> None:
    setting = MemorySetting()
    node = Node(setting).join()
    setting.cut()
    setting.cut()
    assert node.events == ["joined", "left"]


def test_channels_have_names_of_their_own() -> None:
    assert topic_channel("c:all") != EVERY_NODE
    assert len({topic_channel("a"), node_channel("a"), EVERY_NODE}) == 3
