"""How late the event loop fires a timer."""

from __future__ import annotations

from math import inf

import pytest
from twisted.internet.task import Clock

from wampush.node.monitoring.loop_lag import INTERVAL, LoopLag


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lag(clock: Clock) -> LoopLag:
    return LoopLag(clock.seconds, clock.callLater)


def test_timers_that_are_on_time_count_as_such(lag: LoopLag, clock: Clock) -> None:
    lag.start()
    clock.pump([INTERVAL] * 4)
    assert lag.durations.count == 4
    assert lag.durations.total == 0


def test_a_turn_that_takes_long_makes_the_timer_late(lag: LoopLag, clock: Clock) -> None:
    lag.start()
    clock.advance(INTERVAL + 0.75)
    assert lag.durations.total == 0.75
    counts = dict(lag.durations.cumulative())
    assert (counts[0.5], counts[1.0], counts[inf]) == (0, 1, 1)
    # What was late does not make the next one late, which is due at the second full second.
    clock.advance(INTERVAL / 4)
    assert lag.durations.count == 1
    clock.advance(INTERVAL)
    assert lag.durations.count == 2
    assert lag.durations.total == 0.75


def test_an_early_timer_is_on_time(clock: Clock) -> None:
    now = [100.0]
    lag = LoopLag(lambda: now[0], clock.callLater)
    lag.start()
    now[0] += INTERVAL - 0.001
    clock.advance(INTERVAL)
    assert lag.durations.total == 0


def test_nothing_is_left_of_a_measurement_that_has_ended(lag: LoopLag, clock: Clock) -> None:
    lag.stop()
    lag.start()
    clock.advance(INTERVAL)
    lag.stop()
    lag.stop()
    assert clock.getDelayedCalls() == []
    assert lag.durations.count == 1
