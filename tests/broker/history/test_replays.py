"""What subscribers get of what a topic keeps."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from tests.broker.world import Client, World, frames
from wampush.broker.history.rule import HistoryRule
from wampush.broker.identity import Identity
from wampush.broker.publication import Audience, Position, Publication, Targets
from wampush.broker.topic_rules import TopicRule
from wampush.choices import SlowClient

HISTORY = (
    ("table", HistoryRule(last_by="id", tombstone="gone")),
    ("news", HistoryRule(events=5, replay=2)),
    ("log", HistoryRule(events=4)),
    ("now", HistoryRule(last=True, events=1)),
)


@pytest.fixture
def world() -> World:
    return World(history=HISTORY)


def publish(
    world: World, topic: str, *values: Any, audience: Audience | None = None
) -> Position | None:
    for value in values:
        payload = json.dumps(value).encode()
        publication = Publication(topic, payload)
        if audience is not None:
            publication = Publication(topic, payload, audience)
        world.broker.publish(publication)
    world.end_turn()
    return world.history.position(topic)


def subscribe(world: World, client: Client, topic: str) -> list[Any]:
    """What a client gets for a SUBSCRIBE, and how."""
    flushes, seen = client.outbox.flushes, len(client.texts)
    world.says(client, json.dumps([5, topic]))
    world.end_turn()
    assert client.outbox.flushes - flushes <= 1
    return [json.loads(text)[2] for text in client.texts[seen:]]


@pytest.mark.parametrize(
    ("topic", "values", "expected"),
    [
        (
            "table",
            [{"id": 1}, {"id": 2}, {"id": 1, "n": 1}, {"id": 3}, {"id": 3, "gone": True}],
            [{"id": 2}, {"id": 1, "n": 1}],
        ),
        ("news", [1, 2, 3], [2, 3]),
        ("log", [1, 2, 3], []),
        ("now", [1, 2], [2]),
        ("other", [1], []),
    ],
)
def test_new_subscribers_get_what_is_kept_for_them_with_one_send(
    world: World, topic: str, values: list[Any], expected: list[Any]
) -> None:
    publish(world, topic, *values)
    client = world.client()
    assert subscribe(world, client, topic) == expected
    # The second time is no new subscription.
    assert subscribe(world, client, topic) == []
    publish(world, topic, "new")
    assert json.loads(client.texts[-1])[2] == "new"


def test_stored_events_come_before_newer_ones_of_the_same_turn(world: World) -> None:
    publish(world, "news", 1)
    client = world.client()
    world.says(client, '[5,"news"]')
    publish(world, "news", 2)
    assert [json.loads(text)[2] for text in client.texts] == [1, 2]


def test_welcome_stays_alone_where_automatic_topics_have_values() -> None:
    world = World(history=HISTORY, auto_subscribe=["now"])
    publish(world, "now", 7)
    client = world.client()
    assert client.outbox.flushes == 2
    assert [json.loads(text)[:3] for text in client.texts] == [[8, "now", 7]]


@pytest.mark.parametrize(
    ("audience", "user", "seen"),
    [
        (Audience(to=Targets(users=frozenset("7"))), "7", True),
        (Audience(to=Targets(users=frozenset("7"))), "8", False),
        (Audience(eligible=frozenset(["gone"])), "7", False),
        (Audience(exclude=frozenset(["gone"])), "7", True),
    ],
)
def test_what_is_for_others_is_not_shown_later(
    world: World, audience: Audience, user: str, *, seen: bool
) -> None:
    publish(world, "news", "secret", audience=audience)
    publish(world, "news", "open")
    client = world.client(identity=Identity(user, frozenset(), source="token"))
    assert subscribe(world, client, "news") == (["secret"] if seen else []) + ["open"]


def test_who_was_excluded_does_not_get_it_later(world: World) -> None:
    client = world.client()
    publish(world, "log", 1, audience=Audience(exclude=frozenset([client.id])))
    publish(world, "log", 2)
    start = Position(world.history.position("log").epoch, 0)  # type: ignore[union-attr]
    recovery = world.broker.subscribe_since(client.subscriber, "log", start)
    world.end_turn()
    assert recovery is not None
    assert recovery.is_complete
    assert [json.loads(text)[2] for text in client.texts] == [2]


def test_recovery(world: World) -> None:
    publish(world, "log", 1, 2)
    position = publish(world, "log", 3)
    assert position is not None
    client = world.client()
    recovery = world.broker.subscribe_since(client.subscriber, "log", Position(position.epoch, 1))
    publish(world, "log", 4)
    assert recovery == (True, position)
    assert [json.loads(text)[2] for text in client.texts] == [2, 3, 4]
    publish(world, "log", 5, 6)
    late = world.client()
    recovery = world.broker.subscribe_since(late.subscriber, "log", Position(position.epoch, 1))
    assert recovery is not None
    assert not recovery.is_complete
    assert world.broker.subscribe_since(late.subscriber, "other", position) is None


def test_a_hole_is_announced_and_the_present_values_are_sent(world: World) -> None:
    publish(world, "table", {"id": 1}, {"id": 2})
    client = world.client()
    recovery = world.broker.subscribe_since(client.subscriber, "table", Position("another", 1))
    world.end_turn()
    assert recovery is not None
    assert not recovery.is_complete
    assert [json.loads(text)[2] for text in client.texts] == [{"id": 1}, {"id": 2}]


def test_clients_that_missed_the_same_share_its_frames(world: World) -> None:
    position = publish(world, "log", 1, 2, 3)
    assert position is not None
    clients = [world.client() for _ in range(50)] + [world.client(wire_format="z")]
    world.encoded.clear()
    for client in clients:
        world.broker.subscribe_since(client.subscriber, "log", Position(position.epoch, 0))
    assert len(world.encoded) == 3 * 2
    chunks = {id(client.outbox.chunks[0]) for client in clients[:50]}
    assert len(chunks) == 1
    world.end_turn()
    assert {len(client.texts) for client in clients} == {3}


@pytest.mark.parametrize(
    "audience", [Audience(exclude=frozenset(["gone"])), Audience(to=Targets(users=frozenset("7")))]
)
def test_frames_are_shared_where_some_may_not_see_all(world: World, audience: Audience) -> None:
    publish(world, "log", 1, 2)
    publish(world, "log", 3, audience=audience)
    since = Position(world.history.position("log").epoch, 0)  # type: ignore[union-attr]
    seven = Identity("7", frozenset(), source="token")
    clients = [world.client(identity=seven) for _ in range(5)]
    world.encoded.clear()
    for client in clients:
        world.broker.subscribe_since(client.subscriber, "log", since)
    assert len(world.encoded) == 3
    assert len({id(client.outbox.chunks[0]) for client in clients}) == 1


def test_a_session_that_was_excluded_gets_no_frames_of_others(world: World) -> None:
    author, reader = world.client(), world.client()
    publish(world, "log", 1)
    publish(world, "log", 2, audience=Audience(exclude=frozenset([author.id])))
    since = Position(world.history.position("log").epoch, 0)  # type: ignore[union-attr]
    for client in (reader, author, reader):
        world.broker.unsubscribe(client.subscriber, "log")
        world.broker.subscribe_since(client.subscriber, "log", since)
    world.end_turn()
    assert [json.loads(text)[2] for text in author.texts] == [1]
    assert [json.loads(text)[2] for text in reader.texts] == [1, 2, 1, 2]


def test_many_that_return_to_several_topics_share_the_frames_of_each() -> None:
    topics = [f"t{number}" for number in range(30)]
    world = World(history=[("t*", HistoryRule(last=True))])
    for topic in topics:
        publish(world, topic, topic)
    world.encoded.clear()
    for _ in range(3):
        client = world.client()
        for topic in topics:
            world.broker.subscribe(client.subscriber, topic)
    assert len([text for text, _ in world.encoded if text.startswith(b"[8,")]) == len(topics)


def test_values_that_changed_are_written_anew(world: World) -> None:
    publish(world, "table", {"id": 1}, {"id": 2}, {"id": 3})
    assert len(subscribe(world, world.client(), "table")) == 3
    publish(world, "table", {"id": 2, "gone": True})
    assert subscribe(world, world.client(), "table") == [{"id": 1}, {"id": 3}]


def test_a_replay_is_limited_in_bytes_and_what_it_leaves_out_is_counted() -> None:
    world = World(history=[("news", HistoryRule(events=9, replay=9))], replay_bytes=250)
    publish(world, "news", *["x" * 98] * 3)
    client = world.client()
    assert len(subscribe(world, client, "news")) == 2
    assert world.ledger.dropped_events["replay"] == 1
    assert len(subscribe(world, world.client(), "news")) == 2
    assert world.ledger.dropped_events["replay"] == 2
    # Events that a session has missed are never cut silently.
    position = world.history.position("news")
    assert position is not None
    recovery = world.broker.subscribe_since(client.subscriber, "news", Position(position.epoch, 0))
    assert recovery is not None
    assert not recovery.is_complete


class Sessions(RuleBasedStateMachine):
    """Sessions that come and go, of which some note their positions, against a plain list.

    Whoever goes on where it was misses nothing and gets nothing twice, unless it is told.
    """

    clients = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        self.world = World(history=[("t", HistoryRule(events=3))])
        self.published: list[tuple[int, str]] = []
        self.expected: dict[str, list[int]] = {}
        self.all: list[Client] = []

    @rule(target=clients, user=st.sampled_from("78"))
    def connect(self, user: str) -> Client:
        identity = Identity(user, frozenset(), source="token")
        client = self.world.client(identity=identity, limit=100_000)
        self.all.append(client)
        self.expected[client.id] = []
        return client

    @rule(to=st.sampled_from(["", "7", "8"]))
    def publish(self, to: str) -> None:
        number = len(self.published) + 1
        self.published.append((number, to))
        audience = Audience(to=Targets(users=frozenset(to))) if to else Audience()
        for client in self.all:
            if self.world.subscriptions.topics(client.subscriber) and self.may_see(client, to):
                self.expected[client.id].append(number)
        publish(self.world, "t", number, audience=audience)

    @staticmethod
    def may_see(client: Client, to: str) -> bool:
        return not to or client.subscriber.identity.user == to

    @rule(client=clients)
    def unsubscribe(self, client: Client) -> None:
        self.world.says(client, '[6,"t"]')
        self.world.end_turn()

    @rule(client=clients, back=st.integers(0, 5))
    def go_on(self, client: Client, back: int) -> None:
        if self.world.subscriptions.topics(client.subscriber):
            return
        position = self.world.history.position("t")
        assert position is not None
        since = max(position.offset - back, 0)
        recovery = self.world.broker.subscribe_since(
            client.subscriber, "t", Position(position.epoch, since)
        )
        self.world.end_turn()
        assert recovery is not None
        assert recovery.is_complete is (position.offset - since <= 3)
        if recovery.is_complete:
            self.expected[client.id] += [
                number for number, to in self.published[since:] if self.may_see(client, to)
            ]

    @invariant()
    def everybody_has_exactly_what_it_should(self) -> None:
        for client in self.all:
            assert [json.loads(text)[2] for text in client.texts] == self.expected[client.id]


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


POLICIES = [each for each in SlowClient if each is not SlowClient.AUTO]
TOPICS = [f"big{number}" for number in range(20)]


def big_world(policy: SlowClient, **rule: Any) -> World:
    """Each topic keeps a fifth of what a queue takes."""
    world = World(
        history=[("*", HistoryRule(**rule))], rules=[TopicRule("*", policy)], replay_bytes=500
    )
    for topic in TOPICS:
        publish(world, topic, *[{"id": number, "x": "y" * 30} for number in range(5)])
    return world


def drain(client: Client) -> None:
    while client.outbox.blocked:
        client.outbox.drain(100)
        client.world.end_turn()
        assert client.outbox.queued <= client.outbox.limit


def by_topic(client: Client) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for text in client.texts:
        event = json.loads(text)
        if event[0] == 8:
            found.setdefault(event[1], []).append(event[2]["id"])
    return found


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "rule", [{"last_by": "id"}, {"events": 9, "replay": 5}, {"events": 9, "last_by": "id"}]
)
def test_a_client_is_never_dropped_for_what_the_topics_keep(
    policy: SlowClient, rule: dict[str, Any]
) -> None:
    if policy is SlowClient.CATCH_UP and "events" not in rule:
        return
    world = big_world(policy, **rule)
    client = world.client(limit=2000, room=300)
    for topic in TOPICS:
        world.says(client, f'[5,"{topic}"]')
    world.end_turn()
    assert client.outbox.queued <= client.outbox.limit
    waiting = client.outbox.catch_up
    assert waiting is not None
    # What is published meanwhile comes after what was kept, once.
    for topic in TOPICS[-2:]:
        publish(world, topic, {"id": 5})
    drain(client)
    assert not client.outbox.closed
    events = by_topic(client)
    assert set(events) == set(TOPICS)
    for topic in TOPICS[:-2]:
        assert events[topic] == [0, 1, 2, 3, 4]
    for topic in TOPICS[-2:]:
        assert events[topic] == ([1, 2, 3, 4, 5] if "replay" in rule else [0, 1, 2, 3, 4, 5])
    assert client.outbox.catch_up is None
    assert world.pressure.total == 0


@pytest.mark.parametrize("policy", [SlowClient.CATCH_UP, SlowClient.DISCONNECT])
def test_what_a_client_has_missed_waits_for_room_and_the_result_says_so(
    policy: SlowClient,
) -> None:
    world = big_world(policy, events=9)
    client = world.client(limit=2000, room=300)
    results = []
    for topic in TOPICS:
        since = Position(world.history.position(topic).epoch, 1)  # type: ignore[union-attr]
        results.append(world.broker.subscribe_since(client.subscriber, topic, since))
    world.end_turn()
    for topic in TOPICS:
        publish(world, topic, {"id": 5})
    assert all(each is not None and each.is_complete for each in results)
    # Everything up to the position in the result is sent before the result.
    offsets = {each.position.offset for each in results if each is not None}
    assert offsets == {5, 1}
    drain(client)
    assert by_topic(client) == {topic: [1, 2, 3, 4, 5] for topic in TOPICS}
    assert world.ledger.deliveries == 20 * 5


def test_a_single_event_that_was_missed_is_replaced_by_a_newer_one_while_it_waits() -> None:
    world = big_world(SlowClient.DISCONNECT, events=1, last=True)
    client = world.client(limit=700, room=100)
    for topic in TOPICS:
        since = Position(world.history.position(topic).epoch, 4)  # type: ignore[union-attr]
        world.broker.subscribe_since(client.subscriber, topic, since)
    world.end_turn()
    publish(world, TOPICS[-1], *[{"id": number} for number in range(5, 50)])
    drain(client)
    assert by_topic(client) == {**{topic: [4] for topic in TOPICS}, TOPICS[-1]: [49]}


@pytest.mark.parametrize("buffered", [False, True])
@pytest.mark.parametrize("policy", [SlowClient.CATCH_UP, SlowClient.DISCONNECT])
@pytest.mark.parametrize("seed", range(10))
def test_whatever_waits_and_whatever_comes_meanwhile_there_is_no_hole_and_no_double(
    policy: SlowClient, seed: int, *, buffered: bool
) -> None:
    choice = random.Random(seed)
    world = big_world(policy, events=1000, replay=5)
    newest = dict.fromkeys(TOPICS, 4)
    clients = [world.client(limit=4000, room=100, buffered=buffered) for _ in range(5)]
    for _ in range(400):
        client = choice.choice(clients)
        if choice.random() < 0.4:
            if not client.outbox.closed:
                world.says(client, f'[5,"{choice.choice(TOPICS)}"]')
        elif choice.random() < 0.6:
            client.outbox.drain(choice.randint(1, 1500))
        else:
            topic = choice.choice(TOPICS[:3])
            newest[topic] += 1
            publish(world, topic, {"id": newest[topic], "x": "z" * choice.randint(0, 200)})
    for client in clients:
        client.wire.room = None
        while client.outbox.blocked and not client.outbox.closed:
            client.outbox.drain(1000)
            world.end_turn()
        world.end_turn()
        if client.outbox.closed:
            # By events of a topic that it read too slowly, not by what was kept.
            assert policy is SlowClient.DISCONNECT
            continue
        for topic, numbers in by_topic(client).items():
            assert numbers == list(range(numbers[0], newest[topic] + 1))
        assert set(by_topic(client)) == world.subscriptions.topics(client.subscriber)
    assert world.pressure.total == 0


def test_a_topic_that_is_given_up_while_it_waits_is_not_sent() -> None:
    world = big_world(SlowClient.DISCONNECT, last_by="id")
    client = world.client(limit=2000, room=300)
    for topic in TOPICS:
        world.says(client, f'[5,"{topic}"]')
    world.says(client, f'[6,"{TOPICS[-1]}"]')
    world.says(client, '[2,"c","none"]')
    drain(client)
    assert set(by_topic(client)) == set(TOPICS[:-1])


def test_many_clients_that_stall_on_one_state_pause_nobody() -> None:
    world = World(history=[("t", HistoryRule(last_by="id"))], total=20_000, replay_bytes=9000)
    publish(world, "t", *[{"id": number, "x": "y" * 50} for number in range(100)])
    clients = [world.client(limit=40_000, wire_format=world.format("")) for _ in range(30)]
    for client in clients:
        client.wire.room = 0
        # The fakes copy what they cannot send, real outboxes keep a view.
        client.outbox.block(0)
        world.says(client, '[5,"t"]')
    world.end_turn()
    waiting = sum(client.outbox.queued for client in clients)
    assert waiting > 200_000
    assert world.pressure.total < 10_000
    assert not world.pressure.paused
    publish(world, "t", {"id": 0})
    assert world.pressure.pauses == 0
    # Another state is other memory.
    late = world.client(limit=40_000)
    late.outbox.block(0)
    before = world.pressure.total
    world.says(late, '[5,"t"]')
    assert world.pressure.total > before + 5000
    for client in [*clients, late]:
        client.outbox.emptied()
        client.outbox.drain(1_000_000)
        assert len(by_topic(client)["t"]) >= 100
    assert world.pressure.total == 0


def test_a_slow_client_reads_on_in_slices(world: World) -> None:
    client = world.client()
    publish(world, "log", "a", "b", "c", "d")
    epoch = world.history.position("log").epoch  # type: ignore[union-attr]
    delivered = world.ledger.deliveries
    first = world.replays.read_on(client.subscriber, "log", Position(epoch, 1), 6)
    assert first is not None
    assert first.position == Position(epoch, 3)
    second = world.replays.read_on(client.subscriber, "log", first.position, 6)
    assert second is not None
    assert second.position is None
    texts = frames(first.chunk + second.chunk)[0]
    assert [json.loads(text)[2] for text in texts] == ["b", "c", "d"]
    # They were counted when they were published.
    assert world.ledger.deliveries == delivered
    made = len(world.encoded)
    assert world.replays.read_on(client.subscriber, "log", Position(epoch, 1), 6) == first
    assert len(world.encoded) == made
    assert world.replays.read_on(client.subscriber, "log", Position("other", 1), 6) is None
    assert world.replays.read_on(client.subscriber, "other", Position(epoch, 1), 6) is None
    publish(world, "log", "e", "f")
    assert world.replays.read_on(client.subscriber, "log", Position(epoch, 1), 6) is None


def test_slow_clients_share_slices_of_events_that_all_of_them_may_see(world: World) -> None:
    first, second, excluded = [world.client() for _ in range(3)]
    publish(world, "log", "a", "b", audience=Audience(frozenset([excluded.id])))
    publish(world, "log", "c")
    epoch = world.history.position("log").epoch  # type: ignore[union-attr]

    def read(client: Client, topic: str = "log") -> list[Any]:
        refill = world.replays.read_on(client.subscriber, topic, Position(epoch, 0), 6)
        assert refill is not None
        assert refill.position == Position(epoch, 2)
        return [json.loads(text)[2] for text in frames(refill.chunk)[0]]

    assert (read(first), read(excluded), read(second)) == (["a", "b"], [], ["a", "b"])
    made = len(world.encoded)
    # Newer events do not change what comes before.
    publish(world, "log", "d")
    assert (read(first), read(excluded)) == (["a", "b"], [])
    assert len(world.encoded) == made


def test_a_slice_for_a_few_is_written_for_them(world: World) -> None:
    ann, bob = world.client(identity=Identity("ann")), world.client(identity=Identity("bob"))
    publish(world, "log", "a", audience=Audience(to=Targets(users=frozenset(["ann"]))))
    publish(world, "log", "b", "c")
    epoch = world.history.position("log").epoch  # type: ignore[union-attr]
    for client, values in ((ann, ["a", "b"]), (bob, ["b"]), (ann, ["a", "b"])):
        refill = world.replays.read_on(client.subscriber, "log", Position(epoch, 0), 6)
        assert refill is not None
        assert [json.loads(text)[2] for text in frames(refill.chunk)[0]] == values
        assert refill.position == Position(epoch, 2)


def test_a_slow_client_passes_over_what_it_may_not_see(world: World) -> None:
    client = world.client()
    publish(world, "log", 1, 2, audience=Audience(frozenset([client.id])))
    epoch = world.history.position("log").epoch  # type: ignore[union-attr]
    assert world.replays.read_on(client.subscriber, "log", Position(epoch, 0), 9) == (b"", None)
    first = world.replays.read_on(client.subscriber, "log", Position(epoch, 0), 1)
    assert first == (b"", Position(epoch, 1))
    assert world.replays.read_on(client.subscriber, "log", Position(epoch, 2), 1) == (b"", None)
