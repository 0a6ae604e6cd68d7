"""The effects of requests that begin and end subscriptions."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.broker.presence.presence_world import changes, person
from tests.broker.requests.test_presence import ROOM, secret_room
from tests.broker.requests.test_streams import Report
from tests.broker.world import World
from wampush.broker.history.rule import HistoryRule
from wampush.broker.publication import Position, Publication
from wampush.broker.requests.history import SubscribeSince
from wampush.broker.requests.streams import StreamSubscribe
from wampush.broker.requests.subscribing import Subscribing
from wampush.errors import MessageRefused, Refusal
from wampush.wamp.messages import Subscribe, Unsubscribe


@pytest.fixture
def world() -> World:
    return World(history=(("log", HistoryRule(events=2)),))


def position(world: World) -> Position:
    """The position after three events of which two are kept."""
    for number in range(3):
        world.broker.publish(Publication("log", b"%d" % number))
    found = world.broker.position("log")
    assert found is not None
    return found


def test_a_subscription_begins_and_ends(world: World) -> None:
    client, subscribing = world.client(), Subscribing(world.broker, world.checks)
    subscribing.subscribe(client.subscriber, Subscribe("a"))
    assert world.subscriptions.topics(client.subscriber) == {"a"}
    subscribing.unsubscribe(client.subscriber, Unsubscribe("a"))
    assert world.subscriptions.topics(client.subscriber) == set()


def test_what_was_missed_comes_before_the_answer(world: World) -> None:
    known = replace(position(world), offset=2)
    client, subscribing = world.client(limit=10_000), Subscribing(world.broker, world.checks)
    subscribing.subscribe_since(client.subscriber, SubscribeSince("log", "c1", known))
    world.end_turn()
    event, answer = [json.loads(each) for each in client.texts[-2:]]
    assert (event[0], event[2]) == (8, 2)
    assert answer[:2] == [3, "c1"]
    assert (answer[2]["recovered"], answer[2]["offset"]) == (True, 3)


@pytest.mark.parametrize(("offset", "gaps"), [(1, 0), (0, 1)])
def test_the_listener_of_a_stream_learns_of_a_gap_before_the_outcome(
    world: World, offset: int, gaps: int
) -> None:
    known = replace(position(world), offset=offset)
    client, subscribing = world.client(), Subscribing(world.broker, world.checks)
    report = Report(world, client)
    request = StreamSubscribe("log", known, report)
    subscribing.subscribe_stream(client.subscriber, request)
    assert report.effects == 1
    assert report.lines == [("log", "gap")] * gaps + [("log", "subscribed")]


def test_the_presence_of_a_topic_needs_the_permission_for_the_topic() -> None:
    secret = secret_room()
    subscribing = Subscribing(secret.broker, secret.checks)
    stranger = secret.client(identity=person("7")).subscriber
    staff = secret.client(identity=person("8", "staff")).subscriber
    report = Report(secret, secret.client())
    watching = Subscribe(changes(ROOM))
    subscribing.subscribe(staff, watching)
    assert secret.subscriptions.topics(staff) == {changes(ROOM)}
    for begin in (
        lambda: subscribing.subscribe(stranger, watching),
        lambda: subscribing.subscribe_since(stranger, SubscribeSince(changes(ROOM), "c1", None)),
        lambda: subscribing.subscribe_stream(
            stranger, StreamSubscribe(changes(ROOM), None, report)
        ),
    ):
        with pytest.raises(MessageRefused) as refused:
            begin()
        assert refused.value.refusal is Refusal.SUBSCRIBE_FORBIDDEN
        assert ROOM in str(refused.value)
    assert secret.subscriptions.topics(stranger) == set()
    assert report.effects == 0
