"""Topics that get their first subscriber and lose their last."""

from __future__ import annotations

import pytest

from tests.broker.world import FakeClock, World
from wampush.broker.occupancy import Occupancy, occupancy
from wampush.clock import Clock


class Watched:
    """A broker whose topics are watched, and what a listener learns."""

    def __init__(self, grace: float = 10.0, patterns: tuple[str, ...] = ("*",)) -> None:
        self.clock = FakeClock()
        clock = Clock(lambda: self.clock.now, self.clock.call_later)
        self.occupancy = Occupancy(grace, clock)
        self.world = World(occupancy=self.occupancy, auto_subscribe=["auto"])
        self.seen: list[tuple[str, bool]] = []
        self.occupancy.watch(patterns, lambda *change: self.seen.append(change))

    def take(self) -> list[tuple[str, bool]]:
        seen = [each for each in self.seen if each[0] != "auto"]
        self.seen.clear()
        return seen


def test_the_first_subscriber_and_the_last_count() -> None:
    watched = Watched()
    broker = watched.world.broker
    clients = [watched.world.client().subscriber for _ in range(3)]
    assert watched.seen == [("auto", True)]
    for client in clients:
        broker.subscribe(client, "a")
        broker.subscribe(client, "a")
    broker.subscribe(clients[0], "b")
    assert watched.take() == [("a", True), ("b", True)]
    broker.unsubscribe(clients[0], "a")
    broker.unsubscribe(clients[1], "a")
    broker.on_lost(clients[2])
    watched.clock.advance(9.9)
    assert watched.take() == []
    watched.clock.advance(0.1)
    assert watched.take() == [("a", False)]
    for client in clients[:2]:
        broker.on_lost(client)
    watched.clock.advance(10.0)
    assert set(watched.seen) == {("b", False), ("auto", False)}
    assert watched.clock.pending == []


def test_a_topic_that_is_occupied_again_in_time_was_never_vacated() -> None:
    watched = Watched()
    broker, client = watched.world.broker, watched.world.client().subscriber
    broker.subscribe(client, "a")
    for _ in range(100):
        broker.unsubscribe(client, "a")
        watched.clock.advance(6.0)
        broker.subscribe(client, "a")
    broker.unsubscribe(client, "a")
    assert watched.take() == [("a", True)]
    # However often that happens, there is one entry, and the topic is vacated in twice the time.
    assert len(watched.occupancy._delay._items) == 1
    watched.clock.advance(10.0)
    watched.clock.advance(10.0)
    assert watched.take() == [("a", False)]


def test_a_topic_is_vacated_only_after_the_whole_grace_period() -> None:
    watched = Watched()
    broker, client = watched.world.broker, watched.world.client().subscriber
    broker.subscribe(client, "a")
    broker.unsubscribe(client, "a")
    watched.clock.advance(5.0)
    broker.subscribe(client, "a")
    broker.unsubscribe(client, "a")
    watched.take()
    watched.clock.advance(9.0)
    assert watched.take() == []
    watched.clock.advance(10.0)
    assert watched.take() == [("a", False)]


def test_without_a_grace_period_a_topic_is_vacated_at_once() -> None:
    watched = Watched(grace=0.0)
    client = watched.world.client().subscriber
    watched.world.broker.subscribe(client, "a")
    watched.world.broker.unsubscribe(client, "a")
    assert watched.take() == [("a", True), ("a", False)]
    assert watched.clock.pending == []


def test_only_topics_of_the_patterns_are_watched() -> None:
    watched = Watched(patterns=("ticker.*", "wampush.*"))
    client = watched.world.client().subscriber
    for topic in ("other", "ticker.a", "wampush.clients"):
        watched.world.broker.subscribe(client, topic)
    watched.world.broker.on_lost(client)
    assert len(watched.occupancy._waiting) == 1
    watched.clock.advance(10.0)
    assert watched.seen == [("ticker.a", True), ("ticker.a", False)]
    assert watched.occupancy._waiting == {}


def test_topics_within_the_grace_period_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupancy, "MOST_WAITING", 3)
    watched = Watched()
    client = watched.world.client().subscriber
    for number in range(5):
        watched.world.broker.subscribe(client, f"t{number}")
        watched.world.broker.unsubscribe(client, f"t{number}")
    assert [topic for topic, is_occupied in watched.take() if not is_occupied] == ["t3", "t4"]
    watched.clock.advance(10.0)
    assert watched.take() == [("t0", False), ("t1", False), ("t2", False)]


def test_at_the_end_no_grace_period_is_left() -> None:
    watched = Watched()
    client = watched.world.client().subscriber
    watched.world.broker.subscribe(client, "a")
    watched.world.broker.on_lost(client)
    watched.occupancy.stop()
    assert set(watched.take()) == {("a", True), ("a", False)}
    assert watched.clock.pending == []


def test_a_topic_that_was_occupied_elsewhere_has_a_grace_period_here() -> None:
    watched = Watched(patterns=("w*",))
    for topic, is_vacant in (("w1", True), ("w1", True), ("w2", False), ("other", True)):
        watched.occupancy.resume(topic, is_vacant)
    assert list(watched.occupancy.waiting) == ["w1"]
    assert watched.occupancy.is_watched("w2")
    assert not watched.occupancy.is_watched("other")
    watched.clock.advance(10.0)
    assert watched.take() == [("w1", False)]
