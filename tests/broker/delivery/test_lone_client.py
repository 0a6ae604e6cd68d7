"""How long sources wait for a client that is the only receiver of its topic."""

from __future__ import annotations

import pytest

from tests.broker.delivery.backlogs import Queue, grow_fast
from tests.broker.world import FakeClock
from wampush.broker.delivery.backpressure import CROWD_PATIENCE, Backpressure
from wampush.broker.delivery.lone_client import LONE_PATIENCE, LONE_REST, LoneClient


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def pressure(clock):
    return Backpressure(100, clock.call_later)


def test_one_client_alone_that_reads_nothing_of_a_moderate_topic_holds_nobody(pressure, clock):
    lone = Queue(pressure, 64)
    for _ in range(2):
        pressure.hold_for([lone])
        lone.add(4)
    clock.advance(LONE_PATIENCE)
    assert (pressure.paused, pressure.pauses, lone.stalled) == (False, 0, True)


def test_one_client_alone_that_reads_a_moderate_topic_is_waited_for_later(pressure, clock):
    lone = Queue(pressure, 64)
    pressure.hold_for([lone])
    lone.add(4)
    lone.read(2)
    clock.advance(LONE_PATIENCE)
    assert (pressure.paused, lone.stalled) == (False, False)
    pressure.hold_for([lone])
    assert pressure.paused
    clock.advance(CROWD_PATIENCE * 0.9)
    assert pressure.paused


def test_one_client_alone_that_has_caught_up_is_not_judged(pressure, clock):
    lone = Queue(pressure, 64)
    pressure.hold_for([lone])
    pressure.on_unblocked(lone)
    assert clock.pending == []
    clock.advance(LONE_PATIENCE)
    assert not lone.stalled


def test_nothing_is_judged_after_the_stop(pressure, clock):
    pressure.hold_for([Queue(pressure, 64)])
    pressure.stop()
    assert clock.pending == []


def test_one_client_alone_that_reads_nothing_holds_for_a_moment(pressure, clock):
    lone = Queue(pressure, 48)
    grow_fast(pressure, lone)
    clock.advance(0)
    assert pressure.paused
    clock.advance(LONE_PATIENCE)
    assert (pressure.paused, lone.stalled) == (False, True)
    pressure.hold_for([Queue(pressure, 10)])
    assert not pressure.paused, "there is a rest"
    pressure.hold_for([Queue(pressure, 1), Queue(pressure, 1)])
    assert pressure.paused, "a crowd is protected nevertheless"


def test_one_client_alone_is_awaited_as_long_as_it_reads_fast(pressure, clock):
    lone = Queue(pressure, 48)
    grow_fast(pressure, lone)
    clock.advance(0)
    for _ in range(round(CROWD_PATIENCE / LONE_PATIENCE) - 1):
        lone.read(2)
        clock.advance(LONE_PATIENCE)
        assert pressure.paused
    lone.read(2)
    clock.advance(LONE_PATIENCE)
    assert (pressure.paused, lone.stalled) == (False, True)


def test_one_client_alone_that_has_caught_up_gets_more_patience_until_it_is_empty(pressure, clock):
    lone = Queue(pressure, 48)
    grow_fast(pressure, lone)
    pressure.on_relieved(lone)
    pressure.hold_for([lone])
    clock.advance(CROWD_PATIENCE * 0.9)
    assert pressure.paused
    pressure.on_unblocked(lone)
    assert not pressure.paused
    pressure.on_blocked(lone)
    grow_fast(pressure, lone)
    clock.advance(0)
    clock.advance(LONE_PATIENCE)
    assert (pressure.paused, lone.stalled) == (False, True)


def test_one_client_alone_that_trickles_holds_for_a_moment(pressure, clock):
    lone = Queue(pressure, 48)
    grow_fast(pressure, lone)
    clock.advance(0)
    lone.read(1)
    clock.advance(LONE_PATIENCE)
    assert (pressure.paused, lone.stalled) == (False, True)


def test_there_is_a_rest_after_a_pause_in_vain(pressure, clock):
    grow_fast(pressure, Queue(pressure, 48))
    clock.advance(0)
    clock.advance(LONE_PATIENCE)
    assert not pressure.paused
    clock.advance(LONE_REST)
    grow_fast(pressure, Queue(pressure, 10))
    assert pressure.paused
    pressure.stop()
    assert clock.pending == []


def test_another_client_that_is_alone_is_not_judged_at_the_same_time(pressure, clock):
    lone = LoneClient(clock.call_later)
    first, second = Queue(pressure, 20), Queue(pressure, 20)
    assert not lone.may_hold(first)
    second.add(20)
    assert not lone.may_hold(second)
    first.add(20)
    assert lone.may_hold(first)
    lone.end_suspicion()
    assert clock.pending == []
    lone.prove(second)
    assert lone.may_hold(second)
    assert lone.is_proven(second)
    lone.refute(second)
    assert not lone.is_proven(second)


def test_a_watch_that_is_ended_calls_nobody(pressure, clock):
    ends = []
    lone = LoneClient(clock.call_later)
    lone.watch(Queue(pressure, 20), CROWD_PATIENCE, lambda: ends.append(1))
    lone.end_watch()
    lone.rest()
    lone.stop()
    assert (clock.pending, ends) == ([], [])
