"""A source reads a bounded share of messages, bytes and time in each turn."""

from __future__ import annotations

import pytest

from wampush.net.turn_budget import TurnBudget, bytes_per_source


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_turn_has_so_many_messages() -> None:
    budget = TurnBudget(10, Clock(), max_messages=3)
    assert list(budget) == [0, 1, 2]
    assert list(budget) == [0, 1, 2]


def test_bytes_end_a_turn_and_the_next_one_begins_afresh() -> None:
    budget = TurnBudget(10, Clock())
    for _ in range(2):
        counts = []
        for count in budget:
            counts.append(count)
            budget.bytes_left -= 4
        # Exactly the budget is allowed; only more than that ends the turn.
        assert counts == [0, 1, 2]


def test_a_message_larger_than_the_share_passes() -> None:
    budget = TurnBudget(10, Clock())
    for count in budget:
        budget.bytes_left -= 1000
        assert count == 0


def test_time_ends_a_turn_within_sixteen_messages() -> None:
    clock = Clock()
    budget = TurnBudget(10, clock, max_seconds=1.0)
    for count in budget:
        if count == 5:
            clock.now += 1.5
    assert count == 16


def test_the_clock_is_read_after_the_first_message() -> None:
    clock = Clock()
    budget = TurnBudget(10, clock, max_seconds=1.0)
    counts = []
    for count in budget:
        counts.append(count)
        clock.now += 2
    assert counts == [0]


@pytest.mark.parametrize(
    ("maximum", "queue_bytes", "sources", "share"),
    [(1000, 100_000, 2, 500), (1000, 2000, 2, 250), (1000, 100_000, 0, 1000)],
)
def test_sources_share_a_quarter_of_a_queue_at_most(
    maximum: int, queue_bytes: int, sources: int, share: int
) -> None:
    assert bytes_per_source(maximum, queue_bytes, sources) == share
