"""When the sources pause, and that they always go on."""

from __future__ import annotations

import pytest

from tests.broker.delivery.backlogs import Queue, grow_fast
from tests.broker.world import FakeClock
from wampush.broker.delivery.backlog import TURN_BYTES
from wampush.broker.delivery.backpressure import (
    CROWD_PATIENCE,
    CROWD_REST,
    PATIENCE,
    TOTAL_FREE,
    Backpressure,
    Hold,
)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def released():
    return []


@pytest.fixture
def pressure(clock, released):
    pressure = Backpressure(100, clock.call_later)
    pressure.call_on_release(lambda: released.append(clock.now))
    return pressure


def test_release_comes_once_after_the_last_hold(pressure, released):
    pressure.hold(Hold.FLUSHING)
    pressure.hold(Hold.FLUSHING)
    pressure.hold(Hold.CROWD)
    pressure.release(Hold.FLUSHING)
    assert (pressure.paused, released) == (True, [])
    pressure.release(Hold.CROWD)
    pressure.release(Hold.CROWD)
    assert (pressure.paused, len(released)) == (False, 1)


def test_total_holds_above_the_limit_until_a_part_is_free(clock):
    limit = round(10 / TOTAL_FREE)
    pressure = Backpressure(limit, clock.call_later)
    queue = Queue(pressure, limit)
    held = [pressure.paused]
    queue.add(1)
    held.append(pressure.paused)
    for size in (10, 1):
        queue.read(size)
        held.append(pressure.paused)
    assert (held, pressure.pauses) == ([False, True, True, False], 1)
    assert clock.pending == []


def test_who_took_nothing_is_dropped_so_that_the_others_go_on(pressure, clock, released):
    dead, alive = Queue(pressure, 60), Queue(pressure, 60)
    clock.advance(PATIENCE / 2)
    alive.read(5)
    assert pressure.paused
    clock.advance(PATIENCE / 2)
    assert (dead.dropped, alive.dropped) == (True, False)
    assert (pressure.paused, len(released)) == (False, 1)
    assert (pressure.total, clock.pending) == (55, [])


def test_who_only_waits_for_its_turn_is_not_dropped(pressure, clock):
    waits, dead = Queue(pressure, TURN_BYTES), Queue(pressure, 150)
    clock.advance(PATIENCE)
    assert (waits.dropped, dead.dropped, pressure.paused) == (False, True, False)


def test_total_goes_on_watching_while_it_holds(pressure, clock):
    first, second = Queue(pressure, 50), Queue(pressure, 150)
    second.read(1)
    clock.advance(PATIENCE)
    assert (first.dropped, second.dropped, pressure.paused) == (True, False, True)
    second.read(1)
    clock.advance(PATIENCE)
    assert (second.dropped, pressure.paused) == (False, True)
    clock.advance(PATIENCE)
    assert (second.dropped, pressure.paused) == (True, False)
    assert (pressure.paused, pressure.total, clock.pending) == (False, 0, [])


def test_who_came_later_or_left_is_not_dropped(pressure, clock):
    left = Queue(pressure, 5)
    stays = Queue(pressure, 105)
    pressure.on_unblocked(left)
    pressure.on_dequeued(5)
    late = Queue(pressure, 60)
    clock.advance(PATIENCE)
    assert (left.dropped, stays.dropped, late.dropped) == (False, True, False)


def test_a_source_that_fills_up_again_at_once_is_watched_by_one_timer(pressure, clock):
    queues = [Queue(pressure, 60), Queue(pressure, 60)]
    pressure.call_on_release(lambda: queues.append(Queue(pressure, 200)))
    clock.advance(PATIENCE)
    assert pressure.paused
    assert len(clock.pending) == 1


def test_a_crowd_holds_until_all_have_caught_up(pressure, clock, released):
    crowd = [Queue(pressure, 1) for _ in range(5)]
    pressure.hold_for(crowd)
    assert (pressure.paused, pressure.pauses) == (True, 1)
    pressure.on_relieved(crowd[0])
    pressure.on_relieved(crowd[0])
    pressure.on_unblocked(crowd[1])
    pressure.on_relieved(Queue(pressure))
    assert pressure.paused
    pressure.on_relieved(crowd[2])
    pressure.on_relieved(crowd[3])
    assert pressure.paused
    pressure.on_relieved(crowd[4])
    assert (pressure.paused, len(released)) == (False, 1)
    assert clock.pending == []
    pressure.on_relieved(crowd[3])
    assert len(released) == 1


def test_a_few_that_do_not_catch_up_leave_the_others_protected(pressure, clock):
    crowd = [Queue(pressure, 1) for _ in range(5)]
    pressure.hold_for(crowd)
    for each in crowd[2:]:
        pressure.on_relieved(each)
    clock.advance(CROWD_PATIENCE)
    assert [each.stalled for each in crowd] == [True, True, False, False, False]
    assert not pressure.paused
    pressure.hold_for(crowd[2:])
    assert pressure.paused


def test_patience_with_a_crowd_ends(pressure, clock, released):
    dead, trickling, alive = (Queue(pressure, 10) for _ in range(3))
    pressure.hold_for([dead, trickling, alive])
    trickling.read(1)
    pressure.on_relieved(alive)
    clock.advance(CROWD_PATIENCE)
    assert (dead.stalled, trickling.stalled, alive.stalled) == (True, True, False)
    assert (dead.dropped, trickling.dropped, alive.dropped) == (False, False, False)
    assert (pressure.paused, len(released)) == (False, 1)


def test_clients_that_trickle_can_not_hold_the_sources_all_the_time(pressure, clock):
    pressure.hold_for([Queue(pressure, 10), Queue(pressure, 10)])
    clock.advance(CROWD_PATIENCE)
    pressure.hold_for([Queue(pressure, 10), Queue(pressure, 10)])
    assert (pressure.paused, pressure.pauses) == (False, 1)
    clock.advance(CROWD_REST)
    assert clock.pending == []
    pressure.hold_for([Queue(pressure, 10), Queue(pressure, 10)])
    assert (pressure.paused, pressure.pauses) == (True, 2)


def test_a_crowd_that_caught_up_needs_no_rest(pressure):
    crowd = [Queue(pressure, 10), Queue(pressure, 10)]
    pressure.hold_for(crowd)
    for each in crowd:
        pressure.on_relieved(each)
    pressure.hold_for(crowd)
    assert pressure.paused


def test_a_second_crowd_waits_for_the_first(pressure, clock):
    first, second = Queue(pressure, 1), Queue(pressure, 1)
    grow_fast(pressure, first)
    pressure.hold_for([second])
    pressure.on_relieved(second)
    assert pressure.paused
    pressure.on_relieved(first)
    assert not pressure.paused
    grow_fast(pressure, second)
    assert (pressure.paused, pressure.pauses, len(clock.pending)) == (True, 2, 1)


def test_stop_takes_the_timers_back(pressure, clock):
    crowd = Queue(pressure, 120)
    pressure.hold_for([crowd])
    crowd.add(40)
    pressure.hold_for([crowd])
    assert len(clock.pending) == 2
    pressure.stop()
    pressure.stop()
    assert clock.pending == []


def test_an_address_with_more_than_its_share_loses_the_longest_queues(clock: FakeClock) -> None:
    pressure = Backpressure(1_000_000, clock.call_later, per_address=160)
    short, long = Queue(pressure, 60, "a"), Queue(pressure, 90, "a")
    stranger, local = Queue(pressure, 150, "b"), Queue(pressure, 500)
    clock.advance(0)
    assert not any(each.dropped for each in (short, long, stranger, local))
    short.add(20)
    clock.advance(0)
    # The total has not grown by a thirty-second.
    before = long.dropped
    local.add(40)
    clock.advance(0)
    assert (before, long.dropped) == (False, True)
    assert not any(each.dropped for each in (short, stranger, local))
    assert not pressure.paused
    for each in (short, stranger, local):
        each.read(each.queued)
    late = Queue(pressure, 100, "a")
    short.add(70)
    clock.advance(0)
    assert late.dropped, "a look at a small total follows one at a large one"
    hasty = Queue(pressure, 60, "a")
    hasty.add(90)
    assert hasty.dropped, "a turn that queues so much is not waited for"
    clock.advance(0)
    pressure.stop()
    assert not clock.pending


def test_blocked_clients_and_what_waits_for_them_are_counted(pressure):
    assert (pressure.blocked_clients, pressure.queued_chunks) == (0, 0)
    first, second = Queue(pressure, 1), Queue(pressure, 1)
    first.chunks = [object(), object()]
    assert (pressure.blocked_clients, pressure.queued_chunks) == (2, 3)
    pressure.on_unblocked(first)
    assert (pressure.blocked_clients, pressure.queued_chunks) == (1, len(second.chunks))


def test_the_shared_store_does_not_make_senders_wait_that_get_an_answer(pressure):
    pressure.hold(Hold.SHARED_STORE)
    assert (pressure.paused, pressure.paused_for_all, pressure.clients_behind) == (
        True,
        False,
        False,
    )
    pressure.hold(Hold.CROWD)
    assert pressure.paused_for_all
