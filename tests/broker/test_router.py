"""Publications on their way to the sessions of this node."""

from __future__ import annotations

import json

import pytest

from tests.broker.world import World
from wampush.broker.identity import Identity
from wampush.broker.publication import Audience, Position, Publication, Targets
from wampush.broker.topic_rules import TopicRule
from wampush.choices import SlowClient


@pytest.fixture
def world():
    return World()


def got(client):
    return [json.loads(text)[1:] for text in client.texts]


def test_everyone_who_is_subscribed_gets_a_publication(world):
    clients = [world.client("t"), world.client("t", "u"), world.client("u")]
    assert world.router.publish(Publication("t", b"1.0")) == 2
    assert world.router.deliver(Publication("none", b"1")) == 0
    world.end_turn()
    assert [client.texts for client in clients] == [[b'[8,"t",1.0]']] * 2 + [[]]


def test_one_publication_reaches_several_topics(world):
    both, second = world.client("t", "u"), world.client("u", identity=Identity("alice"))
    publication = Publication("t", b"1", further_topics=("u", "none"))
    assert world.router.publish(publication) == 3
    to_alice = Audience(to=Targets(users=frozenset(["alice"])))
    assert world.router.publish(Publication("t", b"2", to_alice, further_topics=("u",))) == 1
    world.end_turn()
    assert (got(both), got(second)) == ([["t", 1], ["u", 1]], [["u", 1], ["u", 2]])


def test_an_audience_is_selected_among_the_subscribers(world):
    alice, bob = (world.client("t", identity=Identity(each)) for each in ("alice", "bob"))
    world.client(identity=Identity("alice"))
    to_alice = Audience(to=Targets(users=frozenset(["alice"])))
    assert world.router.publish(Publication("t", b"1", to_alice)) == 1
    assert world.router.publish(Publication("t", b"2", Audience(frozenset([alice.id])))) == 1
    assert world.router.publish(Publication("t", b"3", Audience(eligible=frozenset()))) == 0
    assert world.router.publish(Publication("none", b"4", to_alice)) == 0
    world.end_turn()
    assert (got(alice), got(bob)) == ([["t", 1]], [["t", 2]])


def test_the_rules_for_topics_say_what_slow_clients_lose():
    world = World(rules=[TopicRule("t", SlowClient.DROP_NEWEST)])
    client = world.client("t", limit=60, room=0)
    for number in range(9):
        world.router.publish(Publication("t", b"%d" % number))
        world.end_turn()
    assert not client.outbox.closed
    assert world.ledger.dropped_events["drop-newest"] > 0


def test_watchers_get_every_publication_until_they_stop(world):
    world.client("t")
    seen: list[Publication] = []
    other: list[Publication] = []
    stop = world.router.watch(seen.append)
    stop_other = world.router.watch(other.append)
    publications = [
        Publication("t", b"1"),
        Publication("none", b"2"),
        Publication("t", b"3", Audience(eligible=frozenset())),
    ]
    for each in publications:
        world.router.publish(each)
    stop()
    world.broker.publish(Publication("t", b"4", further_topics=("u",)))
    assert seen == publications
    assert [(each.topic, each.payload) for each in other[3:]] == [("t", b"4"), ("u", b"4")]
    stop_other()
    world.router.publish(Publication("t", b"5"))
    assert len(other) == 5


def test_a_position_reaches_the_format(world):
    client = world.client("t")
    world.router.publish(Publication("t", b"1", position=Position("e", 7)))
    world.end_turn()
    assert client.texts == [b'[8,"t",1,"e",7]']


def test_one_session_gets_an_event_without_a_subscription(world):
    client, other = world.client(), world.client("t")
    world.router.send(client.subscriber, "t", b"1")
    world.end_turn()
    assert (client.texts, other.texts) == ([b'[8,"t",1]'], [])


def test_receivers_are_counted_without_a_delivery(world):
    first, second = world.client("t"), world.client("t")
    count = world.router.count_receivers
    assert count(Publication("t", b"1")) == 2
    assert count(Publication("t", b"1", Audience(frozenset({first.id})))) == 1
    assert count(Publication("other", b"1", Audience(frozenset({first.id})))) == 0
    world.end_turn()
    assert first.texts == second.texts == []
