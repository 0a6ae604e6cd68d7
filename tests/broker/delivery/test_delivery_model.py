"""Whatever the interleaving: order, whole frames, limits, counts and accounts."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.broker.world import Client, World, frames
from wampush.broker.publication import Audience, Publication

LIMIT = 300
TOTAL = 700
TOPICS = ("news", "other", "log:a", "log:b", "price:a", "price:b", "price:c")
POLICY = {"log": "drop-newest", "price": "latest"}

topics = st.sampled_from(TOPICS)


def policy(topic: str) -> str:
    """What may be missing of a topic's events; "" when nothing may."""
    return POLICY.get(topic.partition(":")[0], "")


class Delivery(RuleBasedStateMachine):
    """What each client is to get is noted at once and compared with what its wire carried."""

    clients: Any = Bundle("clients")
    at_once = False

    def __init__(self) -> None:
        super().__init__()
        self.world = World(total=TOTAL, at_once=self.at_once)
        self.everybody: list[Client] = []
        self.living: list[Client] = []
        # Number and topic ("" for a reply) of all that was queued for a client, in order.
        self.expected: dict[str, list[tuple[int, str]]] = {}
        self.number = 0

    def queued(self, client: Client, topic: str) -> None:
        self.expected[client.id].append((self.number, topic))

    @rule(
        target=clients,
        room=st.none() | st.integers(0, 200),
        buffered=st.booleans(),
        wire_format=st.sampled_from(["", "", "v"]),
        mine=st.lists(topics, unique=True),
    )
    def connects(self, room, buffered, wire_format, mine):
        client = self.world.client(
            limit=LIMIT, room=room, buffered=buffered, wire_format=wire_format
        )
        self.everybody.append(client)
        self.living.append(client)
        self.expected[client.id] = []
        for topic in mine:
            self.world.says(client, f'[5,"{topic}"]')
        return client

    def publish(self, topic: str, size: int, excluded: Client | None = None) -> None:
        self.number += 1
        audience = Audience(frozenset([excluded.id] if excluded else []))
        payload = json.dumps([self.number, "x" * size]).encode()
        for client in self.living:
            if client is not excluded and topic in self.world.subscriptions.topics(
                client.subscriber
            ):
                self.queued(client, topic)
        self.world.broker.publish(Publication(topic, payload, audience))

    @rule(topic=topics, sizes=st.lists(st.integers(0, 90), min_size=1, max_size=6))
    def pushes(self, topic, sizes):
        for size in sizes:
            self.publish(topic, size)

    @rule(topic=topics)
    def pushes_more_than_the_limit(self, topic):
        self.publish(topic, LIMIT + 50)

    @rule(topic=topics, client=clients)
    def pushes_to_all_but_one(self, topic, client):
        self.publish(topic, 20, client)

    @rule(client=clients)
    def calls(self, client):
        self.number += 1
        self.queued(client, "")
        self.world.says(client, f'[2,"{self.number}","f"]')

    @rule(client=clients, topic=topics)
    def subscribes(self, client, topic):
        self.world.says(client, f'[5,"{topic}"]')

    @rule(client=clients, topic=topics)
    def unsubscribes(self, client, topic):
        self.world.says(client, f'[6,"{topic}"]')

    @rule()
    def turn_ends(self):
        self.world.end_turn()

    @rule(client=clients, size=st.integers(1, 400))
    def reads(self, client, size):
        client.outbox.drain(size)

    @rule(client=clients, room=st.none() | st.integers(0, 200))
    def wire_changes(self, client, room):
        client.wire.room = room

    @rule(client=clients)
    def wire_dies(self, client):
        client.wire.dead = True

    @rule(client=consumes(clients))
    def is_lost(self, client):
        self.world.broker.on_lost(client.subscriber)
        self.living.remove(client)

    @rule(seconds=st.sampled_from([0.4, 1.0]))
    def time_passes(self, seconds):
        self.world.clock.advance(seconds)

    @invariant()
    def accounts_are_right(self):
        total = 0
        for client in self.everybody:
            outbox = client.outbox
            if outbox.closed:
                assert not outbox.chunks
                continue
            assert outbox.queued == outbox.in_flight + sum(map(len, outbox.chunks))
            if outbox.blocked:
                total += outbox.queued
                assert outbox.queued <= LIMIT or len(list(filter(None, outbox.chunks))) <= 1
        assert self.world.pressure.total == total

    def seen(self, client: Client) -> list[tuple[int, str]]:
        """Number and topic of all that the client got; the rest of a broken last frame is not."""
        texts, rest = frames(bytes(client.wire.received))
        if not client.outbox.closed and not client.outbox.blocked:
            assert not rest
        got = []
        for text in texts[1:]:
            kind, topic, *more = json.loads(text)
            got.append((more[0][0], topic) if kind == 8 else (int(topic), ""))
        return got

    @invariant()
    def order_is_kept(self):
        for client in self.everybody:
            seen, expected = self.seen(client), self.expected[client.id]
            numbers = [number for number, _ in seen]
            assert numbers == sorted(set(numbers))
            assert set(seen) <= set(expected)
            whole = [each for each in expected if not policy(each[1])]
            mine = [each for each in seen if not policy(each[1])]
            assert mine == whole[: len(mine)]

    def teardown(self):
        world = self.world
        world.end_turn()
        survivors = [client for client in self.living if not client.outbox.closed]
        for client in survivors:
            client.wire.room = None
            client.outbox.drain(1_000_000)
        world.end_turn()
        self.accounts_are_right()
        self.order_is_kept()
        assert world.pressure.total == 0
        assert not world.pressure.paused
        assert world.clock.pending == []
        missed: Counter[str] = Counter()
        for client in survivors:
            if client.outbox.closed:
                continue
            self.is_complete(client)
            missing = set(self.expected[client.id]) - set(self.seen(client))
            missed.update(policy(topic) for _, topic in missing)
        dropped = world.ledger.dropped_events
        if all(not client.outbox.closed for client in self.everybody):
            assert dropped == missed
        assert missed <= dropped
        for client in self.living:
            world.broker.on_lost(client.subscriber)
        assert (world.subscriptions.topic_count, world.broker.sessions) == (0, {})

    def is_complete(self, client: Client) -> None:
        """A client that was not dropped has everything but what its topics' rules leave out."""
        seen, expected = self.seen(client), self.expected[client.id]
        assert client.outbox.queued == 0
        missing = [each for each in expected if each not in set(seen)]
        assert all(policy(topic) for _, topic in missing)
        for topic in TOPICS:
            if policy(topic) == "latest":
                mine = [number for number, name in expected if name == topic]
                got = [number for number, name in seen if name == topic]
                assert got[-1:] == mine[-1:]


Delivery.TestCase.settings = settings(
    database=None, deadline=None, max_examples=100, stateful_step_count=40
)
TestDelivery = Delivery.TestCase


class DeliveryAtOnce(Delivery):
    """The same where one call sends to many clients."""

    at_once = True


DeliveryAtOnce.TestCase.settings = Delivery.TestCase.settings
TestDeliveryAtOnce = DeliveryAtOnce.TestCase
