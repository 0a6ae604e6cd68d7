"""Everything that was published before a question has arrived when it is answered."""

from __future__ import annotations

from collections.abc import Collection

from tests.broker.world import FakeClock
from wampush.broker.backplane.arrivals import Arrivals
from wampush.broker.backplane.contract import EVERY_NODE, node_channel, topic_channel
from wampush.broker.backplane.interest import Interest
from wampush.broker.backplane.memory_bus import MemoryBus, MemoryLink
from wampush.clock import Clock


class Listener:
    """A node that notes what comes."""

    def __init__(self, interest: Interest, noted: list[object]) -> None:
        self._interest = interest
        self._noted = noted

    def on_message(self, channel: str, message: bytes) -> None:
        del channel
        self._noted.append(message)

    def on_followed(self, channels: Collection[str]) -> None:
        self._interest.on_followed(channels)

    def on_joined(self) -> None:
        self._noted.append("joined")

    def on_left(self, problem: str) -> None:
        del problem
        self._interest.on_left()


class Questions:
    """A bus that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def follow(self, channels: Collection[str]) -> None:
        assert tuple(channels) == (EVERY_NODE,)
        self.asked += 1


def test_questions_share_a_confirmation_that_comes_after_them() -> None:
    bus, answers = Questions(), list[int]()
    arrivals = Arrivals(bus)  # type: ignore[arg-type]
    arrivals.on_followed([EVERY_NODE])
    arrivals.call_when_complete(lambda: answers.append(1))
    arrivals.call_when_complete(lambda: answers.append(2))
    arrivals.call_when_complete(lambda: answers.append(3))
    assert bus.asked == 1
    arrivals.on_followed([node_channel("x"), topic_channel("a")])
    assert answers == []
    arrivals.on_followed([EVERY_NODE])
    # The others may have been asked after the first was on its way.
    assert (answers, bus.asked) == ([1], 2)
    arrivals.on_followed([topic_channel("a"), EVERY_NODE])
    assert (answers, bus.asked) == ([1, 2, 3], 2)


def test_after_a_loss_there_is_no_answer() -> None:
    bus, answers = Questions(), list[int]()
    arrivals = Arrivals(bus)  # type: ignore[arg-type]
    arrivals.call_when_complete(lambda: answers.append(1))
    arrivals.call_when_complete(lambda: answers.append(2))
    arrivals.on_left()
    arrivals.on_followed([EVERY_NODE])
    assert answers == []
    arrivals.call_when_complete(lambda: answers.append(3))
    arrivals.on_followed([EVERY_NODE])
    assert answers == [3]


def test_what_was_published_before_arrives_before_the_answer() -> None:
    clock, noted = FakeClock(), list[object]()
    bus = MemoryBus(clock.call_later, 1.0)
    link: MemoryLink = bus.link()
    interest = Interest(link, Clock(lambda: clock.now, clock.call_later))
    link.start(Listener(interest, noted))
    link.follow((EVERY_NODE,))
    interest.hold("a")
    for _ in range(5):
        clock.advance(1.0)
    link.publish(topic_channel("a"), b"1", lambda _: None)
    interest.arrivals.call_when_complete(lambda: noted.append("answer"))
    for _ in range(5):
        clock.advance(1.0)
    assert noted == ["joined", b"1", "answer"]
