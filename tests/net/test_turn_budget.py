"""A source reads a bounded share of messages, bytes and time in each turn."""

from __future__ import annotations

import pytest

from wampush.net.turn_budget import (
    BATCH,
    BUSY_SECONDS,
    TURN_MESSAGES,
    TurnBudget,
    bytes_per_source,
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_turn_has_so_many_messages() -> None:
    assert list(TurnBudget(10, Clock(), max_messages=3).steps) == [0, 1, 2]
    assert len(TurnBudget(10, Clock()).steps) == TURN_MESSAGES


def test_batches_are_a_share_too() -> None:
    assert TurnBudget(10, Clock(), max_messages=3).batches == (3,)
    assert TurnBudget(10, Clock(), max_messages=2 * BATCH).batches == (BATCH, BATCH)
    clock = Clock()
    budget = TurnBudget(10, clock, max_messages=4 * BATCH)
    budget.begin()
    clock.now += 2 * BUSY_SECONDS
    budget.adapt(has_more=True)
    assert budget.batches == (BATCH, BATCH)
    assert sum(TurnBudget(10, Clock()).batches) == TURN_MESSAGES


def test_each_turn_has_the_same_bytes_and_time() -> None:
    clock = Clock()
    budget = TurnBudget(10, clock, max_seconds=1.0)
    for _ in range(2):
        assert budget.begin() == 10
        clock.now += 1.0
        assert not budget.is_late()
        clock.now += 0.1
        assert budget.is_late()


@pytest.mark.parametrize(
    ("maximum", "queue_bytes", "sources", "share"),
    [(1000, 100_000, 2, 500), (1000, 2000, 2, 250), (1000, 100_000, 0, 1000)],
)
def test_sources_share_a_quarter_of_a_queue_at_most(
    maximum: int, queue_bytes: int, sources: int, share: int
) -> None:
    assert bytes_per_source(maximum, queue_bytes, sources) == share


def test_the_share_of_a_source_that_takes_too_long_becomes_smaller() -> None:
    clock = Clock()
    budget = TurnBudget(1600, clock, max_messages=160)

    def turn(seconds: float, has_more: bool) -> tuple[int, int]:
        share = budget.begin(), len(budget.steps)
        clock.now += seconds
        budget.adapt(has_more)
        return share

    assert turn(4 * BUSY_SECONDS, has_more=True) == (1600, 160)
    assert turn(0.7 * BUSY_SECONDS, has_more=True) == (400, 40)
    # Not so short that it could take twice as much.
    assert turn(0.4 * BUSY_SECONDS, has_more=True) == (400, 40)
    assert turn(100 * BUSY_SECONDS, has_more=True) == (800, 80)
    # Not smaller than that.
    assert turn(100 * BUSY_SECONDS, has_more=True) == (50, 5)
    # A source that has no more did not take long because of its share.
    assert turn(100 * BUSY_SECONDS, has_more=False) == (50, 5)
    assert turn(0, has_more=True) == (100, 10)
    assert turn(0, has_more=False) == (200, 20)
    for _ in range(3):
        turn(0, has_more=False)
    assert turn(0, has_more=False) == (1600, 160)
    assert budget.part == 1.0
    budget.adapt(has_more=True, is_held=True)
    assert turn(0, has_more=True) == (800, 80)
