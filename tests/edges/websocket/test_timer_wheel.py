"""The timer wheel, against a plain model."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from wampush.edges.websocket.timer_wheel import (
    CROWD,
    LEAST_TIMERS,
    SHARE_SECONDS,
    STEP_SECONDS,
    TimerWheel,
)


class Alarm:
    """Notes the time at which it was due."""

    def __init__(self, clock: Clock) -> None:
        self.timer_slot = 0
        self.clock = clock
        self.rang: list[float] = []

    def on_timer(self) -> None:
        assert self.timer_slot == 0, "it is off the wheel when it is called"
        self.rang.append(self.clock.seconds())


class Repeating(Alarm):
    """Schedules itself again."""

    def __init__(self, clock: Clock, wheel: TimerWheel, seconds: float) -> None:
        super().__init__(clock)
        self.wheel = wheel
        self.seconds = seconds

    def on_timer(self) -> None:
        super().on_timer()
        self.wheel.schedule(self, self.seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wheel(clock: Any) -> TimerWheel:
    wheel = TimerWheel(clock, 1.0)
    wheel.start()
    return wheel


def run(clock: Clock, seconds: int) -> None:
    for _ in range(seconds * 4):
        clock.advance(0.25)


def test_a_timer_expires_once_and_in_time(clock: Clock, wheel: TimerWheel) -> None:
    alarm = Alarm(clock)
    wheel.schedule(alarm, 5)
    assert wheel.waiting == 1
    run(clock, 4)
    assert alarm.rang == []
    run(clock, 20)
    assert alarm.rang == [5.0]
    assert wheel.waiting == 0


def test_scheduling_again_replaces(clock: Clock, wheel: TimerWheel) -> None:
    alarm = Alarm(clock)
    wheel.schedule(alarm, 3)
    wheel.schedule(alarm, 8)
    assert wheel.waiting == 1
    run(clock, 12)
    assert alarm.rang == [8.0]


def test_cancel(clock: Clock, wheel: TimerWheel) -> None:
    alarm, other = Alarm(clock), Alarm(clock)
    wheel.cancel(alarm)
    wheel.schedule(alarm, 3)
    wheel.schedule(other, 3)
    wheel.cancel(alarm)
    wheel.cancel(alarm)
    assert alarm.timer_slot == 0
    run(clock, 5)
    assert alarm.rang == []
    assert other.rang == [3.0]


def test_it_may_schedule_itself_again(clock: Clock, wheel: TimerWheel) -> None:
    alarm = Repeating(clock, wheel, 2)
    wheel.schedule(alarm, 1)
    run(clock, 8)
    assert alarm.rang == [1.0, 3.0, 5.0, 7.0]
    assert wheel.waiting == 1


def test_one_that_is_due_may_cancel_another_of_the_same_tick(
    clock: Clock, wheel: TimerWheel
) -> None:
    class Rival(Alarm):
        other: Rival

        def on_timer(self) -> None:
            super().on_timer()
            wheel.cancel(self.other)

    first, second = Rival(clock), Rival(clock)
    first.other, second.other = second, first
    wheel.schedule(first, 2)
    wheel.schedule(second, 2)
    run(clock, 5)
    assert len(first.rang) + len(second.rang) in (1, 2)
    assert first.timer_slot == second.timer_slot == 0
    assert wheel.waiting == 0


def test_one_that_is_due_may_schedule_another_of_the_same_tick(
    clock: Clock, wheel: TimerWheel
) -> None:
    class Rival(Alarm):
        other: Rival

        def on_timer(self) -> None:
            super().on_timer()
            if len(self.rang) == 1:
                wheel.schedule(self.other, 3)

    first, second = Rival(clock), Rival(clock)
    first.other, second.other = second, first
    wheel.schedule(first, 2)
    wheel.schedule(second, 2)
    run(clock, 10)
    assert wheel.waiting == 0
    for alarm in (first, second):
        assert alarm.rang
        assert set(alarm.rang) <= {2.0, 5.0, 8.0}


def test_zero_seconds_wait_for_the_next_tick(clock: Clock, wheel: TimerWheel) -> None:
    alarm = Alarm(clock)
    wheel.schedule(alarm, 0)
    assert alarm.rang == []
    run(clock, 2)
    assert alarm.rang == [1.0]


def test_no_timer_expires_after_stop(clock: Clock, wheel: TimerWheel) -> None:
    alarm = Alarm(clock)
    wheel.schedule(alarm, 1)
    wheel.stop()
    wheel.stop()
    run(clock, 3)
    assert alarm.rang == []
    assert clock.getDelayedCalls() == []


def test_one_delayed_call_for_all_timers(clock: Clock, wheel: TimerWheel) -> None:
    for seconds in range(1, 100):
        wheel.schedule(Alarm(clock), seconds)
    assert len(clock.getDelayedCalls()) == 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.floats(0, 30) | st.none(),
            st.integers(0, 5),
        ),
        max_size=30,
    )
)
def test_each_rings_about_when_its_last_schedule_says(
    steps: list[tuple[int, float | None, int]],
) -> None:
    clock: Any = Clock()
    wheel = TimerWheel(clock, 1.0)
    wheel.start()
    alarms = [Alarm(clock) for _ in range(5)]
    wanted: dict[int, float] = {}
    for which, seconds, pause in steps:
        alarm = alarms[which]
        if alarm.rang:
            alarm.rang.clear()
            wanted.pop(which, None)
        if seconds is None:
            wheel.cancel(alarm)
            wanted.pop(which, None)
        else:
            wheel.schedule(alarm, seconds)
            wanted[which] = clock.seconds() + seconds
        for _ in range(pause):
            clock.advance(1)
    for _ in range(40):
        clock.advance(1)
    for which, alarm in enumerate(alarms):
        if which in wanted:
            (rang,) = alarm.rang
            assert abs(rang - wanted[which]) <= 1.0
        else:
            assert alarm.rang == []
    assert wheel.waiting == 0
    assert wheel._slots == {}


def test_crowds_spread_over_earlier_ticks(clock: Clock, wheel: TimerWheel) -> None:
    few = [Alarm(clock) for _ in range(CROWD)]
    for each in few:
        wheel.schedule_about(each, 30, 5)
    assert {each.timer_slot for each in few} == {wheel.now + 30}
    many = [Alarm(clock) for _ in range(5 * CROWD)]
    for each in many:
        wheel.schedule_about(each, 30, 5)
    slots = [each.timer_slot - wheel.now for each in (*few, *many)]
    assert {slot: slots.count(slot) for slot in slots} == dict.fromkeys(range(25, 31), CROWD)
    # What is in its tick stays there, and what asks for a time that is near comes in the next tick.
    wheel.schedule_about(many[0], many[0].timer_slot - wheel.now, 5)
    assert many[0].timer_slot == slots[CROWD] + wheel.now
    for each in few:
        wheel.schedule_about(each, 1, 5)
    wheel.schedule_about(many[0], 1, 5)
    assert many[0].timer_slot == wheel.now + 1


def test_timers_of_a_tick_share_its_number(clock: Clock, wheel: TimerWheel) -> None:
    alarms = [Alarm(clock) for _ in range(2)]
    for alarm in alarms:
        # CPython keeps small numbers anyway.
        wheel.schedule(alarm, 1000)
    assert alarms[0].timer_slot == 1001
    assert alarms[0].timer_slot is alarms[1].timer_slot


def test_the_time_of_a_tick_is_one_object(clock: Clock, wheel: TimerWheel) -> None:
    assert wheel.seconds is wheel.seconds
    run(clock, 3)
    assert wheel.seconds == 4.0


def test_a_time_that_has_passed_is_the_next_tick(clock: Clock, wheel: TimerWheel) -> None:
    alarm = Alarm(clock)
    wheel.schedule(alarm, -100)
    run(clock, 2)
    assert alarm.rang == [1.0]


def test_many_timers_of_a_tick_are_spread_over_it(clock: Clock, wheel: TimerWheel) -> None:
    alarms = [Alarm(clock) for _ in range(3000)]
    for alarm in alarms:
        wheel.schedule(alarm, 1)
    clock.advance(1)
    at_once = [alarm for alarm in alarms if alarm.rang]
    assert len(at_once) == 3000 * STEP_SECONDS
    wheel.cancel(next(alarm for alarm in alarms if not alarm.rang))
    for _ in range(1200):
        clock.advance(STEP_SECONDS / 10)
    rang = [alarm.rang[0] for alarm in alarms if alarm.rang]
    assert len(rang) == 2999
    assert all(1 <= each <= 2.2 for each in rang)
    assert wheel.waiting == 0
    assert wheel._slots == {}


def test_few_timers_of_a_tick_come_at_once(clock: Clock, wheel: TimerWheel) -> None:
    alarms = [Alarm(clock) for _ in range(LEAST_TIMERS)]
    for alarm in alarms:
        wheel.schedule(alarm, 1)
    clock.advance(1)
    assert [alarm.rang for alarm in alarms] == [[1.0]] * LEAST_TIMERS


class Slow(Alarm):
    """Takes a while."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__(clock)
        self.seconds = seconds

    def on_timer(self) -> None:
        super().on_timer()
        self.clock.rightNow += self.seconds


def test_slow_timers_leave_turns_to_others_and_do_not_wait_for_steps(
    clock: Clock, wheel: TimerWheel
) -> None:
    rang: list[float] = []

    class Counted(Slow):
        def on_timer(self) -> None:
            super().on_timer()
            rang.append(self.clock.seconds())

    alarms = [Counted(clock, SHARE_SECONDS / 8) for _ in range(10_000)]
    for alarm in alarms:
        wheel.schedule(alarm, 1)
    between: list[int] = []

    def other() -> None:
        between.append(len(rang))
        if between[-1] < len(alarms):
            clock.callLater(0, other)

    clock.callLater(1.0001, other)
    run(clock, 8)
    shares = [after - before for before, after in pairwise([0, *between])]
    assert max(shares) <= 32
    # A step's part of them is 25 ms of work: longer than a step, and than the share of a turn.
    assert all(len(alarm.rang) == 1 for alarm in alarms)
    assert wheel.waiting == 0


def test_a_tick_comes_while_timers_of_the_one_before_wait(clock: Clock, wheel: TimerWheel) -> None:
    first = [Slow(clock, 0.1) for _ in range(40)]
    second = [Slow(clock, 0) for _ in range(400)]
    for alarm in first:
        wheel.schedule(alarm, 1)
    for alarm in second:
        wheel.schedule(alarm, 2)
    run(clock, 20)
    assert all(len(alarm.rang) == 1 for alarm in (*first, *second))
    assert max(alarm.rang[0] for alarm in first) <= min(alarm.rang[0] for alarm in second)
    assert wheel.waiting == 0
    assert wheel._slots == {}


def test_what_waits_for_its_step_ends_with_the_wheel(clock: Clock, wheel: TimerWheel) -> None:
    alarms = [Alarm(clock) for _ in range(100)]
    for alarm in alarms:
        wheel.schedule(alarm, 1)
    clock.callLater(1.001, wheel.stop)
    run(clock, 3)
    assert sum(len(alarm.rang) for alarm in alarms) == LEAST_TIMERS
    assert clock.getDelayedCalls() == []


def test_a_timer_that_fails_stops_no_other(clock: Clock, wheel: TimerWheel) -> None:
    class Failing(Alarm):
        def on_timer(self) -> None:
            super().on_timer()
            raise RuntimeError("a defect")

    # The last one that is scheduled comes first.
    later, failing, same = Alarm(clock), Failing(clock), Alarm(clock)
    for alarm, seconds in ((same, 2), (failing, 2), (later, 3)):
        wheel.schedule(alarm, seconds)
    clock.advance(1)
    # The reactor logs what this clock raises.
    with pytest.raises(RuntimeError, match="a defect"):
        clock.advance(1)
    clock.advance(1)
    assert (failing.rang, same.rang, later.rang) == ([2.0], [3.0], [3.0])


def test_ticks_come_with_those_of_others(clock: Any) -> None:
    clock.advance(0.375)
    for _ in range(2):
        TimerWheel(clock, 1.0).start()
        clock.advance(0.25)
    assert [call.getTime() for call in clock.getDelayedCalls()] == [1.0, 2.0]
    clock.advance(0.125)
    assert [call.getTime() for call in clock.getDelayedCalls()] == [2.0, 2.0]
    clock.advance(1.0)
    assert [call.getTime() for call in clock.getDelayedCalls()] == [3.0, 3.0]
