"""Who is next among those that wait for the application."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.apps.webhooks.fair_queue import FairQueue, most_of_a_kind


@pytest.mark.parametrize(
    ("places", "most"), [(1, 1), (2, 1), (3, 2), (5, 4), (10, 8), (14, 12), (100, 80)]
)
def test_each_kind_leaves_places_to_the_other(places, most):
    assert most_of_a_kind(places, both=True) == most
    assert most_of_a_kind(places, both=False) == places


def taken(row):
    return [row.take() for _ in range(len(row))]


def test_who_asks_takes_turns():
    row: FairQueue[str] = FairQueue(100)
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        row.join(item, item[0])
    assert list(row) == ["a1", "a2", "a3", "b1", "b2", "c1"]
    assert taken(row) == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert row.running == 6


def test_who_comes_later_waits_for_one_of_each_other_at_most():
    row: FairQueue[int] = FairQueue(100)
    for number in range(100):
        row.join(number, "busy")
    assert [row.take() for _ in range(50)] == list(range(50))
    row.join(1000, "late")
    assert [row.take(), row.take()] == [50, 1000]


def test_those_without_an_owner_come_in_the_order_of_their_arrival():
    row: FairQueue[str] = FairQueue(100)
    for item in "abc":
        row.join(item, None)
    assert taken(row) == ["a", "b", "c"]


def test_there_is_room_for_so_many():
    row: FairQueue[str] = FairQueue(2)
    for item in "abc":
        row.join(item, None)
    room = [row.has_room]
    for _ in range(2):
        row.take()
        room.append(row.has_room)
    row.running -= 1
    room.append(row.has_room)
    assert room == [True, True, False, True]


@given(st.lists(st.tuples(st.sampled_from("abc-"), st.sampled_from(["join", "leave", "take"]))))
def test_nobody_is_lost_and_nothing_stays(steps):
    row: FairQueue[int] = FairQueue(1000)
    present: dict[int, str | None] = {}
    for number, (name, step) in enumerate(steps):
        if step == "join":
            owner = None if name == "-" else name
            row.join(number, owner)
            present[number] = owner
        elif step == "leave" and present:
            item = next(iter(present))
            owner = present.pop(item)
            row.leave(item, owner)
            row.leave(item, owner)
        elif step == "take" and len(row):
            item = row.take()
            owner = present.pop(item)
            assert not any(each < item and present[each] == owner for each in present if owner)
        assert sorted(row) == sorted(present)
        assert len(row) == len(present)
    taken(row)
    assert row._turns == {}
