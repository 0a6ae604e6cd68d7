"""Whatever the interleaving: slow clients get each event of topics with history, once, in order."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.broker.world import Client, World, frames
from wampush.broker.history.rule import HistoryRule
from wampush.broker.identity import Identity
from wampush.broker.publication import EVERYONE, Audience, Position, Publication, Targets
from wampush.broker.topic_rules import TopicRule
from wampush.choices import SlowClient

LIMIT = 1600
WINDOW = 20
#: More than a frame takes besides the text in its payload.
OVERHEAD = 70
TOPICS = ("a", "b", "log")
HISTORY = (("big", HistoryRule(events=1)), ("log", None), ("*", HistoryRule(events=WINDOW)))
RULES = (TopicRule("log", SlowClient.DROP_NEWEST), TopicRule("*", SlowClient.CATCH_UP))
#: Enough for two full windows, but not for them and what evicts.
HISTORY_BYTES = 22_000

topics = st.sampled_from(TOPICS)


@dataclass
class Heard:
    """What a client is to get of a topic: one list of numbers for each subscription."""

    periods: list[list[tuple[int, Position | None]]] = field(default_factory=list)


class CatchingUp(RuleBasedStateMachine):
    """What each client is to get is noted at once and compared with what its wire carried."""

    clients: Any = Bundle("clients")
    at_once = False

    def __init__(self) -> None:
        super().__init__()
        self.world = World(
            history=HISTORY, history_bytes=HISTORY_BYTES, rules=RULES, at_once=self.at_once
        )
        self.everybody: list[Client] = []
        self.living: list[Client] = []
        self.expected: dict[tuple[str, str], Heard] = {}
        self.number = 0
        self.in_turn = 0

    def end_turn(self) -> None:
        """Let a turn end, so that what it has published is in the queues."""
        self.world.end_turn()
        self.in_turn = 0

    @rule(
        target=clients,
        room=st.sampled_from([0, 0, 100, 300, None]),
        buffered=st.booleans(),
        wire_format=st.sampled_from(["", "", "v"]),
        user=st.sampled_from(["ann", "bob"]),
        mine=st.lists(topics, unique=True, min_size=2),
    )
    def connects(self, room, buffered, wire_format, user, mine):
        client = self.world.client(
            limit=LIMIT,
            room=room,
            buffered=buffered,
            wire_format=wire_format,
            identity=Identity(user),
        )
        self.everybody.append(client)
        self.living.append(client)
        for topic in TOPICS:
            self.expected[client.id, topic] = Heard()
        for topic in mine:
            self.subscribes(client, topic)
        return client

    @rule(client=clients, topic=topics)
    def subscribes(self, client, topic):
        if client.outbox.closed:
            return
        if topic not in self.world.subscriptions.topics(client.subscriber):
            self.expected[client.id, topic].periods.append([])
        self.world.says(client, f'[5,"{topic}"]')

    @rule(client=clients, topic=topics)
    def unsubscribes(self, client, topic):
        if not client.outbox.closed:
            self.world.says(client, f'[6,"{topic}"]')

    def publish(self, topic: str, size: int, audience: Audience, kept_from: set[str]) -> None:
        # What a turn publishes is one chunk, and one alone may be longer than the limit.
        self.in_turn += size + OVERHEAD
        if self.in_turn > LIMIT:
            self.end_turn()
        self.number += 1
        payload = json.dumps([self.number, "x" * size]).encode()
        self.world.broker.publish(Publication(topic, payload, audience))
        position = self.world.history.position(topic)
        for client in self.living:
            hears = topic in self.world.subscriptions.topics(client.subscriber)
            if hears and client.id not in kept_from:
                periods = self.expected[client.id, topic].periods
                periods[-1].append((self.number, position))

    @rule(topic=topics, sizes=st.lists(st.integers(0, 150), min_size=1, max_size=9))
    def pushes(self, topic, sizes):
        for size in sizes:
            self.publish(topic, size, EVERYONE, set())

    @rule(topic=topics, user=st.sampled_from(["ann", "bob"]), size=st.integers(0, 150))
    def pushes_to_a_user(self, topic, user, size):
        others = {each.id for each in self.living if each.subscriber.identity.user != user}
        audience = Audience(to=Targets(users=frozenset([user])))
        self.publish(topic, size, audience, others)

    @rule(topic=topics, client=clients, size=st.integers(0, 150))
    def pushes_to_all_but_one(self, topic, client, size):
        self.publish(topic, size, Audience(frozenset([client.id])), {client.id})

    @rule()
    def evicts(self):
        self.world.broker.publish(Publication("big", b'"' + b"x" * (HISTORY_BYTES - 3000) + b'"'))

    @rule(client=clients)
    def is_answered(self, client):
        self.world.fanout.end_batch()
        # A reply for which there is no room ends the connection, whatever the topics' policies.
        if client.outbox.queued + OVERHEAD <= LIMIT:
            self.world.fanout.reply(client.outbox, b"[3]")

    @rule()
    def turn_ends(self):
        self.end_turn()

    @rule(topic=topics, count=st.integers(1, 8))
    def turns_with_an_event_pass(self, topic, count):
        for _ in range(count):
            self.publish(topic, 60, EVERYONE, set())
            self.end_turn()

    @rule(client=clients, size=st.integers(50, 1000))
    def reads(self, client, size):
        client.outbox.drain(size)

    @rule(client=clients, room=st.sampled_from([0, 0, 100, 300, None]))
    def wire_changes(self, client, room):
        client.wire.room = room

    @rule(client=consumes(clients))
    def is_lost(self, client):
        self.world.broker.on_lost(client.subscriber)
        self.living.remove(client)

    @invariant()
    def slow_clients_keep_little(self):
        total = 0
        for client in self.everybody:
            outbox = client.outbox
            if outbox.closed:
                assert outbox.catch_up is None
                continue
            assert outbox.queued == outbox.in_flight + sum(map(len, outbox.chunks))
            if outbox.blocked:
                total += outbox.queued
            # Whoever is behind must have something to wait for.
            assert outbox.catch_up is None or (outbox.blocked and outbox.queued)
            assert outbox.queued <= LIMIT
        assert self.world.pressure.total == total
        assert not self.world.pressure.paused

    def got(self, client: Client, topic: str) -> list[int]:
        texts, _ = frames(bytes(client.wire.received))
        events = [json.loads(text) for text in texts if text.startswith(b"[8,")]
        return [event[2][0] for event in events if event[1] == topic]

    @invariant()
    def nothing_is_missing_between(self):
        for client in self.everybody:
            for topic in ("a", "b"):
                left = self.got(client, topic)
                for period in self.expected[client.id, topic].periods:
                    numbers = [number for number, _ in period]
                    mine = [number for number in left if number in set(numbers)]
                    assert mine == numbers[: len(mine)]
                    assert left[: len(mine)] == mine
                    left = left[len(mine) :]
                assert left == []

    def is_gone(self, topic: str, position: Position | None) -> bool:
        assert position is not None
        log = self.world.history.log(topic)
        if log is None or log.epoch != position.epoch or not log.events:
            return True
        return log.events[0].offset > position.offset

    def teardown(self):
        world = self.world
        world.end_turn()
        for client in self.living:
            client.wire.room = None
            client.outbox.drain(1_000_000)
        world.end_turn()
        self.slow_clients_keep_little()
        self.nothing_is_missing_between()
        assert world.pressure.total == 0
        for client in self.living:
            missing = []
            for topic in ("a", "b"):
                got = set(self.got(client, topic))
                if topic in world.subscriptions.topics(client.subscriber):
                    last = self.expected[client.id, topic].periods[-1]
                    missing += [(topic, at) for number, at in last if number not in got]
            if client.outbox.closed:
                # It has fallen out of the window, and for no other reason.
                assert client.outbox.overflows == 1
                assert any(self.is_gone(topic, at) for topic, at in missing)
            else:
                assert missing == []
                assert client.outbox.catch_up is None
                assert client.outbox.queued == 0


CatchingUp.TestCase.settings = settings(
    database=None, deadline=None, max_examples=100, stateful_step_count=50
)
TestCatchingUp = CatchingUp.TestCase


class CatchingUpAtOnce(CatchingUp):
    """The same where one call sends to many clients."""

    at_once = True


CatchingUpAtOnce.TestCase.settings = CatchingUp.TestCase.settings
TestCatchingUpAtOnce = CatchingUpAtOnce.TestCase
