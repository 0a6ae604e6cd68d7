"""One queue: its limit, its states, its accounts, and the newest event per topic."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.broker.world import SLICE, BufferedOutbox, DirectOutbox, FakeClock, RecordingFormat, Wire
from wampush.broker.delivery.backlog import TURN_BYTES
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.catch_up import Refill
from wampush.broker.delivery.catch_up_turns import CatchUpTurns
from wampush.broker.publication import Position

LIMIT = 100


@pytest.fixture
def pressure():
    return Backpressure(1_000_000, FakeClock().call_later)


@pytest.fixture(params=[DirectOutbox, BufferedOutbox])
def outbox(request, pressure):
    return request.param(LIMIT, pressure, Wire(), RecordingFormat("", []))


@pytest.fixture
def blocked(pressure):
    """A blocked outbox with 80 bytes: a slice in the transport, the rest here."""
    outbox = DirectOutbox(LIMIT, pressure, Wire(room=0), RecordingFormat("", []))
    outbox.append(b"x" * 80)
    outbox.flush()
    assert (outbox.blocked, outbox.queued, outbox.in_flight) == (True, 80, 80)
    assert pressure.total == 80
    return outbox


def test_free(outbox, pressure):
    outbox.append(b"one")
    outbox.append(b"two")
    assert (outbox.queued, pressure.total) == (6, 0)
    outbox.flush()
    assert outbox.wire.received == b"onetwo"
    assert (outbox.queued, outbox.blocked, outbox.chunks, pressure.total) == (0, False, [], 0)


def test_one_chunk_larger_than_the_limit_is_taken_when_nothing_waits(outbox):
    assert outbox.room_for(LIMIT * 10)
    outbox.append(b"x" * LIMIT * 10)
    assert outbox.queued == LIMIT * 10
    assert outbox.flushes == 0


def test_up_to_the_limit(blocked):
    assert blocked.room_for(20)
    assert not blocked.room_for(21)
    blocked.append(b"y" * 20)
    assert not blocked.room_for(1)
    assert not blocked.overflows


def test_the_limit_within_one_turn_is_decided_by_the_wire(outbox, pressure):
    outbox.append(b"x" * 80)
    assert outbox.room_for(80)
    assert (outbox.flushes, len(outbox.wire.received), outbox.queued) == (1, 80, 0)
    outbox.append(b"y" * 80)
    outbox.wire.room = 0
    assert not outbox.room_for(80)
    assert (outbox.blocked, outbox.queued, pressure.total) == (True, 80, 80)


def test_a_wire_that_dies_has_no_room(outbox, pressure):
    outbox.append(b"x" * 80)
    outbox.wire.dead = True
    assert not outbox.room_for(80)
    assert (outbox.closed, pressure.total) == (True, 0)


def test_a_blocked_outbox_counts_what_waits_until_it_is_read(outbox, pressure):
    outbox.wire.room = 5
    sent = b"".join(b"%03d" % number for number in range(60))
    outbox.append(sent)
    outbox.flush()
    outbox.append(b"end")
    assert outbox.blocked
    while outbox.blocked:
        assert pressure.total == outbox.queued == outbox.in_flight + sum(map(len, outbox.chunks))
        outbox.wire.room = None
        outbox.drain(7)
    assert (pressure.total, outbox.queued, outbox.in_flight, outbox.chunks) == (0, 0, 0, [])
    assert outbox.wire.received == sent + b"end"


def test_close_frees_everything_at_once(outbox, pressure):
    outbox.wire.room = 0
    outbox.append(b"x" * 80)
    outbox.flush()
    outbox.append(b"y" * 10)
    outbox.close()
    outbox.close()
    assert (outbox.chunks, pressure.total, outbox.closed) == ([], 0, True)
    assert outbox.queued == sys.maxsize
    assert not outbox.room_for(1)


@pytest.mark.usefixtures("blocked")
def test_close_of_a_free_outbox_takes_nothing_from_the_total(outbox, pressure):
    outbox.append(b"x" * 50)
    outbox.close()
    assert pressure.total == 80


def test_a_stall_ends_when_the_queue_was_empty(blocked):
    blocked.stalled = True
    blocked.append(b"y" * 20)
    blocked.drain(80)
    assert (blocked.stalled, blocked.blocked, blocked.queued) == (True, True, 20)
    blocked.drain(20)
    assert (blocked.stalled, blocked.blocked, blocked.queued) == (False, False, 0)


def waiting(outbox):
    return [chunk for chunk in outbox.chunks if chunk]


def test_the_newest_event_of_a_topic_replaces_the_waiting_one(blocked, pressure):
    assert not blocked.replace_latest("a", b"a1")
    assert not blocked.replace_latest("b", b"b1")
    blocked.append(b"reply")
    assert blocked.replace_latest("a", b"a2222")
    assert waiting(blocked) == [b"b1", b"reply", b"a2222"]
    assert blocked.replace_latest("b", b"b2")
    assert waiting(blocked) == [b"reply", b"a2222", b"b2"]
    assert pressure.total == blocked.queued == 80 + 12


def test_what_the_transport_has_is_not_replaced(blocked, pressure):
    blocked.replace_latest("a", b"a" * SLICE)
    blocked.replace_latest("b", b"b1")
    blocked.drain(80)
    assert (blocked.in_flight, waiting(blocked)) == (SLICE, [b"b1"])
    assert not blocked.replace_latest("a", b"a2")
    assert blocked.replace_latest("b", b"b2")
    assert waiting(blocked) == [b"a2", b"b2"]
    assert blocked.replace_latest("a", b"a3")
    assert waiting(blocked) == [b"b2", b"a3"]
    assert pressure.total == blocked.queued == SLICE + 4
    blocked.drain(1000)
    assert (blocked.blocked, blocked.queued, pressure.total) == (False, 0, 0)
    assert blocked.wire.received == b"x" * 80 + b"a" * SLICE + b"b2a3"


def test_a_new_block_knows_nothing_of_the_last(blocked):
    blocked.replace_latest("a", b"a1")
    blocked.drain(1000)
    assert not blocked.blocked
    blocked.append(b"later")
    blocked.flush()
    assert blocked.blocked
    assert not blocked.replace_latest("a", b"a2")
    blocked.drain(1000)
    assert blocked.wire.received == b"x" * 80 + b"a1latera2"


def test_a_thousand_replacements_keep_the_queue_short(blocked, pressure):
    topics = [f"t{number}" for number in range(20)]
    blocked.append(b"first")
    last = {}
    for number in range(2000):
        topic = topics[number * 7 % 20]
        last[topic] = b"%d;" % number
        assert blocked.replace_latest(topic, last[topic]) is (number >= 20)
        if number == 1000:
            blocked.append(b"middle")
        assert len(blocked.chunks) < 256
    newest = sorted(last.values(), key=lambda text: int(text[:-1]))
    assert waiting(blocked) == [b"first", b"middle", *newest]
    assert pressure.total == blocked.queued == 80 + len(b"".join(waiting(blocked)))
    blocked.drain(100_000)
    assert blocked.wire.received == b"x" * 80 + b"firstmiddle" + b"".join(newest)
    assert pressure.total == 0


def test_a_chunk_may_be_sent_without_waiting_for_the_end_of_the_turn(outbox):
    outbox.send(b"now")
    assert outbox.wire.received == b"now"
    assert (outbox.queued, outbox.chunks) == (0, [])


class Turns:
    """What is scheduled for the next turns, which a test lets pass."""

    def __init__(self):
        self.scheduled: list[Callable[[], None]] = []
        self.turns = CatchUpTurns(self.scheduled.append, lambda: 0.0)

    def end(self):
        """Let a turn end."""
        scheduled = self.scheduled[:]
        self.scheduled.clear()
        for each in scheduled:
            each()


@pytest.fixture
def turns():
    return Turns()


@pytest.mark.parametrize("kind", [DirectOutbox, BufferedOutbox])
def test_a_client_that_is_behind_stays_blocked_until_it_has_caught_up(kind, pressure, turns):
    blocked = kind(LIMIT, pressure, Wire(room=0), RecordingFormat("", []))
    blocked.append(b"x" * 80)
    blocked.flush()
    slices = [b"a" * 30, b"", b"b" * 300, b"c" * 30]

    def read_on(topic, position, size):
        assert (topic, position.epoch, size) == ("t", "e", LIMIT // 4)
        more = Position("e", position.offset + 1) if len(slices) > 1 else None
        return Refill(slices.pop(0), more)

    blocked.begin_catch_up("t", Position("e", 0), read_on, turns.turns)
    blocked.begin_catch_up("u", Position("e", 5), read_on, turns.turns)
    blocked.end_catch_up("u")
    blocked.end_catch_up("other")
    blocked.drain(50)
    turns.end()
    assert (len(slices), len(turns.turns)) == (4, 0), "its wire takes nothing more"
    blocked.drain(30)
    assert len(turns.turns) == 1
    assert (blocked.blocked, blocked.chunks, blocked.queued) == (True, [], TURN_BYTES)
    assert pressure.total == TURN_BYTES
    blocked.wire.room = 90
    while slices:
        assert blocked.blocked
        assert blocked.queued == pressure.total == blocked.in_flight + sum(map(len, blocked.chunks))
        turns.end()
        blocked.drain(10)
    blocked.wire.room = None
    blocked.drain(1000)
    turns.end()
    assert blocked.wire.received == b"x" * 80 + b"a" * 30 + b"b" * 300 + b"c" * 30
    assert (blocked.catch_up, blocked.blocked, blocked.queued) == (None, False, 0)
    assert (pressure.total, turns.scheduled) == (0, [])


def behind(outbox, turns, read_on=lambda *_: None):
    """Let a client that is behind on one topic wait for its turn."""
    outbox.begin_catch_up("t", Position("e", 0), read_on, turns.turns)
    outbox.wire.room = None
    outbox.drain(80)
    assert len(turns.turns) == 1


def test_what_comes_while_a_client_waits_for_its_turn_is_sent_first(blocked, pressure, turns):
    behind(blocked, turns, lambda *_: Refill(b"read", None))
    blocked.append(b"reply")
    assert (blocked.queued, pressure.total) == (5 + TURN_BYTES, 5 + TURN_BYTES)
    turns.end()
    turns.end()
    assert blocked.wire.received == b"x" * 80 + b"replyread"
    assert (blocked.blocked, blocked.queued, pressure.total) == (False, 0, 0)


def test_what_waits_when_the_wire_takes_more_is_sent_before(pressure, turns):
    outbox = BufferedOutbox(LIMIT, pressure, Wire(room=0), RecordingFormat("", []))
    outbox.append(b"x" * 80)
    outbox.flush()
    outbox.append(b"waits")
    behind(outbox, turns, lambda *_: Refill(b"read", None))
    turns.end()
    assert outbox.wire.received == b"x" * 80 + b"waitsread"
    assert (outbox.blocked, outbox.queued, pressure.total) == (False, 0, 0)


def test_a_client_whose_wire_takes_more_twice_waits_for_one_turn(blocked, pressure, turns):
    behind(blocked, turns, lambda *_: Refill(b"read", None))
    blocked.unblock()
    assert (len(turns.turns), blocked.queued, pressure.total) == (1, TURN_BYTES, TURN_BYTES)
    # The wire is full again without having said so.
    blocked.wire.room = 0
    turns.end()
    assert (blocked.blocked, blocked.queued, pressure.total) == (True, 4, 4)
    blocked.drain(4)
    assert blocked.wire.received == b"x" * 80 + b"read"


def test_the_last_topic_ends_the_catching_up(blocked, turns):
    blocked.end_catch_up("t")
    blocked.begin_catch_up("t", Position("e", 0), lambda *_: None, turns.turns)
    blocked.end_catch_up("t")
    assert blocked.catch_up is None


def test_a_client_that_reads_nothing_more_while_it_waits_for_its_turn_is_free(
    blocked, pressure, turns
):
    behind(blocked, turns)
    blocked.end_catch_up("t")
    assert blocked.blocked
    turns.end()
    assert (blocked.catch_up, blocked.blocked, blocked.queued) == (None, False, 0)
    assert (pressure.total, turns.scheduled, len(turns.turns)) == (0, [], 0)


@pytest.mark.parametrize("how", ["close", "hand_over", "detach"])
def test_a_client_that_ends_while_it_waits_for_its_turn_gets_none(blocked, pressure, turns, how):
    behind(blocked, turns)
    if how == "close":
        blocked.close()
    elif how == "hand_over":
        assert blocked.hand_over() == ([], 0)
    else:
        left = blocked.detach(b"")
        assert (left.chunks, left.behind) == ([], {"t": (Position("e", 0),)})
    assert (pressure.total, len(turns.turns), blocked.closed) == (0, 0, True)
    turns.end()
    assert (blocked.overflows, turns.scheduled) == (0, [])


def test_when_events_are_gone_the_client_is_dropped(blocked, pressure, turns):
    behind(blocked, turns)
    turns.end()
    assert blocked.take_next(10) is None
    assert (blocked.overflows, blocked.closed, pressure.total) == (1, True, 0)


def test_a_wire_that_dies_while_a_client_catches_up(blocked, pressure, turns):
    behind(blocked, turns, lambda *_: Refill(b"read", Position("e", 1)))
    blocked.wire.dead = True
    turns.end()
    assert (blocked.closed, pressure.total, len(turns.turns)) == (True, 0, 0)
