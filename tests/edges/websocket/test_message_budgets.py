"""What the clients of one address may send together, and what a reconnect does not renew."""

from __future__ import annotations

import pytest

from wampush.edges.websocket import message_budgets
from wampush.edges.websocket.message_budgets import ClientLimits, MessageBudgets

LIMITS = ClientLimits(queue_bytes=1, messages_per_second=10.0, message_burst=100)
ADDRESS = "192.0.2.1"


def test_a_reconnect_begins_with_what_was_left() -> None:
    budgets = MessageBudgets(LIMITS, 1000.0)
    assert budgets.on_open(ADDRESS, True, 0.0) == 100
    budgets.on_closed(ADDRESS, 40.0, 0.0)
    assert budgets.on_open(ADDRESS, True, 0.0) == 40
    # The debt went to that connection; a neighbour has the whole burst.
    assert budgets.on_open(ADDRESS, False, 0.0) == 100


def test_the_debt_shrinks_as_an_allowance_grows() -> None:
    budgets = MessageBudgets(LIMITS, 1000.0)
    budgets.on_closed(ADDRESS, 0.0, 0.0)
    assert budgets.on_open(ADDRESS, True, 5.0) == 50
    budgets.on_closed(ADDRESS, 0.0, 5.0)
    assert budgets.on_open(ADDRESS, True, 100.0) == 100


def test_a_new_connection_may_always_send_a_little() -> None:
    budgets = MessageBudgets(LIMITS, 1000.0)
    for _ in range(50):
        budgets.on_closed(ADDRESS, -1.0, 0.0)
    assert budgets.on_open(ADDRESS, True, 0.0) == 10
    # The debt has an end: ten bursts.
    assert budgets.on_open(ADDRESS, True, 100.0) == 100


def test_the_clients_of_an_address_share_a_rate() -> None:
    budgets = MessageBudgets(LIMITS, 20.0)
    budgets.on_open(ADDRESS, True, 0.0)
    budgets.on_open(ADDRESS, False, 0.0)
    assert all(budgets.spend(ADDRESS, 0.0) for _ in range(200))
    assert not budgets.spend(ADDRESS, 0.0)
    assert all(budgets.spend(ADDRESS, 1.0) for _ in range(20))
    assert not budgets.spend(ADDRESS, 1.0)
    assert budgets.spend("192.0.2.2", 1.0)


@pytest.mark.parametrize("name", [None, ADDRESS])
def test_a_single_connection_and_an_address_without_limits_need_no_memory(
    name: str | None,
) -> None:
    budgets = MessageBudgets(LIMITS, 1.0)
    assert budgets.on_open(name, True, 0.0) == 100
    assert all(budgets.spend(name, 0.0) for _ in range(1000))
    budgets.on_closed(name, 95.0, 0.0)
    assert len(budgets) == 0


def test_only_so_many_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_budgets, "_CAPACITY", 3)
    budgets = MessageBudgets(LIMITS, 1000.0)
    for number in range(10):
        budgets.on_closed(f"192.0.2.{number}", 0.0, 0.0)
        assert len(budgets) <= 3
    assert budgets.on_open("192.0.2.9", True, 0.0) == 10
    assert budgets.on_open("192.0.2.0", True, 0.0) == 100


CLIENT = ClientLimits(queue_bytes=1, messages_per_second=10.0, message_burst=50)


@pytest.mark.parametrize(
    ("used", "seconds", "left"),
    [(50, 0.0, 50), (50, 0.5, 45.0), (43.0, 2.0, 23.0), (5.0, 1.0, 0), (0, 99.0, 0), (51, 0.1, 50)],
)
def test_what_is_used_is_earned_again_with_time(used, seconds, left):
    assert CLIENT.still_used(used, seconds) == left


def test_budgets_go_on_in_another_process() -> None:
    budgets, other = MessageBudgets(LIMITS, 20.0), MessageBudgets(LIMITS, 20.0)
    budgets.on_open(ADDRESS, False, 0.0)
    assert all(budgets.spend(ADDRESS, 0.0) for _ in range(150))
    budgets.on_closed(ADDRESS, 40.0, 0.0)
    states = budgets.snapshot(1.0)
    assert states == [(ADDRESS, 70.0, 50.0)]
    other.restore(states, 500.0)
    assert other.snapshot(500.0) == states
    assert other.on_open(ADDRESS, True, 500.0) == 50
