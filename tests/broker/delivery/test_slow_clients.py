"""What a client gets that has not taken what was sent before, by the policy of the topic."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.broker.world import Client, World
from wampush.broker.delivery.batch import Batch
from wampush.broker.delivery.catch_up import FOR_NEWCOMERS, Refill
from wampush.broker.delivery.catch_up_turns import CatchUpTurns
from wampush.broker.delivery.slow_clients import SlowClients
from wampush.broker.publication import Position, Publication
from wampush.choices import SlowClient

WIDTH = 40
POLICIES = [each for each in SlowClient if each is not SlowClient.AUTO]


class Rig:
    """The module under test, with a history that a test writes by hand."""

    def __init__(self) -> None:
        self.world = World()
        self.touched: list[Any] = []
        self.batches_ended = 0
        self.dropped: list[tuple[Any, str]] = []
        self.asked: list[tuple[Any, str, Position, int]] = []
        self.refill: Refill | None = Refill(b"", None)
        self.slow = SlowClients(
            self.world.pressure,
            self.world.ledger,
            turns=CatchUpTurns(self.world.turn.append, lambda: self.world.clock.now),
            touch=self.touched.append,
            end_batch=self.end_batch,
        )

    def end_batch(self) -> None:
        self.batches_ended += 1

    def with_history(self) -> Rig:
        self.slow.read_on_by(self.read_on)
        self.slow.call_on_drop(lambda receiver, topic: self.dropped.append((receiver, topic)))
        return self

    def read_on(self, *arguments: Any) -> Refill | None:
        self.asked.append(arguments)
        return self.refill

    def client(self, limit: int = 400, room: int | None = None, waiting: int = 0) -> Client:
        client = self.world.client(limit=limit, room=room)
        if waiting:
            client.outbox.append(b"0" * waiting)
            client.outbox.flush()
        return client

    def batch(self, policy: SlowClient, clients: list[Client], *offsets: int) -> Batch:
        batch = Batch("t", [each.subscriber for each in clients], policy)
        for offset in offsets:
            payload = json.dumps("x" * WIDTH).encode()
            batch.publications.append(Publication("t", payload, position=Position("e", offset)))
        return batch

    def put(self, policy: SlowClient, clients: list[Client], *offsets: int) -> None:
        batch = self.batch(policy, clients, *offsets)
        if policy in (SlowClient.CATCH_UP, SlowClient.DISCONNECT):
            self.slow.put_behind(batch, [each.subscriber for each in clients])
        else:
            self.slow.put_by_policy(batch)


def read_all(client: Client) -> None:
    """Let a client read until nothing waits for it."""
    while client.outbox.blocked and not client.outbox.closed:
        client.outbox.drain(1000)
        client.world.end_turn()


@pytest.fixture
def rig() -> Rig:
    return Rig().with_history()


def test_a_chunk_with_room_is_queued_and_flushed_once(rig: Rig) -> None:
    client = rig.client()
    rig.slow.put(client.outbox, b"1")
    rig.slow.put(client.outbox, b"2")
    assert client.outbox.chunks == [b"1", b"2"]
    assert rig.touched == [client.outbox]


def test_a_client_without_room_is_disconnected_and_gets_nothing_more(rig: Rig) -> None:
    client = rig.client(room=0, waiting=390)
    rig.slow.put(client.outbox, b"x" * 20)
    assert client.outbox.overflows == 1
    rig.slow.put(client.outbox, b"x")
    for policy in POLICIES:
        rig.put(policy, [client], 1)
    assert rig.slow.put_replay(client.subscriber, "t", FOR_NEWCOMERS, b"x")
    assert (client.outbox.overflows, client.outbox.chunks) == (1, [])


def test_disconnect(rig: Rig) -> None:
    clients = [rig.client(room=0, waiting=130) for _ in range(3)]
    rig.put(SlowClient.DISCONNECT, clients, 1)
    paused = [rig.world.pressure.paused]
    rig.put(SlowClient.DISCONNECT, clients, 2)
    paused.append(rig.world.pressure.paused)
    rig.put(SlowClient.DISCONNECT, clients, 3, 4, 5)
    paused.append(rig.world.pressure.paused)
    assert [each.outbox.overflows for each in clients] == [1, 1, 1]
    assert paused == [False, True, False], "there is a pause while most are half full"


def test_drop_newest(rig: Rig) -> None:
    slow, fast = rig.client(room=0, waiting=250), rig.client()
    rig.put(SlowClient.DROP_NEWEST, [slow, fast], 1, 2, 3)
    assert rig.world.ledger.dropped_events == {"drop-newest": 1}
    assert rig.dropped == [(slow.subscriber, "t")]
    assert (len(slow.outbox.chunks), len(fast.outbox.chunks)) == (2, 3)


def test_latest(rig: Rig) -> None:
    slow, fast = rig.client(room=0, waiting=100), rig.client()
    rig.put(SlowClient.LATEST, [slow, fast], 1, 2, 3)
    assert rig.world.ledger.dropped_events == {"latest": 2}
    assert rig.dropped == [(slow.subscriber, "t")] * 2
    assert len(fast.outbox.chunks) == 3
    assert len([each for each in slow.outbox.chunks if each]) == 1
    full = rig.client(room=0, waiting=395)
    full.outbox.append(b"of another topic")
    rig.put(SlowClient.LATEST, [full], 4)
    assert full.outbox.overflows == 1


def test_catch_up(rig: Rig) -> None:
    client = rig.client(room=0, waiting=50)
    rig.put(SlowClient.CATCH_UP, [client], 8)
    is_behind = [client.outbox.catch_up is not None]
    rig.put(SlowClient.CATCH_UP, [client], 9, 10)
    before = list(client.outbox.chunks)
    rig.put(SlowClient.CATCH_UP, [client], 11)
    is_behind.append(client.outbox.catch_up is not None)
    assert client.outbox.chunks == before
    assert is_behind == [False, True]
    rig.refill = Refill(b"late", None)
    read_all(client)
    assert rig.asked == [(client.subscriber, "t", Position("e", 8), 100)]
    assert client.wire.received.endswith(b"late")
    assert rig.batches_ended == 1
    assert rig.world.pressure.pauses == 0


def test_without_events_to_read_on_a_slow_client_is_disconnected(rig: Rig) -> None:
    client = rig.client(room=0, waiting=350)
    rig.refill = None
    rig.put(SlowClient.CATCH_UP, [client], 1)
    read_all(client)
    assert client.outbox.overflows == 1
    bare = Rig()
    client = bare.client(room=0, waiting=350)
    bare.put(SlowClient.CATCH_UP, [client], 1)
    assert client.outbox.overflows == 1
    client = bare.client(room=0, waiting=100)
    bare.slow.read_later(client.subscriber, "t", Position("e", 1))
    read_all(client)
    assert client.outbox.catch_up is None


@pytest.mark.parametrize("policy", POLICIES)
def test_a_replay_that_has_no_room_is_read_later_and_before_newer_events(
    rig: Rig, policy: SlowClient
) -> None:
    client, fresh = rig.client(room=0, waiting=150), rig.client()
    replay = b"r" * 100
    assert rig.slow.put_replay(fresh.subscriber, "t", FOR_NEWCOMERS, replay * 9)
    assert rig.touched == [fresh.outbox]
    assert not rig.slow.put_replay(client.subscriber, "t", FOR_NEWCOMERS, replay)
    before = list(client.outbox.chunks)
    rig.put(policy, [client], 1)
    assert client.outbox.chunks == before
    assert not rig.slow.put_replay(client.subscriber, "t", Position("e", 0), b"")
    rig.refill = Refill(replay, None)
    read_all(client)
    assert [each[2] for each in rig.asked] == [FOR_NEWCOMERS, Position("e", 0)]
    assert client.wire.received.endswith(replay * 2)
    assert client.outbox.overflows == 0


def test_a_replay_with_room_is_queued_behind_what_waits(rig: Rig) -> None:
    client = rig.client(room=0, waiting=50)
    assert rig.slow.put_replay(client.subscriber, "t", FOR_NEWCOMERS, b"r" * 100)
    # Within one turn a queue may be longer than the limit.
    fresh = rig.client()
    for _ in range(10):
        assert rig.slow.put_replay(fresh.subscriber, "t", FOR_NEWCOMERS, b"r" * 100)
    assert fresh.outbox.flushes > 1
    assert not fresh.outbox.closed
