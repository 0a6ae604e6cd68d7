"""Timers that are due together."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from wampush.clock import until_next


@pytest.mark.parametrize(
    ("interval", "now", "left"),
    [
        (1.0, 100.0, 1.0),
        (1.0, 100.25, 0.75),
        (1.0, 100.5, 0.5),
        # Too near: the one after it.
        (1.0, 100.75, 1.25),
        (0.25, 100.0625, 0.1875),
        (2.0, 101.5, 2.5),
    ],
)
def test_the_next_multiple_is_half_an_interval_away_at_least(
    interval: float, now: float, left: float
) -> None:
    assert until_next(interval, now) == left


def test_a_timer_that_is_early_is_not_set_for_the_same_time_again() -> None:
    assert until_next(1.0, 99.9999) == pytest.approx(1.0001)


def test_timers_that_begin_at_different_times_are_due_together() -> None:
    clock = Clock()
    fired: list[float] = []

    def fire() -> None:
        fired.append(clock.seconds())
        clock.callLater(until_next(1.0, clock.seconds()), fire)

    for begun in (0.125, 0.25, 0.375):
        clock.callLater(begun, fire)
    clock.pump([0.125] * 24)
    assert fired == [0.125, 0.25, 0.375, *([1.0] * 3), *([2.0] * 3), *([3.0] * 3)]
