"""An address has its share of the queues; what exceeds it is dropped, the largest first."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from wampush.broker.delivery.address_shares import queues_to_drop

MUCH = 10**9


@dataclass(eq=False)
class Waiting:
    queued: int
    address_name: str | None
    #: None when nothing of it is shared.
    own: int | None = None

    def own_bytes(self, samples: int) -> int:
        assert samples > 0
        return self.queued if self.own is None else self.own


def test_the_largest_queues_of_an_address_go_first() -> None:
    queues = [Waiting(size, "a") for size in (30, 50, 10, 40)]
    assert {each.queued for each in queues_to_drop(queues, 100, MUCH)} == {50}
    assert {each.queued for each in queues_to_drop(queues, 79, MUCH)} == {50, 40}
    assert queues_to_drop(queues, 130, MUCH) == set()


def test_what_is_shared_does_not_count() -> None:
    queues = [Waiting(60, "a", own) for own in (1, 2, 3)]
    assert queues_to_drop(queues, 100, 100) == set()
    queues.append(Waiting(100, "a", 99))
    assert queues_to_drop(queues, 100, MUCH) == {queues[-1]}


def test_addresses_do_not_pay_for_others() -> None:
    queues = [Waiting(60, "a"), Waiting(60, "b"), Waiting(500, None), Waiting(61, "a")]
    assert queues_to_drop(queues, 100, MUCH) == {queues[3]}


def test_everybody_pays_for_the_limit_of_all() -> None:
    queues = [Waiting(60, "a"), Waiting(70, "b"), Waiting(80, None)]
    assert queues_to_drop(queues, 100, 140) == {queues[2]}
    assert queues_to_drop(queues, 65, 140) == {queues[1]}


@given(st.lists(st.builds(Waiting, st.integers(0, 50), st.sampled_from(["a", "b", None]))))
def test_afterwards_no_address_has_more_than_its_share(queues: list[Waiting]) -> None:
    dropped = queues_to_drop(queues, 60, 130)
    for name in "ab":
        rest = [each.queued for each in queues if each not in dropped and each.address_name == name]
        assert sum(rest) <= 60
    assert sum(each.queued for each in queues if each not in dropped) <= 130
