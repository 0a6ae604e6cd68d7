"""Which request is sent next, and how many at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.net.request_queues import FairQueue, RequestQueues, per_kind_limit


@pytest.mark.parametrize(
    ("places", "limit"), [(1, 1), (2, 1), (3, 2), (5, 4), (10, 8), (14, 12), (100, 80)]
)
def test_each_kind_leaves_places_to_the_others(places, limit):
    assert per_kind_limit(places, 2) == limit
    assert per_kind_limit(places, 1) == places


def taken(queue):
    return [queue.take() for _ in range(len(queue))]


def test_owners_take_turns():
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.add(item, item[0])
    assert list(queue) == ["a1", "a2", "a3", "b1", "b2", "c1"]
    assert taken(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_late_owner_waits_for_one_item_of_each_other():
    queue: FairQueue[int] = FairQueue()
    for number in range(100):
        queue.add(number, "busy")
    assert [queue.take() for _ in range(50)] == list(range(50))
    queue.add(1000, "late")
    assert [queue.take(), queue.take()] == [50, 1000]


def test_items_without_an_owner_come_in_their_order():
    queue: FairQueue[str] = FairQueue()
    for item in "abc":
        queue.add(item, None)
    assert taken(queue) == ["a", "b", "c"]


@given(st.lists(st.tuples(st.sampled_from("abc-"), st.sampled_from(["add", "remove", "take"]))))
def test_no_item_is_lost_and_nothing_remains(steps):
    queue: FairQueue[int] = FairQueue()
    present: dict[int, str | None] = {}
    for number, (name, step) in enumerate(steps):
        if step == "add":
            owner = None if name == "-" else name
            queue.add(number, owner)
            present[number] = owner
        elif step == "remove" and present:
            item = next(iter(present))
            owner = present.pop(item)
            queue.remove(item, owner)
            queue.remove(item, owner)
        elif step == "take" and len(queue):
            item = queue.take()
            owner = present.pop(item)
            assert not any(each < item and present[each] == owner for each in present if owner)
        assert sorted(queue) == sorted(present)
        assert len(queue) == len(present)
    taken(queue)
    assert queue._turns == {}


def test_kinds_share_the_places_and_the_one_with_fewest_running_is_next():
    queues: RequestQueues[str] = RequestQueues(("connect", "request"), 3, 10)
    for number in range(3):
        queues.add("request", f"r{number}")
    assert [queues.take(), queues.take(), queues.take()] == ["r0", "r1", None]
    for number in range(2):
        queues.add("connect", f"c{number}")
    assert [queues.take(), queues.take()] == ["c0", None]
    assert (queues.running, len(queues), list(queues)) == (3, 2, ["c1", "r2"])
    queues.free("request")
    assert queues.take() in ("c1", "r2")


def test_a_queue_is_full_when_nothing_more_fits_and_nothing_can_run():
    queues: RequestQueues[str] = RequestQueues(("a", "b"), 2, 1)
    assert not queues.is_full("a")
    queues.add("a", "a0")
    assert not queues.is_full("a")
    assert queues.take() == "a0"
    queues.add("a", "a1")
    assert queues.is_full("a")
    assert not queues.is_full("b")
    queues.remove("a", "a1")
    assert not queues.is_full("a")


def test_without_room_to_wait_what_can_run_is_taken_all_the_same():
    queues: RequestQueues[str] = RequestQueues(("",), 1, 0)
    assert not queues.is_full("")
    queues.add("", "first")
    assert queues.take() == "first"
    assert queues.is_full("")
