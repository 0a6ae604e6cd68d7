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


def take(queue):
    item, _ = queue.take(lambda _: True)
    return item


def taken(queue):
    return [take(queue) for _ in range(len(queue))]


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
    assert [take(queue) for _ in range(50)] == list(range(50))
    queue.add(1000, "late")
    assert [take(queue), take(queue)] == [50, 1000]


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
            item = take(queue)
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
    queues.free("request", "r0")
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


def test_an_owner_that_is_passed_over_keeps_its_turn():
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "b1", "b2"):
        queue.add(item, item[0])
    assert queue.take(lambda owner: owner == "b") == ("b1", "b")
    assert queue.take(lambda owner: owner == "c") is None
    assert taken(queue) == ["a1", "b2"]


def running(places, owners, kinds=("",)):
    """How many requests each owner has running when none of them ends."""
    queues: RequestQueues[tuple[str, int]] = RequestQueues(kinds, places, 1000)
    found: dict[str, int] = {}
    for owner in owners:
        for number in range(places):
            queues.add(kinds[0], (owner, number), owner)
        while queues.take() is not None:
            found[owner] = found.get(owner, 0) + 1
    return found


@pytest.mark.parametrize(
    ("places", "owners", "expected"),
    [
        (1, "ab", {"a": 1}),
        (2, "ab", {"a": 1, "b": 1}),
        (10, "abcde", {"a": 5, "b": 3, "c": 1, "d": 1}),
        (32, "abcdef", {"a": 16, "b": 8, "c": 4, "d": 2, "e": 1, "f": 1}),
    ],
)
def test_requests_of_one_owner_that_hang_leave_places_to_others(places, owners, expected):
    assert running(places, owners) == expected


def test_the_places_of_a_kind_count_not_those_of_all():
    assert running(10, "ab", ("request", "connect")) == {"a": 4, "b": 2}


def test_requests_without_an_owner_may_have_all_places():
    queues: RequestQueues[int] = RequestQueues(("",), 10, 100)
    for number in range(20):
        queues.add("", number)
    assert [queues.take() for _ in range(11)] == [*range(10), None]


def test_an_owner_goes_on_when_its_requests_end():
    queues: RequestQueues[int] = RequestQueues(("",), 4, 0)
    for number in range(5):
        queues.add("", number, "a")
    assert [queues.take(), queues.take(), queues.take()] == [0, 1, None]
    assert queues.is_full("", "a")
    assert not queues.is_full("", "b")
    queues.free("", 0, "a")
    assert [queues.take(), queues.take()] == [2, None]
    for number in (1, 2):
        queues.free("", number, "a")
    assert queues.running == 0
    assert not any(queues._running_of.values())
