"""What is kept is counted by owner, address and in all, and no limit is exceeded."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.broker.memory import UNLIMITED, Memory, MemoryLimits
from wampush.errors import MessageRefused, Refusal


class Keeper:
    """An owner.

    :param name: of its address.
    """

    def __init__(self, name: str | None) -> None:
        self.address_name = name


def small() -> Memory:
    return Memory(MemoryLimits(per_session=10, per_address=15, in_all=25))


def test_the_limit_of_a_session() -> None:
    memory, owner = small(), Keeper("a")
    assert memory.keep(owner, 10) is None
    assert memory.keep(owner, 1) is Refusal.SESSION_MEMORY
    assert (memory.of_owner(owner), memory.total) == (10, 10)


def test_the_limit_of_an_address() -> None:
    memory, first, second = small(), Keeper("a"), Keeper("a")
    assert memory.keep(first, 10) is None
    assert memory.keep(second, 6) is Refusal.ADDRESS_MEMORY
    assert memory.keep(second, 5) is None
    assert memory.of_address("a") == 15
    assert memory.keep(Keeper("b"), 6) is None


def test_the_limit_of_all_holds_for_addresses_without_a_limit() -> None:
    memory, local, other = small(), Keeper(None), Keeper(None)
    assert memory.keep(local, 10) is None
    assert memory.keep(other, 10) is None
    assert memory.keep(Keeper("a"), 6) is Refusal.TOTAL_MEMORY
    assert memory.total == 20


def test_what_is_released_can_be_kept_again() -> None:
    memory, owner = small(), Keeper("a")
    memory.admit(owner, 10)
    memory.release(owner, 4)
    assert memory.keep(owner, 4) is None
    assert memory.keep(owner, -10) is None
    assert (len(memory), memory.total, memory.of_address("a")) == (0, 0, 0)


def test_a_refused_owner_has_no_account() -> None:
    memory, owner = small(), Keeper("a")
    assert memory.keep(owner, 11) is Refusal.SESSION_MEMORY
    assert len(memory) == 0
    assert memory.of_owner(owner) == 0


def test_to_hold_replaces_what_was_counted() -> None:
    memory, owner = small(), Keeper("a")
    assert memory.hold(owner, 0) is None
    assert len(memory) == 0
    assert memory.hold(owner, 8) is None
    assert memory.hold(owner, 10) is None
    assert memory.hold(owner, 11) is Refusal.SESSION_MEMORY
    assert memory.total == 10
    assert memory.hold(owner, 3) is None
    assert memory.total == 3
    assert memory.hold(owner, 0) is None
    assert len(memory) == 0


def test_input_has_a_reserve() -> None:
    memory, first, second = Memory(MemoryLimits(10, 16, 40)), Keeper("a"), Keeper("a")
    memory.admit(first, 10)
    memory.admit(second, 6)
    assert memory.keep(Keeper("a"), 1) is Refusal.ADDRESS_MEMORY
    reader = Keeper("a")
    assert memory.hold(reader, 4) is None
    assert memory.hold(reader, 5) is Refusal.ADDRESS_MEMORY
    memory = Memory(MemoryLimits(10, 10, 16))
    for name, size in (("a", 10), ("b", 6)):
        memory.admit(Keeper(name), size)
    assert memory.keep(Keeper("c"), 1) is Refusal.TOTAL_MEMORY
    assert memory.hold(Keeper("c"), 5) is Refusal.TOTAL_MEMORY
    assert memory.hold(Keeper("c"), 4) is None


def test_nothing_is_released_for_an_owner_that_is_forgotten() -> None:
    memory, owner = small(), Keeper("a")
    memory.admit(owner, 10)
    memory.forget(owner)
    memory.forget(owner)
    memory.release(owner, 10)
    assert (len(memory), memory.total, memory.of_address("a")) == (0, 0, 0)


def test_the_error_has_the_reason() -> None:
    with pytest.raises(MessageRefused, match="about 11 bytes") as caught:
        small().admit(Keeper("a"), 11)
    assert caught.value.refusal is Refusal.SESSION_MEMORY


def test_the_address_is_the_one_at_the_first_question() -> None:
    memory, owner = small(), Keeper("a")
    memory.admit(owner, 5)
    owner.address_name = "b"
    memory.admit(owner, 5)
    memory.forget(owner)
    assert memory.of_address("a") == memory.of_address("b") == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("khrf"), st.integers(0, 12))))
def test_the_sums_are_those_of_a_plain_model(steps: list[tuple[int, str, int]]) -> None:
    memory = small()
    owners = [Keeper(name) for name in ("a", "a", "b", "b", None, None)]
    model = dict.fromkeys(owners, 0)
    for number, step, size in steps:
        owner = owners[number]
        if step == "k" and memory.keep(owner, size) is None:
            model[owner] += size
        elif step == "h" and memory.hold(owner, size) is None:
            model[owner] = size
        elif step == "r":
            fewer = min(size, model[owner])
            memory.release(owner, fewer)
            model[owner] -= fewer
        elif step == "f":
            memory.forget(owner)
            model[owner] = 0
        by_address: Counter[str] = Counter()
        for each, kept in model.items():
            assert memory.of_owner(each) == kept <= 10
            if each.address_name is not None:
                by_address[each.address_name] += kept
        for name in "ab":
            assert memory.of_address(name) == by_address[name] <= 18
        assert memory.total == sum(model.values()) <= 31
        assert len(memory) == sum(1 for kept in model.values() if kept)


def test_unlimited_is_larger_than_any_machine() -> None:
    assert Memory(UNLIMITED).keep(Keeper("a"), 2**50) is None


def test_what_another_process_kept_is_counted_whatever_the_limits_are() -> None:
    memory, owner = small(), Keeper("a")
    memory.restore(owner, 0)
    assert len(memory) == 0
    memory.restore(owner, 30)
    memory.restore(owner, 1)
    assert (memory.of_owner(owner), memory.of_address("a"), memory.total) == (31, 31, 31)
    assert memory.keep(owner, 1) is Refusal.SESSION_MEMORY
    memory.forget(owner)
    assert memory.total == 0


def test_owners_of_whom_the_same_is_kept_share_an_account() -> None:
    memory = small()
    first, second = Keeper(None), Keeper(None)
    for owner in (first, second):
        assert memory.keep(owner, 3) is None
    assert memory._accounts[first] is memory._accounts[second]
    assert memory.keep(first, 4) is None
    assert (memory.of_owner(first), memory.of_owner(second), memory.total) == (7, 3, 10)
