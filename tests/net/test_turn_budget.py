"""A source reads a bounded share of messages, bytes and time in each turn."""

from __future__ import annotations

import pytest

from wampush.net.turn_budget import TURN_MESSAGES, TurnBudget, bytes_per_source


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_turn_has_so_many_messages() -> None:
    assert list(TurnBudget(10, Clock(), max_messages=3).steps) == [0, 1, 2]
    assert len(TurnBudget(10, Clock()).steps) == TURN_MESSAGES


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
