"""How long pushes take: which turns are timed, and what counts in them."""

from __future__ import annotations

import pytest

from wampush.broker.delivery.push_timer import TIMED_EVERY, PushTimer


@pytest.fixture
def timer() -> PushTimer:
    return PushTimer()


def test_all_pushes_of_a_turn_take_as_long_as_the_oldest(timer: PushTimer) -> None:
    timer.begin(100.0, 7)
    timer.begin(99.0, 8)
    timer.begin(99.5, 9)
    timer.end(100.5, 10)
    assert (timer.durations.count, timer.durations.total) == (3, 4.5)
    assert timer.arrived == 0


def test_a_turn_without_receivers_does_not_count(timer: PushTimer) -> None:
    timer.begin(100.0, 7)
    timer.end(105.0, 7)
    assert (timer.durations.count, timer.next_at) == (0, 0)
    timer.begin(106.0, 9)
    timer.end(106.5, 10)
    assert (timer.durations.count, timer.durations.total) == (1, 0.5)


def test_the_next_turn_that_is_timed_is_a_while_later(timer: PushTimer) -> None:
    timer.begin(100.0, 0)
    timer.end(100.5, 1)
    assert timer.next_at == 100 + TIMED_EVERY
