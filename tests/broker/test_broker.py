"""Sessions: how they open, subscribe, change and end, and what they get in which order."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.broker.world import World
from wampush.broker.access.policy import Publishing
from wampush.broker.history.journal import Outcome
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.identity_change import change_identity
from wampush.broker.ledger import Source
from wampush.broker.publication import EVERYONE, Audience, Position, Publication
from wampush.broker.router import Router
from wampush.broker.session_ends import end_user_sessions
from wampush.broker.subscriber import Subscriber
from wampush.config.settings import Settings
from wampush.config.tables.topics import TopicSettings
from wampush.errors import CloseReason, Refusal
from wampush.node.core import make_core
from wampush.testing.clock import ThreadedClock


@pytest.fixture
def world():
    return World()


def test_welcome_comes_first(world):
    client = world.client()
    kind, session_id, version, server = json.loads(bytes(client.wire.received).partition(b":")[2])
    assert (kind, session_id, version, server) == (0, client.id, 1, "test/1")
    assert world.broker.sessions == {client.id: client.subscriber}


def test_audience_of_a_push(world):
    a, b, c = (world.client("t") for _ in range(3))
    out = world.client()
    audiences = [
        (EVERYONE, 3),
        (Audience(), 3),
        (Audience(frozenset([a.id])), 2),
        (Audience(frozenset([out.id, "gone"])), 3),
        (Audience(frozenset([a.id]), frozenset([a.id, b.id, out.id, "gone"])), 1),
        (Audience(eligible=frozenset()), 0),
    ]
    for number, (audience, count) in enumerate(audiences):
        publication = Publication("t", b"%d" % number, audience)
        assert world.broker.publish(publication) == count
    world.end_turn()
    assert [text[-2:-1] for text in a.texts] == [b"0", b"1", b"3"]
    assert [text[-2:-1] for text in b.texts] == [b"0", b"1", b"2", b"3", b"4"]
    assert [text[-2:-1] for text in c.texts] == [b"0", b"1", b"2", b"3"]
    assert out.texts == []


def test_nobody_listens(world):
    assert world.broker.publish(Publication("t", b"1")) == 0
    assert world.encoded == []
    assert world.turn == []


def test_order_across_topics_replies_and_events(world):
    client, publisher = world.client("a", "b", "log", "price"), world.client()
    expected = []
    for number in range(40):
        topic = ("a", "a", "b", "log", "price")[number % 5]
        world.broker.publish(Publication(topic, b"%d" % number))
        expected.append([8, topic, number])
        if number % 7 == 0:
            world.says(client, f'[2,"{number}","urn:f"]')
            expected.append([4, str(number)])
        if number % 4 == 0:
            world.says(publisher, f'[7,"a",{number}]')
            expected.append([8, "a", number])
        if number % 11 == 0:
            world.end_turn()
    world.end_turn()
    got = [json.loads(text) for text in client.texts]
    assert [each[:2] if each[0] == 4 else each for each in got] == expected


def test_subscribing_and_unsubscribing_take_effect_at_their_place(world):
    client = world.client()
    witness = world.client("t")
    for number in range(9):
        if number in (2, 7):
            world.says(client, '[5,"t"]')
        if number == 5:
            world.says(client, '[6,"t"]')
        world.broker.publish(Publication("t", b"%d" % number))
    world.end_turn()
    assert [json.loads(text)[2] for text in client.texts] == [2, 3, 4, 7, 8]
    assert [json.loads(text)[2] for text in witness.texts] == list(range(9))


def test_lost_takes_effect_at_its_place(world):
    leaver, stayer = world.client("t"), world.client("t")
    world.broker.publish(Publication("t", b"1"))
    world.broker.on_lost(leaver.subscriber)
    world.broker.publish(Publication("t", b"2"))
    world.end_turn()
    assert [json.loads(text)[2] for text in stayer.texts] == [1, 2]
    assert leaver.texts == []


@pytest.mark.parametrize("room", [None, 0, 7])
def test_lost_leaves_nothing(world, room):
    client = world.client("t", "u", "price", room=room)
    for topic in ("t", "u", "price", "price", "t"):
        world.broker.publish(Publication(topic, b'"a value"'))
    world.end_turn()
    world.broker.publish(Publication("t", b"2"))
    outbox = client.outbox
    reference = weakref.ref(outbox)
    world.broker.on_lost(client.subscriber)
    world.broker.on_lost(client.subscriber)
    assert world.broker.sessions == {}
    assert (world.subscriptions.topic_count, world.subscriptions.subscription_count) == (0, 0)
    assert (outbox.closed, outbox.chunks, outbox.buffer) == (True, [], b"")
    assert world.pressure.total == 0
    world.end_turn()
    del client, outbox
    gc.collect()
    assert reference() is None


def test_a_client_that_is_gone_takes_no_more(world):
    client, other = world.client("t"), world.client("t")
    world.broker.on_lost(client.subscriber)
    got = bytes(client.wire.received)
    world.says(client, '[2,"c","urn:f"]')
    assert world.broker.publish(Publication("t", b"1")) == 1
    world.end_turn()
    assert client.wire.received == got
    assert other.texts == [b'[8,"t",1]']


@dataclass
class Noted:
    """Presence that notes what it learns, and what the indexes say at that moment."""

    router: Router
    notes: list[Any] = field(default_factory=list)

    def note(self, name: str, subscriber: Subscriber, *more: object) -> None:
        users = self.router.users
        self.notes.append((name, users.user_of(subscriber), *more))

    def on_open(self, subscriber: Subscriber) -> None:
        self.note("open", subscriber)

    def on_subscribe(self, subscriber: Subscriber, topic: str, is_new: bool) -> None:
        self.note("subscribe", subscriber, topic, is_new)

    def on_unsubscribe(self, subscriber: Subscriber, topic: str) -> None:
        self.note("unsubscribe", subscriber, topic)

    def on_identity_changing(self, subscriber: Subscriber) -> None:
        self.note("changing", subscriber, subscriber.identity.user)

    def on_identity_changed(self, subscriber: Subscriber) -> None:
        self.note("changed", subscriber, subscriber.identity.user)

    def on_lost(self, user: str | None, topics: AbstractSet[str]) -> None:
        self.notes.append(("lost", user, set(topics)))


def test_presence_learns_of_everything_after_the_indexes():
    noted: list[Noted] = []

    def presence(router: Router) -> Any:
        noted.append(Noted(router))
        return noted[0]

    world = World(presence=presence, auto_subscribe=("all", "of.{user}"))
    client = world.client(identity=Identity("7"))
    for _ in range(2):
        world.broker.subscribe(client.subscriber, "own")
    change_identity(world.broker, client.subscriber, Identity("8"))
    world.broker.unsubscribe(client.subscriber, "own")
    world.broker.unsubscribe(client.subscriber, "own")
    world.broker.on_lost(client.subscriber)
    notes = noted[0].notes
    assert notes[0] == ("open", "7")
    assert set(notes[1:3]) == {("subscribe", "7", "all", True), ("subscribe", "7", "of.7", True)}
    assert notes[3:] == [
        ("subscribe", "7", "own", True),
        ("subscribe", "7", "own", False),
        ("changing", "7", "8"),
        ("unsubscribe", "8", "of.7"),
        ("subscribe", "8", "of.8", True),
        ("changed", "8", "8"),
        ("unsubscribe", "8", "own"),
        ("lost", "8", {"all", "of.8"}),
    ]


def test_the_permissions_of_a_session_depend_on_where_it_is(world):
    world.broker.policy = world.broker.policy.with_publishing(Publishing.LOCAL)
    client = world.client("t")
    assert world.broker.requested_count(client.subscriber) == 1
    may = []
    for client.peer.is_local in (False, True):
        told: Any = world.broker.permissions_for(client.subscriber, ANONYMOUS)
        may.append(any(each["pub"] for each in told["pubsub"]))
    assert may == [False, True]


def test_one_session_gets_an_event(world):
    client, other = world.client("t"), world.client("t")
    world.broker.send(client.subscriber, "t", b"1")
    world.end_turn()
    assert (client.texts, other.texts) == ([b'[8,"t",1]'], [])


def test_a_push_is_counted_as_accepted_with_and_without_receivers(world):
    world.client("t")
    watched: list[Publication] = []
    stop = world.broker.watch(watched.append)
    assert world.broker.push(Source.HTTP, Publication("t", b"1")) == 1
    assert world.broker.push(Source.HTTP, Publication("u", b"2")) == 0
    stop()
    assert world.broker.push(Source.HTTP, Publication("t", b"3")) == 1
    assert [each.topic for each in watched] == ["t", "u"]
    assert world.ledger.accepted[Source.HTTP] == 3
    assert world.ledger.unheard == {Source.HTTP: 1}


def test_the_open_sessions_of_a_user_end(world):
    first, second, other = (world.client(identity=Identity(user)) for user in "778")
    second.peer.ended = CloseReason.ENDED_BY_APPLICATION
    assert end_user_sessions(world.broker, "7", CloseReason.ENDED_BY_OPERATOR, "asked") == 1
    assert first.peer.ends == [(CloseReason.ENDED_BY_OPERATOR, "asked")]
    assert (second.peer.ends, other.peer.ends) == ([], [])
    assert end_user_sessions(world.broker, "9", CloseReason.ENDED_BY_OPERATOR) == 0


def test_a_push_to_a_durable_topic_is_counted_once_it_is_stored():
    clock = ThreadedClock()
    topics = (TopicSettings("d", last=True, durable=True),)
    broker = make_core(Settings(topics=topics), clock).broker
    outcomes: list[Any] = []
    assert broker.push(Source.HTTP, Publication("d", b"1"), outcomes.append) is None
    assert broker.push(Source.ZEROMQ, Publication("d", b"2")) is None
    assert broker.publish(Publication("d", b"3")) is None
    assert broker.push(Source.HTTP, Publication("other", b"4"), outcomes.append) == 0
    assert (outcomes, broker.ledger.accepted[Source.ZEROMQ]) == ([], 0)
    clock.advance(0)
    assert outcomes == [0]
    assert (broker.ledger.accepted[Source.HTTP], broker.ledger.unheard[Source.HTTP]) == (2, 2)
    assert broker.ledger.accepted[Source.ZEROMQ] == 1


def test_a_push_that_is_not_stored_is_refused_with_its_topic():
    clock = ThreadedClock()
    topics = (TopicSettings("d", last=True, durable=True),)
    core = make_core(Settings(topics=topics), clock)
    broker = core.broker
    outcomes: list[Any] = []
    broker.push(Source.HTTP, Publication("d", b"1"), outcomes.append)
    assert core.durable is not None
    core.durable._on_written([Outcome((), "disk full")])
    (outcome,) = outcomes
    assert outcome.refusal is Refusal.NOT_STORED
    (refused,) = broker.ledger.recent
    assert (refused.origin, refused.excerpt) == ("topic 'd'", b"1")


def test_the_end_of_the_process_stores_and_delivers_what_is_in_flight():
    broker = make_core(
        Settings(topics=(TopicSettings("d", last=True, durable=True),)), ThreadedClock()
    ).broker
    outcomes: list[Any] = []
    broker.push(Source.HTTP, Publication("d", b"1"), outcomes.append)
    broker.flush()
    assert outcomes == [0]
    broker.push(Source.HTTP, Publication("d", b"2"), outcomes.append)
    broker.stop()
    assert outcomes == [0, 0]
    without = World().broker
    without.flush()
    without.stop()


def test_what_another_process_has_published_keeps_its_position():
    broker = make_core(Settings(topics=(TopicSettings("t", history=5),)), ThreadedClock()).broker
    assert broker.position("other") is None
    broker.publish(Publication("t", b"1"))
    first = broker.position("t")
    assert first is not None
    second = Position(first.epoch, first.offset + 1)
    broker.follow(Publication("t", b"2", position=second))
    assert broker.position("t") == second


def test_publications_are_diverted_while_another_process_publishes(world):
    client = world.client("t")
    elsewhere: list[Any] = []
    world.broker.divert(lambda source, publication: elsewhere.append((source, publication.payload)))
    assert world.broker.publish(Publication("t", b"1")) == 0
    assert world.broker.push(Source.HTTP, Publication("t", b"2")) == 0
    assert world.broker.ledger.accepted[Source.HTTP] == 0
    world.broker.divert(None)
    world.broker.publish(Publication("t", b"3"))
    world.end_turn()
    assert elsewhere == [(None, b"1"), (Source.HTTP, b"2")]
    assert [text[-2:-1] for text in client.texts] == [b"3"]
