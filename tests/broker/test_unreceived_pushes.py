"""Pushes that no session received."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.broker.world import World
from wampush.broker.identity import Identity
from wampush.broker.ledger import Source
from wampush.broker.publication import Audience, Publication, Targets
from wampush.broker.unreceived_pushes import COMPARE_INTERVAL, MAX_LENGTH, REPEAT_INTERVAL


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def push(world: World) -> Callable[[str], int | None]:
    def push(topic: str) -> int | None:
        world.clock.advance(COMPARE_INTERVAL)
        return world.broker.push(Source.ZEROMQ, Publication(topic, b"1"))

    return push


def test_a_similar_topic_with_subscribers_is_named(
    world: World, push: Callable[[str], int | None]
) -> None:
    for topics in (["MainCategory"], ["MainCategory", "news"]):
        world.client(*topics)
    assert push("MainCategroy") == 0
    (line,) = world.lines
    assert line == (
        "push over ZeroMQ to topic 'MainCategroy' had no receivers: the topic has no subscribers;"
        " did the backend mean 'MainCategory', which has 2?"
    )
    assert world.ledger.unheard == {Source.ZEROMQ: 1}
    assert world.ledger.accepted[Source.ZEROMQ] == 1


def test_a_push_with_receivers_is_not_counted(
    world: World, push: Callable[[str], int | None]
) -> None:
    world.client("news")
    assert push("news") == 1
    assert world.ledger.unheard == {}


@pytest.mark.parametrize(
    "topic", ["orders", "room.18", "room.2", "news" * MAX_LENGTH], ids=["other", "18", "2", "long"]
)
def test_only_topics_that_are_probably_misspelled_are_logged(
    world: World, push: Callable[[str], int | None], topic: str
) -> None:
    world.client("news", "room.17")
    assert push(topic) == 0
    assert world.lines == []
    assert world.ledger.unheard == {Source.ZEROMQ: 1}


def test_a_user_who_is_offline_is_not_a_misspelled_topic(world: World) -> None:
    world.client("news", "newz", identity=Identity("7"))
    to_other = Audience(to=Targets(users=frozenset(["8"])))
    assert world.broker.push(Source.HTTP, Publication("news", b"1", to_other)) == 0
    assert world.lines == []
    assert world.ledger.unheard == {Source.HTTP: 1}


def test_topics_are_compared_now_and_then(world: World, push: Callable[[str], int | None]) -> None:
    world.client("news", "orders")
    push("newss")
    world.broker.push(Source.ZEROMQ, Publication("orderss", b"1"))
    assert len(world.lines) == 1
    push("orderss")
    push("newss")
    assert len(world.lines) == 2, "a topic that was logged is not logged again"
    world.clock.advance(REPEAT_INTERVAL)
    push("newss")
    assert len(world.lines) == 3
    assert world.ledger.unheard[Source.ZEROMQ] == 5


def test_what_is_remembered_is_bounded(
    world: World, push: Callable[[str], int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wampush.broker.unreceived_pushes.MAX_REMEMBERED", 1)
    world.client("news", "orders")
    for topic in ("newss", "orderss", "newss"):
        push(topic)
    assert len(world.lines) == 3


def test_only_so_many_topics_are_compared(
    world: World, push: Callable[[str], int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wampush.broker.unreceived_pushes.MAX_COMPARED", 1)
    world.client("other")
    world.client("news")
    push("newss")
    assert world.lines == []
