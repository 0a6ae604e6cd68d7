"""Clients that are behind read on from the history, and keep next to nothing meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from tests.broker.world import Client, World
from wampush.broker.delivery.catch_up import FOR_NEWCOMERS, CatchUp, Refill
from wampush.broker.delivery.catch_up_turns import CatchUpTurns
from wampush.broker.history.rule import HistoryRule
from wampush.broker.identity import Identity
from wampush.broker.publication import EVERYONE, Audience, Position, Publication, Targets
from wampush.broker.topic_rules import TopicRule
from wampush.choices import SlowClient

HISTORY = (
    ("short", HistoryRule(events=5)),
    ("shown", HistoryRule(events=5, skips_gaps=True)),
    ("big", HistoryRule(events=1)),
    ("t*", HistoryRule(events=1000)),
)
RULES = (TopicRule("news", SlowClient.DISCONNECT), TopicRule("*", SlowClient.CATCH_UP))


@pytest.fixture
def world() -> World:
    return World(history=HISTORY, rules=RULES)


def publish(world: World, topic: str, values: Iterable[Any], audience: Audience = EVERYONE) -> None:
    """Each value in a turn of its own."""
    for value in values:
        world.broker.publish(Publication(topic, json.dumps(value).encode(), audience))
        world.end_turn()


def stalled(world: World, *topics: str, **options: Any) -> Client:
    return world.client(*topics, room=0, **options)


def resume(client: Client) -> None:
    client.wire.room = None
    client.outbox.drain(1_000_000)
    client.world.end_turn()


def got(client: Client, topic: str = "t") -> list[Any]:
    events = [json.loads(text) for text in client.texts if text.startswith(b"[8,")]
    return [event[2] for event in events if event[1] == topic]


def is_behind(client: Client) -> bool:
    return client.outbox.catch_up is not None


def test_topics_take_turns() -> None:
    asked = []

    def read_on(topic: str, position: Position, size: int) -> Refill | None:
        asked.append((topic, position.offset, size))
        if position.offset == 9:
            return None
        return Refill(b"x", None if topic == "b" else Position("e", position.offset + 1))

    catch_up = CatchUp(read_on, CatchUpTurns(list[Any]().append, lambda: 0.0))
    catch_up.begin("a", Position("e", 7))
    catch_up.begin("b", Position("e", 1))
    assert "a" in catch_up
    assert [catch_up.next(50) for _ in range(4)] == [b"x", b"x", b"x", None]
    assert asked == [("a", 7, 50), ("b", 1, 50), ("a", 8, 50), ("a", 9, 50)]
    assert "b" not in catch_up
    catch_up.forget("b")
    catch_up.forget("a")
    assert not catch_up


def test_what_a_topic_keeps_comes_before_later_events() -> None:
    asked = []

    def read_on(topic: str, position: Position, size: int) -> Refill | None:
        asked.append((topic, position))
        return Refill(b"%d" % size, None)

    catch_up = CatchUp(read_on, CatchUpTurns(list[Any]().append, lambda: 0.0))
    since = Position("e", 7)
    catch_up.begin("a", since)
    assert catch_up.position("a") == since
    catch_up.begin("a", FOR_NEWCOMERS)
    assert catch_up.position("a") is None
    assert not catch_up.ends_with("a")
    assert catch_up.next(5) == b"5"
    assert catch_up.ends_with("a")
    # Another position takes the place of the one before.
    catch_up.begin("a", Position("e", 8))
    catch_up.begin("b", FOR_NEWCOMERS)
    assert not catch_up.ends_with("a")
    assert [catch_up.next(5), catch_up.next(5)] == [b"5", b"5"]
    assert asked == [("a", FOR_NEWCOMERS), ("a", Position("e", 8)), ("b", FOR_NEWCOMERS)]
    assert not catch_up


@pytest.mark.parametrize("buffered", [False, True])
@pytest.mark.parametrize("length", [1, 60, 500])
def test_a_client_that_stops_reading_gets_all_later_and_keeps_little(
    world: World, buffered: bool, length: int
) -> None:
    reading = world.client("t")
    client = stalled(world, "t", buffered=buffered)
    values = [f"{number:03}{'x' * length}" for number in range(200)]
    publish(world, "t", values)
    assert client.outbox.queued <= client.outbox.limit // 4 + length + 100
    assert got(reading) == values
    resume(client)
    assert got(client) == values
    assert client.outbox.catch_up is None
    assert client.outbox.overflows == 0
    assert world.ledger.deliveries == 400
    publish(world, "t", ["after"])
    assert got(client)[-1] == "after"


def test_what_a_stalled_client_keeps_does_not_depend_on_how_long(world: World) -> None:
    client = stalled(world, "t", "tt")
    publish(world, "t", range(100))
    publish(world, "tt", range(100))
    before = (client.outbox.queued, len(client.outbox.chunks))
    publish(world, "t", range(100, 500))
    publish(world, "tt", range(100, 500))
    assert (client.outbox.queued, len(client.outbox.chunks)) == before
    resume(client)
    assert got(client, "t") == got(client, "tt") == list(range(500))


def test_a_burst_in_one_turn_is_not_behind(world: World) -> None:
    client = world.client("t", limit=400)
    for number in range(100):
        world.broker.publish(Publication("t", b"%d" % number))
    world.end_turn()
    assert got(client) == list(range(100))


def test_sources_do_not_wait_for_clients_that_catch_up(world: World) -> None:
    clients = [stalled(world, "t", limit=100_000) for _ in range(3)]
    publish(world, "t", ["x" * 9000] * 50)
    assert not world.pressure.paused
    assert world.pressure.pauses == 0
    assert all(not client.outbox.closed for client in clients)


def test_events_of_the_turn_in_which_a_client_reads_come_once(world: World) -> None:
    client = stalled(world, "t")
    publish(world, "t", range(100))
    for number in range(100, 103):
        world.broker.publish(Publication("t", b"%d" % number))
    client.wire.room = None
    client.outbox.drain(1_000_000)
    world.end_turn()
    assert got(client) == list(range(103))


def test_replies_and_other_topics_do_not_wait_for_what_is_read_later(world: World) -> None:
    client = stalled(world, "t", "news")
    publish(world, "t", range(100))
    publish(world, "news", ["n"])
    world.fanout.reply(client.outbox, b"[3]")
    resume(client)
    texts = client.texts
    assert got(client) == list(range(100))
    assert texts.index(b"[3]") == texts.index(b'[8,"news","n"]') + 1
    assert texts.index(b"[3]") < len(texts) - 50


def test_an_ended_subscription_is_not_read_on(world: World) -> None:
    client = stalled(world, "t", "tt")
    publish(world, "t", range(100))
    publish(world, "tt", range(100))
    world.says(client, '[6,"t"]')
    world.says(client, '[5,"t"]')
    publish(world, "t", ["again"])
    resume(client)
    first = got(client)
    assert first[-1] == "again"
    assert first[:-1] == list(range(len(first) - 1))
    assert len(first) < 50
    assert got(client, "tt") == list(range(100))


def test_a_recovery_takes_the_place_of_what_was_to_be_read(world: World) -> None:
    client = stalled(world, "t", limit=40_000)
    publish(world, "t", ["x" * 150] * 100)
    assert is_behind(client)
    newest = world.history.position("t")
    assert newest is not None
    world.broker.subscribe_since(client.subscriber, "t", Position(newest.epoch, 98))
    assert not is_behind(client)
    resume(client)
    offsets = [json.loads(text)[4] for text in client.texts]
    assert offsets[-2:] == [99, 100]
    assert len(offsets) < 90


def test_what_is_read_is_what_the_present_user_may_see(world: World) -> None:
    client = stalled(world, "t", identity=Identity("ann"))
    publish(world, "t", range(50))
    publish(world, "t", ["for bob"], Audience(to=Targets(users=frozenset(["bob"]))))
    publish(world, "t", ["for ann"], Audience(to=Targets(users=frozenset(["ann"]))))
    publish(world, "t", ["not for it"], Audience(frozenset([client.id])))
    client.become(Identity("bob"))
    resume(client)
    assert got(client) == [*range(50), "for bob"]
    assert client.outbox.catch_up is None


def test_events_that_it_may_not_see_keep_no_client_waiting(world: World) -> None:
    client = stalled(world, "t", identity=Identity("ann"))
    publish(world, "t", range(50))
    assert is_behind(client)
    publish(world, "t", range(300), Audience(to=Targets(users=frozenset(["bob"]))))
    publish(world, "t", ["end"])
    resume(client)
    assert got(client) == [*range(50), "end"]


def test_a_client_whose_events_are_gone_is_disconnected(world: World) -> None:
    client = stalled(world, "short", wire_format="")
    publish(world, "short", range(100))
    assert client.outbox.overflows == 0
    resume(client)
    assert client.outbox.overflows == 1


def test_a_client_of_a_topic_that_was_evicted_is_disconnected(world: World) -> None:
    client = stalled(world, "t")
    publish(world, "t", range(100))
    publish(world, "big", ["x" * 990_000])
    resume(client)
    assert client.outbox.overflows == 1


def test_with_skip_the_positions_show_the_gap(world: World) -> None:
    client = stalled(world, "shown")
    publish(world, "shown", range(100))
    resume(client)
    offsets = [json.loads(text)[4] for text in client.texts]
    queued = len(offsets) - 5
    assert offsets == [*range(1, queued + 1), *range(96, 101)]
    assert not client.outbox.closed
    assert world.ledger.dropped_events == {"catch-up": 95 - queued}


def test_with_skip_a_client_without_positions_is_disconnected(world: World) -> None:
    class WithoutPositions(type(world.format(""))):  # type: ignore[misc]
        shows_gaps = False

    client = stalled(world, "shown", wire_format=WithoutPositions("w", world.encoded))
    publish(world, "shown", range(100))
    resume(client)
    assert client.outbox.overflows == 1
    assert world.ledger.dropped_events == {}


def test_clients_that_are_behind_share_frames(world: World) -> None:
    clients = [stalled(world, "t", limit=40_000) for _ in range(10)]
    publish(world, "t", ["x" * 150] * 300)
    made = len(world.encoded)
    for client in clients:
        client.wire.room = None
    for client in clients:
        client.outbox.drain(1_000_000)
    world.end_turn()
    assert all(len(got(client)) == 300 for client in clients)
    assert len(world.encoded) - made < 300


def test_a_client_that_is_lost_while_behind(world: World) -> None:
    client = stalled(world, "t")
    publish(world, "t", range(100))
    world.broker.on_lost(client.subscriber)
    assert client.outbox.catch_up is None
    assert world.pressure.total == 0
    assert client.outbox.overflows == 0


def test_without_a_history_a_slow_client_is_disconnected() -> None:
    world = World(rules=RULES)
    client = stalled(world, "t")
    publish(world, "t", range(100))
    assert client.outbox.overflows == 1
