"""Mirrors: what nodes that share a store deliver, whatever becomes of the link and the store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.broker.mirrors.mirror_world import SharedWorld, events
from wampush.broker.history.rule import HistoryRule
from wampush.broker.mirrors.contract import Entry, Unreadable
from wampush.broker.mirrors.idle_topics import LINGER
from wampush.broker.mirrors.mirrors import PATIENCE, RETRY
from wampush.broker.publication import Position, Publication


def test_all_nodes_deliver_in_the_order_of_the_store(shared: SharedWorld) -> None:
    first, second = shared.node(), shared.node()
    here, there = first.client("log"), second.client("log")
    for number in range(6):
        (first if number % 2 else second).publish("log", b"%d" % number)
    expected = [(number + 1, b"%d" % number) for number in range(6)]
    assert events(here, "log") == events(there, "log") == expected


def test_new_subscribers_get_what_the_topic_keeps_at_any_node(shared: SharedWorld) -> None:
    first, second = shared.node(), shared.node()
    first.publish("state", b"1", b"2")
    first.publish("news", b"1", b"2", b"3")
    first.publish("table", b'{"id":1}', b'{"id":2}', b'{"id":1,"gone":true}', b'{"id":3}')
    client = second.client("state", "news", "table")
    assert events(client, "state") == [(2, b"2")]
    assert events(client, "news") == [(2, b"2"), (3, b"3")]
    assert events(client, "table") == [(2, b'{"id":2}'), (4, b'{"id":3}')]
    # The second one finds everything here.
    reads = shared.store.read
    shared.store.read = None  # type: ignore[assignment]
    assert events(second.client("news"), "news") == [(2, b"2"), (3, b"3")]
    shared.store.read = reads  # type: ignore[method-assign]


def test_events_that_come_while_a_topic_is_read_are_neither_lost_nor_doubled(
    shared: SharedWorld,
) -> None:
    first, second = shared.node(), shared.node()
    shared.store.slice_rows = 3
    first.publish("long", *[b"%d" % number for number in range(20)])
    client = second.world.client(wire_format="positions", limit=100_000)
    second.world.says(client, '[5,"long"]')
    for number in range(20, 40):
        shared.clock.advance(0.001)
        first.publish("long", b"%d" % number)
    shared.settle()
    # New subscribers of this topic get nothing, so those from the subscription on must be there.
    got = events(client, "long")
    assert got == [(offset, b"%d" % (offset - 1)) for offset in range(got[0][0], 41)]
    log = second.world.history.log("long")
    assert log is not None
    assert [each.offset for each in log.events] == list(range(1, 41))


def test_an_event_that_comes_twice_is_delivered_once(shared: SharedWorld) -> None:
    node = shared.node()
    client = node.client("log")
    distribute = shared.bus.distribute

    def twice(channel: str, message: bytes) -> int:
        distribute(channel, message)
        return distribute(channel, message)

    shared.bus.distribute = twice  # type: ignore[method-assign]
    node.publish("log", b"1", b"2")
    assert events(client, "log") == [(1, b"1"), (2, b"2")]
    assert node.mirrors.dropped == 2


def test_a_hole_is_filled_and_nobody_is_disconnected(shared: SharedWorld) -> None:
    first, second = shared.node(), shared.node()
    client = second.client("log")
    first.publish("log", b"1")
    second.is_deaf = True
    first.publish("log", b"2", b"3")
    second.is_deaf = False
    first.publish("log", b"4")
    assert [offset for offset, _ in events(client, "log")] == [1, 2, 3, 4]
    assert second.mirrors.filled
    assert not second.mirrors.holes
    assert not client.peer.gaps
    assert not client.peer.ends


def test_a_check_of_the_tops_finds_what_a_silent_link_has_lost(shared: SharedWorld) -> None:
    first, second = shared.node(), shared.node()
    client = second.client("log", "state")
    first.publish("log", b"1")
    second.is_deaf = True
    first.publish("log", b"2", b"3")
    second.is_deaf = False
    topics = second.mirrors.topics
    behind = second.mirrors.check(list(zip(topics, shared.store.tops(topics), strict=True)))
    shared.settle()
    assert behind == 1
    assert [offset for offset, _ in events(client, "log")] == [1, 2, 3]
    assert second.mirrors.check(list(zip(topics, shared.store.tops(topics), strict=True))) == 0


def test_a_hole_that_cannot_be_filled_is_announced_and_what_is_left_comes(
    shared: SharedWorld,
) -> None:
    first, second = shared.node(), shared.node()
    client = second.client("log", "state", "table", "rows")
    for topic in ("log", "state", "table", "rows"):
        first.publish(topic, b'{"id":0}')
    second.is_deaf = True
    for topic in ("log", "state", "table", "rows"):
        first.publish(topic, *[b'{"id":%d}' % number for number in range(1, 9)])
    second.is_deaf = False
    for topic in ("log", "state", "table", "rows"):
        first.publish(topic, b'{"id":9}')
    shared.settle()
    assert sorted(client.peer.gaps) == ["log", "rows", "state", "table"]
    assert [offset for offset, _ in events(client, "log")] == [1, 6, 7, 8, 9, 10]
    assert [offset for offset, _ in events(client, "state")] == [1, 10]
    # All values again, as a page needs them that has missed some.
    rows = [offset for offset, _ in events(client, "rows")]
    assert rows == [1, *range(1, 11)]
    table = [offset for offset, _ in events(client, "table")]
    assert table == [1, 6, 7, 8, 9, 10, *range(1, 11)]
    assert second.mirrors.holes == 4
    assert any("events of topic 'log' are lost" in line for line in second.world.lines)
    first.publish("log", b"11")
    assert events(client, "log")[-1][0] == 11


def test_after_a_loss_of_the_link_holes_are_filled(shared: SharedWorld) -> None:
    first, second = shared.node(), shared.node()
    client = second.client("log")
    first.publish("log", b"1")
    second.link.cut("a test")
    first.publish("log", b"2", b"3")
    assert [offset for offset, _ in events(client, "log")] == [1]
    second.link.restore()
    shared.settle()
    assert [offset for offset, _ in events(client, "log")] == [1, 2, 3]
    assert not client.peer.gaps


def test_a_store_that_was_emptied_begins_another_epoch_and_it_is_announced(
    shared: SharedWorld,
) -> None:
    first, second = shared.node(), shared.node()
    client = second.client("state")
    first.publish("state", b"1", b"2", b"3")
    before = second.world.history.position("state")
    shared.bus.cut()
    shared.store.empty()
    shared.bus.restore()
    shared.settle()
    after = second.world.history.position("state")
    assert before is not None
    assert after is not None
    assert after.epoch != before.epoch
    assert after.offset == 0
    assert client.peer.gaps == ["state"]
    first.publish("state", b"4")
    assert events(client, "state")[-1] == (1, b"4")


def test_events_that_a_failover_has_lost_are_announced_and_none_comes_twice(
    shared: SharedWorld,
) -> None:
    first, second, third = shared.node(), shared.node(), shared.node()
    here, there = first.client("log"), second.client("log")
    third.publish("log", b"1", b"2")
    copy = shared.store.remember()
    third.publish("log", b"33", b"44")
    shared.bus.cut()
    shared.store.go_back(copy)
    # One node is back sooner, and publishes with the same offsets.
    for number, payload in enumerate((b"3", b"4", b"5"), 1):
        shared.store.publish("another", Entry(number, Publication("log", payload)))
    shared.bus.restore()
    shared.settle()
    for client in (here, there):
        assert [payload for _, payload in events(client, "log")] == [
            b"1",
            b"2",
            b"33",
            b"44",
            b"3",
            b"4",
            b"5",
        ]
        assert client.peer.gaps == ["log"]
    positions = {node.world.history.position("log") for node in (first, second)}
    assert len(positions) == 1
    third.publish("log", b"6")
    assert events(here, "log")[-1] == events(there, "log")[-1] == (6, b"6")


def test_a_failover_that_lost_nothing_is_not_noticed(shared: SharedWorld) -> None:
    first, second = shared.node(), shared.node()
    client = second.client("log")
    first.publish("log", b"1", b"2")
    before = second.world.history.position("log")
    copy = shared.store.remember()
    shared.bus.cut()
    shared.store.go_back(copy)
    shared.bus.restore()
    shared.settle()
    first.publish("log", b"3")
    shared.settle()
    assert [offset for offset, _ in events(client, "log")] == [1, 2, 3]
    after = second.world.history.position("log")
    assert before is not None
    assert after == Position(before.epoch, 3)
    assert not client.peer.gaps


def test_a_topic_that_nobody_needs_is_not_followed_any_longer(shared: SharedWorld) -> None:
    first, second = shared.node(), shared.node()
    client = second.client("log")
    second.world.says(client, '[6,"log"]')
    shared.settle(LINGER / 2)
    assert list(second.mirrors.topics) == ["log"]
    shared.settle(LINGER * 2)
    assert not second.mirrors.is_current("log")
    shared.settle(LINGER * 2)
    assert shared.bus.distribute("t:log", b"") == 0
    assert second.world.history.log("log") is None
    first.publish("log", b"1")
    second.subscribe(client, "log")
    first.publish("log", b"2")
    assert events(client, "log") == [(2, b"2")]


def test_who_leaves_and_comes_back_soon_is_followed_all_the_time(shared: SharedWorld) -> None:
    node = shared.node()
    client = node.client("log")
    for _ in range(5):
        node.world.says(client, '[6,"log"]')
        shared.settle(LINGER * 0.6)
        node.world.says(client, '[5,"log"]')
        shared.settle(LINGER * 0.6)
        assert node.mirrors.topics == ("log",)
    node.world.broker.on_lost(client.subscriber)
    shared.settle(LINGER * 2.5)
    assert node.mirrors.topics == ()


def test_a_request_waits_until_the_topic_is_as_new_as_its_client_knows(
    shared: SharedWorld,
) -> None:
    first, second = shared.node(), shared.node()
    client = second.client("log")
    first.publish("log", b"1")
    second.is_deaf = True
    first.publish("log", b"2")
    position = second.world.history.position("log")
    assert position is not None
    ahead = Position(position.epoch, 2)
    assert second.mirrors.is_ready("log", position)
    assert not second.mirrors.is_ready("log", ahead)
    answers: list[str] = []
    second.mirrors.wait("log", ahead, answers.append)
    shared.settle(0.01)
    assert answers == [""]
    assert second.mirrors.is_ready("log", ahead)
    assert [offset for offset, _ in events(client, "log")] == [1, 2]
    # A position that nobody knows is not waited for longer than one read.
    second.mirrors.wait("log", Position("unknown", 7), answers.append)
    shared.settle(0.01)
    assert answers == ["", ""]


def test_a_request_learns_that_the_store_is_away(shared: SharedWorld) -> None:
    node = shared.node()
    node.client("log")
    answers: list[str] = []
    node.is_deaf = True
    assert not node.mirrors.is_ready("state", None, is_newest=True)
    node.mirrors.wait("state", None, answers.append)
    node.link.cut("Redis is gone")
    assert answers == ["Redis is gone"]
    node.mirrors.wait("log", None, answers.append)
    assert answers == ["Redis is gone", "Redis is gone"]
    assert node.mirrors.is_ready("log", None)
    assert not node.mirrors.is_ready("log", None, is_newest=True)
    assert node.mirrors.is_ready("plain", None, is_newest=True)


def test_a_request_does_not_wait_for_ever(shared: SharedWorld) -> None:
    node = shared.node()
    shared.bus.delay = 60.0
    answers: list[str] = []
    node.mirrors.wait("log", None, answers.append)
    shared.clock.advance(PATIENCE + 1)
    assert answers == [f"the topic could not be read within {PATIENCE:g} s"]


def test_sessions_that_subscribe_while_the_store_is_away_get_everything_later(
    shared: SharedWorld,
) -> None:
    first, second = shared.node(), shared.node()
    first.publish("state", b"1")
    second.link.cut("a test")
    client = second.client("state")
    gone = second.client("state")
    second.world.says(gone, '[6,"state"]')
    assert events(client, "state") == []
    second.link.restore()
    shared.settle()
    assert events(client, "state") == [(1, b"1")]
    assert events(gone, "state") == []


def test_too_many_live_events_while_a_topic_is_read_are_read_instead(
    shared: SharedWorld,
) -> None:
    first, second = shared.node(), shared.node()
    shared.store.slice_rows = 1
    big = b'"%b"' % (b"x" * 300_000)
    first.publish("long", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8")
    client = second.world.client(wire_format="positions", limit=100_000_000)
    second.world.says(client, '[5,"long"]')
    for _ in range(3):
        shared.clock.advance(0.001)
    for _ in range(8):
        first.number += 1
        first.publish("long", big)
    shared.settle(0.2)
    got = [offset for offset, _ in events(client, "long")]
    assert got == list(range(got[0], 17))


def test_values_at_a_node_stay_within_its_memory_and_its_position_is_kept() -> None:
    shared = SharedWorld([("a*", HistoryRule(events=100))])
    node = shared.node()
    node.world.history._max_bytes = 20_000
    client = node.client("a1", "a2")
    for _ in range(50):
        node.publish("a1", b'"%b"' % (b"x" * 300))
        node.publish("a2", b'"%b"' % (b"x" * 300))
    assert node.world.history.size <= 20_000
    assert node.world.history.evicted
    assert node.world.history.position("a1") is not None
    assert [offset for offset, _ in events(client, "a1")] == list(range(1, 51))


def test_a_forged_event_with_a_huge_offset_is_not_believed(shared: SharedWorld) -> None:
    first, second = shared.node(), shared.node()
    client = second.client("log")
    first.publish("log", b"1")
    position = second.world.history.position("log")
    assert position is not None
    head = b'1{"node":"x","id":1,"epoch":"%b","offset":999,"time":1,"run":"%b"}\n666'
    known = second.mirrors.known("log")
    assert known is not None
    shared.bus.distribute("t:log", head % (position.epoch.encode(), known.run.encode()))
    shared.bus.distribute("t:log", head % (b"other", b"run"))
    shared.settle()
    first.publish("log", b"2")
    assert events(client, "log") == [(1, b"1"), (2, b"2")]


def test_a_process_that_takes_over_goes_on_where_the_other_one_was(shared: SharedWorld) -> None:
    first, old = shared.node(), shared.node()
    old.client("log", "state")
    first.publish("log", b"1", b"2")
    new = shared.node()
    # What the other process knows is told, then a session moves, then an event comes.
    for topic in ("log", "state", "news"):
        kept = old.world.history.snapshot(topic)
        if kept is not None:
            new.world.history.take(kept)
    moved = new.world.client("log", wire_format="positions", limit=10_000)
    first.publish("log", b"3")
    position = old.world.history.position("log")
    new.world.broker.follow(Publication("log", b"3", position=position))
    new.world.end_turn()
    assert [offset for offset, _ in events(moved, "log")] == [3]
    first.publish("log", b"4")
    # From the end of the hand-over on it reads on its own.
    new.mirrors.adopt()
    assert list(new.mirrors.topics) == ["log"]
    assert new.mirrors.is_ready("log", None)
    shared.settle()
    first.publish("log", b"5")
    assert [offset for offset, _ in events(moved, "log")] == [3, 4, 5]
    # Nobody there needs the other topic.
    assert new.world.history.position("state") is None
    new.mirrors.adopt()


def test_what_another_process_tells_and_the_link_brings_is_delivered_once(
    shared: SharedWorld,
) -> None:
    first, second = shared.node(), shared.node()
    client = second.client("log")
    first.publish("log", b"1")
    known = second.mirrors.known("log")
    assert known is not None
    told = Publication("log", b"2", position=Position(known.position.epoch, 2))
    second.world.broker.follow(told)
    first.publish("log", b"2")
    second.world.broker.follow(told)
    second.world.end_turn()
    assert events(client, "log") == [(1, b"1"), (2, b"2")]


def test_a_topic_that_cannot_be_read_is_tried_again(
    shared: SharedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = shared.node(), shared.node()
    first.publish("state", b"1")
    read = second.store.read
    monkeypatch.setattr(
        second.store, "read", lambda _, __, on_read: on_read(Unreadable("WRONGTYPE"))
    )
    answers: list[str] = []
    client = second.client("state")
    second.mirrors.wait("state", None, answers.append)
    second.link.cut("a test")
    second.link.restore()
    shared.settle()
    assert any("could not read topic 'state': WRONGTYPE" in line for line in second.world.lines)
    assert answers
    monkeypatch.setattr(second.store, "read", read)
    shared.settle(RETRY + 0.1)
    assert events(client, "state") == [(1, b"1")]


def test_whoever_subscribes_while_a_topic_is_read_anew_is_brought_up_to_date_with_the_others(
    shared: SharedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = shared.node(), shared.node()
    early = second.client("log")
    first.publish("log", b"1", b"2")
    pending: list[Callable[[], None]] = []
    read = second.store.read
    monkeypatch.setattr(second.store, "read", lambda *given: pending.append(partial(read, *given)))
    shared.store.empty()
    first.publish("log", b"3")
    # The topic is another one, so that it is read as a whole; that takes its time.
    pending.pop()()
    shared.settle()
    late = second.client("log")
    while pending:
        pending.pop()()
        shared.settle()
    assert early.peer.gaps == late.peer.gaps == ["log"]
    assert events(late, "log") == [(1, b"3")]
