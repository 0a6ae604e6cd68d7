"""Batches, flushes, limits, holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.broker.world import World, encode
from wampush.broker.delivery.backpressure import CROWD_PATIENCE, PATIENCE, Hold
from wampush.broker.delivery.fanout import (
    BATCH_BYTES,
    DIRECT_BYTES,
    DIRECT_RECEIVERS,
    FLUSH_SECONDS,
)
from wampush.broker.delivery.flush_steps import FLUSH_STEP
from wampush.broker.delivery.lone_client import LONE_PATIENCE
from wampush.broker.delivery.push_timer import TIMED_EVERY
from wampush.broker.publication import Position, Publication
from wampush.broker.topic_rules import TopicRule
from wampush.choices import SlowClient


@pytest.fixture(params=[False, True], ids=["one-by-one", "at-once"])
def world(request):
    """With each way to send to many clients."""
    return World(at_once=request.param)


def publish(world, topic, *values):
    for value in values:
        world.broker.publish(Publication(topic, f'"{value}"'.encode()))


def values(client):
    return [text.split(b'"')[3].decode() for text in client.texts]


def test_a_burst_is_encoded_once_and_sent_once(world):
    clients = [world.client("t") for _ in range(5)]
    before = len(world.encoded), [client.outbox.flushes for client in clients]
    publish(world, "t", *"abc")
    assert len(world.turn) == 1
    world.end_turn()
    assert len(world.encoded) - before[0] == 3
    assert [client.outbox.flushes - 1 for client in clients] == before[1]
    assert [values(client) for client in clients] == [list("abc")] * 5


def test_a_source_may_flush_by_itself(world):
    client = world.client("t")
    world.fanout.defer_flush()
    publish(world, "t", *"ab")
    assert world.turn == []
    world.fanout.flush()
    assert values(client) == ["a", "b"]
    publish(world, "t", "c")
    assert len(world.turn) == 1
    world.end_turn()
    assert values(client) == ["a", "b", "c"]


def test_others_may_send_with_the_flush(world):
    client = world.client("t")
    seen = []
    world.fanout.call_at_flush(lambda: seen.append(values(client)))
    world.end_turn()
    assert seen == [[]]
    world.fanout.defer_flush()
    publish(world, "t", "a")
    world.fanout.call_at_flush(lambda: seen.append(values(client)))
    assert world.turn == []
    world.fanout.flush()
    # Before what clients get, and once.
    assert seen == [[], []]
    assert values(client) == ["a"]
    world.fanout.flush()
    assert len(seen) == 2


def test_a_flush_by_a_source_keeps_the_order_of_what_waits(world):
    client, other = world.client("t", "u"), world.client("t")
    publish(world, "u", "first")
    world.fanout.defer_flush()
    publish(world, "t", "second")
    world.fanout.flush()
    assert values(client) == ["first", "second"]
    assert values(other) == ["second"]
    world.end_turn()
    assert values(client) == ["first", "second"]


def test_receivers_share_one_chunk(world):
    clients = [world.client("t") for _ in range(3)]
    publish(world, "t", "a", "b")
    world.fanout.end_batch()
    first, second, third = (client.outbox.chunks for client in clients)
    assert len(first) == 1
    assert first[0] is second[0] is third[0]


def test_each_format_is_encoded_once(world):
    plain = world.client("t")
    packed = [world.client("t", wire_format="v") for _ in range(3)]
    world.encoded.clear()
    publish(world, "t", "a", "b")
    world.end_turn()
    assert len(world.encoded) == 4
    assert [values(client) for client in (plain, *packed)] == [["a", "b"]] * 4
    assert packed[0].wire.received.endswith(encode(b'[8,"t","b"]', "v"))


@pytest.mark.parametrize("topic", ["log", "price"])
def test_each_format_is_encoded_once_under_every_policy(world, topic):
    clients = [world.client(topic, wire_format=each) for each in ("", "", "v", "v", "w")]
    world.encoded.clear()
    publish(world, topic, "a", "b")
    world.end_turn()
    assert len(world.encoded) == 6
    assert [values(client) for client in clients] == [["a", "b"]] * 5


def test_a_long_batch_is_cut(world):
    client = world.client("t", limit=10 * BATCH_BYTES)
    for number in range(30):
        publish(world, "t", f"{number}:" + "x" * (BATCH_BYTES // 10))
    world.fanout.end_batch()
    assert len(client.outbox.chunks) > 1
    assert max(map(len, client.outbox.chunks)) < BATCH_BYTES * 1.2
    world.end_turn()
    assert [value.partition(":")[0] for value in values(client)] == [str(n) for n in range(30)]


class SlowSends:
    """A clock that each look at advances by the time of a step of sends."""

    now = 0.0

    def __call__(self) -> float:
        self.now += FLUSH_SECONDS * 0.6
        return self.now


def turns(world) -> Iterator[None]:
    """Run what is scheduled, turn by turn."""
    while world.turn:
        for call in [world.turn.pop(0) for _ in range(len(world.turn))]:
            call()
        yield


@pytest.fixture(params=[False, True], ids=["one-by-one", "at-once"])
def slow_world(request):
    world = World(at_once=request.param)
    world.fanout._seconds = SlowSends()
    return world


def reached(clients) -> int:
    return sum(1 for client in clients if client.texts)


def test_flushing_many_takes_several_turns(slow_world):
    clients = [slow_world.client("t") for _ in range(DIRECT_RECEIVERS + 1)]
    slow_world.fanout.flush_all()
    publish(slow_world, "t", "a")
    counts = [reached(clients) for _ in turns(slow_world)]
    assert counts[0] < 4 * FLUSH_STEP
    assert counts == sorted(set(counts))
    assert counts[-1] == len(clients)
    assert not slow_world.pressure.paused, "publications to others go on"
    assert all(values(client) == ["a"] for client in clients)


def test_who_has_waited_longest_comes_first(slow_world):
    early, late = (
        [slow_world.client(topic) for _ in range(DIRECT_RECEIVERS + 1)] for topic in ("t", "u")
    )
    slow_world.fanout.flush_all()
    publish(slow_world, "t", "a")
    flushing = turns(slow_world)
    next(flushing)
    publish(slow_world, "u", "b")
    shares = []
    for _ in flushing:
        for clients in (early, late):
            assert all(client.texts for client in clients[: reached(clients)])
        shares.append((reached(early), reached(late)))
    assert shares[-1] == (len(early), len(late))
    first_of_late = shares[0][1]
    assert all(late == first_of_late for early_done, late in shares if early_done < len(early))


def test_large_events_are_not_sent_to_all_at_once(slow_world):
    clients = [slow_world.client("t", limit=2 * DIRECT_BYTES) for _ in range(3 * FLUSH_STEP)]
    slow_world.fanout.flush_all()
    publish(slow_world, "t", "x" * (DIRECT_BYTES // len(clients) + 1))
    counts = [reached(clients) for _ in turns(slow_world)]
    assert counts[0] < len(clients)
    assert counts[-1] == len(clients)


def test_a_quiet_topic_overtakes_a_flush_that_goes_on(slow_world):
    clients = [slow_world.client("t") for _ in range(DIRECT_RECEIVERS + 1)]
    quiet = slow_world.client("quiet")
    slow_world.fanout.flush_all()
    publish(slow_world, "t", "a")
    steps = turns(slow_world)
    next(steps)
    publish(slow_world, "quiet", "q")
    next(steps)
    assert values(quiet) == ["q"]
    assert reached(clients) < len(clients)
    for _ in steps:
        pass
    assert reached(clients) == len(clients)


def test_a_quiet_topic_is_flushed_before_a_crowded_one_of_the_same_turn(slow_world):
    clients = [slow_world.client("t") for _ in range(DIRECT_RECEIVERS + 1)]
    quiet = slow_world.client("quiet")
    slow_world.fanout.flush_all()
    publish(slow_world, "t", "a")
    publish(slow_world, "quiet", "q")
    publish(slow_world, "t", "b")
    next(turns(slow_world))
    assert values(quiet) == ["q"]
    assert reached(clients) < len(clients)
    slow_world.fanout.flush_all()
    assert [values(client) for client in clients] == [["a", "b"]] * len(clients)


def test_the_clock_is_looked_at_after_each_large_send(slow_world):
    clients = [slow_world.client("t", limit=8 * DIRECT_BYTES) for _ in range(FLUSH_STEP)]
    slow_world.fanout.flush_all()
    publish(slow_world, "t", "x" * (DIRECT_BYTES // len(clients) + 1))
    next(turns(slow_world))
    assert reached(clients) == 2


@pytest.mark.parametrize("policy", list(SlowClient))
def test_who_publishes_faster_than_flushes_waits(policy):
    world = World(rules=[TopicRule("t", slow_client=policy)])
    world.fanout._seconds = SlowSends()
    clients = [world.client("t") for _ in range(DIRECT_RECEIVERS + 1)]
    world.fanout.flush_all()
    publish(world, "t", "a")
    steps = turns(world)
    next(steps)
    held = [world.pressure.paused]
    publish(world, "t", "b")
    next(steps)
    held.append(world.pressure.paused)
    for _ in steps:
        pass
    held.append(world.pressure.paused)
    assert held == [False, True, False]
    assert all(values(client) == ["a", "b"] for client in clients)


def test_flush_all(slow_world):
    clients = [slow_world.client("t") for _ in range(DIRECT_RECEIVERS + 5)]
    publish(slow_world, "t", "a")
    slow_world.fanout.flush_all()
    assert all(values(client) == ["a"] for client in clients)
    assert not slow_world.pressure.paused


def test_an_outbox_waits_for_its_flush_once(world):
    client = world.client(limit=100_000)
    for _ in range(100):
        world.fanout.reply(client.outbox, b"reply")
    assert world.fanout._touched == [client.outbox]
    assert len(world.turn) == 1
    before = client.outbox.flushes
    world.end_turn()
    assert client.outbox.flushes == before + 1


def test_a_reply_after_a_batch_is_sent_after_it(world):
    client = world.client("t")
    publish(world, "t", "a")
    world.fanout.reply(client.outbox, b"reply")
    publish(world, "t", "b")
    world.fanout.send(client.outbox, encode(b"raw"))
    world.end_turn()
    assert client.texts == [b'[8,"t","a"]', b"reply", b'[8,"t","b"]', b"raw"]


@pytest.mark.parametrize("buffered", [False, True])
def test_a_slow_client_is_dropped_and_the_others_get_everything(world, buffered):
    slow = world.client("t", limit=200, room=0, buffered=buffered)
    others = [world.client("t", limit=200) for _ in range(2)]
    sent: list[str] = []
    while not slow.outbox.closed:
        sent.append("x" * 60 + str(len(sent)))
        publish(world, "t", sent[-1])
        world.end_turn()
        assert len(sent) < 10
    assert slow.outbox.overflows == 1
    assert (slow.outbox.chunks, world.pressure.total) == ([], 0)
    publish(world, "t", "after")
    world.end_turn()
    assert slow.outbox.overflows == 1
    assert [values(other) for other in others] == [[*sent, "after"]] * 2
    assert not world.pressure.paused


def test_many_large_replies_do_not_wait_for_the_end_of_the_turn(world):
    client = world.client(limit=2**22, room=0)
    for _ in range(10):
        world.fanout.reply(client.outbox, b"x" * 60_000)
    assert client.outbox.blocked
    assert world.pressure.total > 600_000, "they count before the turn has ended"
    world.end_turn()


def test_a_reply_for_which_there_is_no_room_ends_the_connection(world):
    client = world.client(limit=100, room=0)
    for _ in range(3):
        world.fanout.reply(client.outbox, b"x" * 60)
        world.end_turn()
    assert client.outbox.overflows == 1
    assert world.pressure.total == 0


def test_one_event_larger_than_the_limit_passes(world):
    client = world.client("t", limit=100)
    for number in range(3):
        publish(world, "t", f"{number}" + "x" * 500)
    world.end_turn()
    assert len(values(client)) == 3
    publish(world, "t", "x" * 500)
    world.fanout.reply(client.outbox, b"reply")
    world.end_turn()
    assert client.texts[-1] == b"reply"


@pytest.mark.parametrize("buffered", [False, True])
def test_drop_newest(world, buffered):
    client = world.client("log", limit=200, room=0, buffered=buffered)
    publish(world, "log", "a" * 70)
    world.end_turn()
    publish(world, "log", "b" * 70, "c" * 70, "d" * 70)
    publish(world, "log", "e")
    world.end_turn()
    assert not client.outbox.closed
    assert world.ledger.dropped_events == {"drop-newest": 2}
    client.wire.room = None
    client.outbox.drain(1000)
    publish(world, "log", "f")
    world.end_turn()
    assert [value[0] for value in values(client)] == ["a", "b", "e", "f"]


@pytest.mark.parametrize("buffered", [False, True])
def test_latest(world, buffered):
    client = world.client("price:x", "price:y", "t", limit=400, room=0, buffered=buffered)
    publish(world, "t", "a" * 70)
    world.end_turn()
    for number in range(50):
        publish(world, "price:x", f"x{number}")
        publish(world, "price:y", f"y{number}")
        if number == 25:
            publish(world, "t", "b")
    world.end_turn()
    assert world.ledger.dropped_events == {"latest": 98}
    client.wire.room = None
    client.outbox.drain(1000)
    world.end_turn()
    assert values(client)[1:] == ["b", "x49", "y49"]
    assert world.pressure.total == 0


@pytest.mark.parametrize("buffered", [False, True])
def test_latest_keeps_the_newest_also_when_the_wire_stuffs_in_mid_turn(world, buffered):
    client = world.client("price", limit=200, room=0, buffered=buffered)
    publish(world, "price", *(letter * 70 for letter in "abcdef"))
    world.end_turn()
    client.wire.room = None
    client.outbox.drain(10_000)
    world.end_turn()
    got = [value[0] for value in values(client)]
    assert got[-1] == "f"
    assert world.ledger.dropped_events == {"latest": 6 - len(got)}


def test_latest_of_large_events_stays_within_the_limit_and_one_chunk(world):
    client = world.client("price", limit=200, room=0)
    publish(world, "price", "a" * 150)
    world.end_turn()
    for number in range(5):
        publish(world, "price", f"{number}" + "b" * 150)
        world.end_turn()
    assert not client.outbox.closed
    client.wire.room = None
    client.outbox.drain(10_000)
    assert [value[0] for value in values(client)] == ["a", "4"]


def test_latest_of_too_many_topics_ends_the_connection(world):
    topics = [f"price:{number}" for number in range(50)]
    client = world.client(*topics, limit=300, room=0)
    other = world.client(*topics, limit=300)
    for topic in topics:
        publish(world, topic, "x" * 30)
        world.end_turn()
        assert client.outbox.closed or client.outbox.queued <= 300 + 50
    assert client.outbox.overflows == 1
    assert world.pressure.total == 0
    assert len(values(other)) == 50


@pytest.mark.parametrize("topic", ["log", "price"])
def test_what_a_dead_client_misses_is_no_dropped_event(world, topic):
    client = world.client(topic, limit=100)
    client.wire.dead = True
    publish(world, topic, *(letter * 70 for letter in "abcd"))
    world.end_turn()
    publish(world, topic, "e")
    world.end_turn()
    assert client.outbox.closed
    assert not world.ledger.dropped_events


@pytest.mark.parametrize("topic", ["t", "log", "price"])
def test_a_client_that_dies_does_not_hurt_the_others(world, topic):
    clients = [world.client(topic, limit=100) for _ in range(3)]
    publish(world, topic, "a" * 70)
    clients[1].wire.dead = True
    publish(world, topic, "b" * 70)
    world.fanout.reply(clients[1].outbox, b"reply")
    world.end_turn()
    publish(world, topic, "c")
    world.end_turn()
    assert (clients[1].outbox.closed, clients[1].outbox.overflows) == (True, 0)
    for client in (clients[0], clients[2]):
        assert [value[0] for value in values(client)] == ["a", "b", "c"]
    assert world.pressure.total == 0


def crowded(world, count, room=0):
    """Clients of which each has more than half of its limit waiting."""
    clients = [world.client("t", limit=400, room=room) for _ in range(count)]
    publish(world, "t", "x" * 150)
    world.end_turn()
    return clients


def test_a_crowd_of_slow_receivers_holds_the_sources(world):
    clients = crowded(world, 3)
    assert not world.pressure.paused
    publish(world, "t", "y" * 60)
    world.end_turn()
    assert world.pressure.paused
    for client in clients:
        assert world.pressure.paused
        client.wire.room = None
        client.outbox.drain(1000)
    assert not world.pressure.paused
    assert world.clock.pending == []


def test_one_receiver_alone_that_reads_nothing_holds_the_sources_for_a_moment_only(world):
    (client,) = crowded(world, 1)
    for _ in range(2):
        publish(world, "t", "y" * 60)
        world.end_turn()
    assert client.outbox.queued > 200
    world.clock.advance(0)
    world.clock.advance(LONE_PATIENCE)
    assert (world.pressure.paused, client.outbox.stalled) == (False, True)
    while not client.outbox.closed:
        publish(world, "t", "z" * 60)
        world.end_turn()
        assert not world.pressure.paused
    assert world.pressure.pauses == 1


def test_half_of_the_receivers_are_no_crowd(world):
    clients = crowded(world, 2)
    for client in (world.client("t"), world.client("t")):
        assert not client.outbox.blocked
    publish(world, "t", "y" * 60)
    world.end_turn()
    assert all(client.outbox.queued > 200 for client in clients)
    assert not world.pressure.paused


def test_a_crowd_that_ends_holds_nobody(world):
    clients = crowded(world, 3)
    publish(world, "t", "y" * 60)
    world.end_turn()
    for client in clients:
        assert world.pressure.paused
        world.broker.on_lost(client.subscriber)
    assert not world.pressure.paused


def test_the_stalled_hold_nobody_up_twice_and_are_dropped_when_full(world):
    clients = crowded(world, 3)
    publish(world, "t", "y" * 60)
    world.end_turn()
    world.clock.advance(PATIENCE)
    assert not world.pressure.paused
    assert all(client.outbox.stalled for client in clients)
    while not clients[0].outbox.closed:
        publish(world, "t", "z" * 60)
        world.end_turn()
        assert not world.pressure.paused
    assert [client.outbox.overflows for client in clients] == [1, 1, 1]
    assert world.pressure.total == 0


def test_who_has_caught_up_counts_again(world):
    clients = crowded(world, 2)
    publish(world, "t", "y" * 60)
    world.end_turn()
    world.clock.advance(CROWD_PATIENCE)
    assert clients[0].outbox.stalled
    clients[0].outbox.drain(clients[0].outbox.queued)
    assert not clients[0].outbox.blocked
    assert not clients[0].outbox.stalled


def test_total_holds_and_the_dead_are_dropped():
    world = World(total=500)
    clients = [world.client("t", limit=400, room=0) for _ in range(3)]
    publish(world, "t", "x" * 180)
    world.end_turn()
    assert (world.pressure.paused, world.pressure.pauses) == (True, 1)
    clients[0].outbox.drain(200)
    assert world.pressure.paused is (world.pressure.total > 485)
    if world.pressure.paused:
        world.clock.advance(PATIENCE)
    assert not world.pressure.paused


def test_only_the_dead_are_dropped():
    world = World(total=250)
    dead, alive = (world.client("t", limit=400, room=0) for _ in range(2))
    publish(world, "t", "x" * 180)
    world.end_turn()
    publish(world, "t", "y" * 30)
    world.end_turn()
    assert world.pressure.pauses >= 1
    alive.outbox.drain(197)
    assert alive.outbox.blocked
    world.clock.advance(PATIENCE)
    assert (dead.outbox.closed, alive.outbox.closed) == (True, False)
    assert dead.outbox.overflows == 1
    assert not world.pressure.paused
    assert world.pressure.total == alive.outbox.queued
    alive.wire.room = None
    alive.outbox.drain(1000)
    assert [value[0] for value in values(alive)] == ["x", "y"]
    assert world.pressure.total == 0


def test_a_free_client_is_never_counted(world):
    clients = [world.client("t", limit=100) for _ in range(3)]
    for _ in range(5):
        publish(world, "t", "x" * 90)
    assert world.pressure.total == 0
    world.end_turn()
    assert world.pressure.total == 0
    assert all(len(values(client)) == 5 for client in clients)


def test_the_policies_are_those_of_the_settings():
    values = [policy.value for policy in SlowClient]
    assert values == ["auto", "disconnect", "drop-newest", "latest", "catch-up"]
    assert [hold.value for hold in Hold] == [
        "flushing",
        "total",
        "crowd",
        "storing",
        "handing over",
        "taking over",
        "backplane",
        "shared store",
    ]


def test_an_event_for_one_client_is_sent_in_order(world):
    client, other = world.client("t"), world.client("t")
    publish(world, "t", "a")
    world.fanout.send_event(client.outbox, "u", b'"b"', Position("e", 1))
    publish(world, "t", "c")
    world.end_turn()
    assert client.texts == [b'[8,"t","a"]', b'[8,"u","b","e",1]', b'[8,"t","c"]']
    assert values(other) == ["a", "c"]


# How long pushes take


@pytest.fixture
def timed(world):
    """A world whose fan-out has the clock of the test."""
    world.clock.now = 100.0
    world.fanout._seconds = lambda: world.clock.now
    return world


def flush_after(world, seconds):
    world.clock.now += seconds
    world.fanout.flush()


def times(world):
    """How many pushes there were, and how long they took together."""
    return world.fanout.push_timer.durations.count, pytest.approx(
        world.fanout.push_timer.durations.total
    )


def test_pushes_are_timed_from_their_arrival_to_the_flush(timed):
    timed.client("t")
    timed.fanout.defer_flush(99.5)
    publish(timed, "t", *"abc")
    flush_after(timed, 0.25)
    assert times(timed) == (3, 2.25)
    publish(timed, "t", "a publication of a client")
    flush_after(timed, 1)
    assert times(timed) == (3, 2.25)


def test_pushes_without_receivers_are_not_timed_nor_count_later(timed):
    timed.client("t")
    timed.fanout.note_pushes()
    publish(timed, "nobody", "a")
    assert len(timed.turn) == 1
    timed.end_turn()
    publish(timed, "t", "a publication of a client")
    flush_after(timed, 5)
    assert times(timed) == (0, 0)


def test_the_oldest_push_of_a_turn_counts(timed):
    timed.client("t")
    timed.fanout.note_pushes()
    publish(timed, "t", "a")
    timed.fanout.note_pushes(98.0)
    timed.fanout.note_pushes(99.0)
    timed.fanout.note_pushes()
    timed.fanout.defer_flush(99.0)
    publish(timed, "t", "b")
    flush_after(timed, 0.5)
    assert times(timed) == (2, 5.0)


def test_sources_that_read_in_every_turn_are_timed_now_and_then(timed):
    timed.client("t")
    for _ in range(10):
        timed.fanout.defer_flush(timed.clock.now)
        publish(timed, "t", "a")
        flush_after(timed, TIMED_EVERY * 0.3)
    assert timed.fanout.push_timer.durations.count == 3
    timed.clock.now += TIMED_EVERY
    timed.fanout.defer_flush(timed.clock.now)
    publish(timed, "t", "a")
    timed.fanout.flush()
    assert timed.fanout.push_timer.durations.count == 4
