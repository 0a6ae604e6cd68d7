"""An address has its share of the queues; what exceeds it is dropped, the longest first."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from wampush.broker.delivery.address_shares import queues_to_drop


@dataclass(eq=False)
class Waiting:
    queued: int
    address_name: str | None


def test_the_longest_queues_of_an_address_go_first() -> None:
    queues = [Waiting(size, "a") for size in (30, 50, 10, 40)]
    assert [each.queued for each in queues_to_drop(queues, 100)] == [50]
    assert [each.queued for each in queues_to_drop(queues, 79)] == [50, 40]
    assert queues_to_drop(queues, 130) == []


def test_addresses_do_not_pay_for_others() -> None:
    queues = [Waiting(60, "a"), Waiting(60, "b"), Waiting(500, None), Waiting(60, "a")]
    assert queues_to_drop(queues, 100) == [queues[3]]


@given(st.lists(st.builds(Waiting, st.integers(0, 50), st.sampled_from(["a", "b", None]))))
def test_afterwards_no_address_has_more_than_its_share(queues: list[Waiting]) -> None:
    dropped = queues_to_drop(queues, 60)
    for name in "ab":
        rest = [each.queued for each in queues if each not in dropped and each.address_name == name]
        gone = [each.queued for each in dropped if each.address_name == name]
        assert sum(rest) <= 60
        if gone:
            assert sum(rest) + gone[-1] > 60, "one too many was dropped"
            assert max(rest, default=0) <= min(gone)
    assert not [each for each in dropped if each.address_name is None]
