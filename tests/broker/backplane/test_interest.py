"""Which topics a node follows, and when it leaves them."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from twisted.internet import task

from tests.broker.backplane.nodes import World, data
from wampush.broker.backplane.interest import LEAVE_SECONDS, Interest
from wampush.broker.backplane.memory_bus import MemoryBus
from wampush.clock import Clock

GRACE = LEAVE_SECONDS + 0.1


class Following:
    """An interest whose bus takes a millisecond for each way."""

    def __init__(self) -> None:
        self.time = task.Clock()
        self.bus = MemoryBus(self.time.callLater, 0.001)
        self.link = self.bus.link()
        self.interest = Interest(self.link, Clock(self.time.seconds, self.time.callLater))
        self.link.start(self)
        self.pass_by()

    def on_message(self, channel: str, message: bytes) -> None:
        raise AssertionError((channel, message))

    def on_followed(self, channels: Collection[str]) -> None:
        self.interest.on_followed(channels)

    def on_joined(self) -> None:
        pass

    def on_left(self, problem: str) -> None:
        assert problem
        self.interest.on_left()

    def pass_by(self, seconds: float = 0.01) -> None:
        self.time.pump([0.001] * round(seconds / 0.001))


@pytest.fixture
def following() -> Following:
    return Following()


def test_a_topic_is_followed_once_the_bus_has_confirmed_it(following: Following) -> None:
    interest = following.interest
    interest.on_first("a")
    assert interest.is_awaited("a")
    assert not interest.following("a")
    called: list[int] = []
    interest.call_when_followed("a", lambda: called.append(1))
    assert not called
    following.pass_by()
    assert interest.following("a")
    assert not interest.is_awaited("a")
    assert called == [1]
    interest.hold("a", lambda: called.append(2))
    assert called == [1, 2]


def test_a_topic_is_left_a_second_after_its_last_holder(following: Following) -> None:
    interest = following.interest
    interest.on_first("a")
    interest.hold("a")
    interest.on_last("a")
    following.pass_by(GRACE)
    assert following.link.receives("t:a")
    interest.release("a")
    following.pass_by(LEAVE_SECONDS / 2)
    assert following.link.receives("t:a")
    assert interest.following("a")
    following.pass_by(GRACE)
    assert not following.link.receives("t:a")
    assert not interest.following("a")
    assert len(interest) == 0


def test_each_time_of_following_has_a_name_of_its_own(following: Following) -> None:
    interest = following.interest
    interest.on_first("a")
    following.pass_by()
    first = interest.following("a")
    interest.on_last("a")
    following.pass_by(LEAVE_SECONDS / 2)
    interest.on_first("a")
    assert interest.still_follows("a", first)
    following.bus.cut()
    assert interest.following("a") == 0
    assert interest.still_follows("a", first)
    following.bus.restore()
    interest.on_last("a")
    following.pass_by(2 * LEAVE_SECONDS)
    assert not interest.still_follows("a", first)
    interest.on_first("a")
    following.pass_by()
    assert interest.following("a") not in (0, first)


def test_whoever_comes_back_within_the_second_finds_the_topic_followed(
    following: Following,
) -> None:
    interest = following.interest
    interest.on_first("a")
    following.pass_by()
    for _ in range(3):
        interest.on_last("a")
        following.pass_by(0.3)
        interest.on_first("a")
        assert interest.following("a")
    following.pass_by(2 * GRACE)
    assert interest.following("a")
    assert following.link.receives("t:a")


def test_a_topic_that_is_left_and_wanted_again_waits_for_its_own_confirmation(
    following: Following,
) -> None:
    interest = following.interest
    interest.on_first("a")
    interest.on_last("a")
    interest.on_elapsed("a")
    interest.on_first("a")
    # The first confirmation is that of the subscription that has ended.
    following.time.advance(0.001)
    following.time.advance(0.001)
    following.pass_by()
    assert interest.following("a")
    assert following.link.receives("t:a")


def test_after_a_loss_everything_waits_for_its_confirmation(following: Following) -> None:
    interest = following.interest
    interest.on_first("a")
    following.pass_by()
    following.bus.cut()
    assert interest.is_awaited("a")
    interest.on_first("b")
    called: list[str] = []
    interest.call_when_followed("b", lambda: called.append("b"))
    following.pass_by()
    assert not called
    following.bus.restore()
    following.pass_by()
    assert interest.following("a")
    assert interest.following("b")
    assert called == ["b"]


def test_a_topic_that_is_left_while_the_link_is_lost_is_not_awaited(following: Following) -> None:
    interest = following.interest
    following.bus.cut()
    called: list[str] = []
    interest.hold("a", lambda: called.append("a"))
    interest.release("a")
    following.pass_by(2 * GRACE)
    following.bus.restore()
    following.pass_by()
    assert not interest.is_awaited("a")
    interest.on_first("a")
    following.pass_by()
    assert interest.following("a")
    assert called == []


def test_channels_that_are_not_topics_do_not_count(following: Following) -> None:
    following.interest.on_followed(["c:all"])
    assert len(following.interest) == 0


def test_after_the_end_nothing_is_left(following: Following) -> None:
    following.interest.on_first("a")
    following.interest.on_last("a")
    following.interest.stop()
    following.pass_by(GRACE)
    assert following.link.receives("t:a")


def test_subscribers_of_a_node_decide_what_it_follows() -> None:
    world = World(2)
    client = world.client(1, "news", "sport")
    other = world.client(1, "news")
    assert world.nodes[1].link.receives("t:news")
    assert not world.nodes[0].link.receives("t:news")
    client.unsubscribe("news")
    other.close()
    world.bus.clock.advance(GRACE)
    world.settle()
    assert not world.nodes[1].link.receives("t:news")
    assert world.nodes[1].link.receives("t:sport")
    world.nodes[0].accept("sport", b"7")
    world.settle()
    assert data(client) == [7]
