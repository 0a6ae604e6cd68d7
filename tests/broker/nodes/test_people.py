"""What a node has reported, and changes of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wampush.broker.nodes.people import ENTRY_CHARACTERS, NodePeople, PeopleChange

NAMES = st.sampled_from(["a", "b", "c"])
COUNTS = st.integers(0, 3)
CHANGES = st.builds(
    PeopleChange,
    sessions=st.none() | COUNTS,
    users=st.dictionaries(NAMES, st.booleans()),
    members=st.dictionaries(NAMES, st.dictionaries(NAMES, st.none() | COUNTS, min_size=1)),
    anonymous=st.dictionaries(NAMES, COUNTS),
    occupied=st.dictionaries(NAMES, st.booleans()),
    reported=st.dictionaries(NAMES, st.booleans()),
)


def values(people: NodePeople) -> Any:
    """All that is known, for comparing."""
    return {name: getattr(people, name) for name in NodePeople.__slots__}


def people_after(*changes: PeopleChange) -> NodePeople:
    people = NodePeople()
    for change in changes:
        people.apply(change)
    return people


@given(st.lists(CHANGES))
def test_a_change_twice_is_the_same_as_once(changes: list[PeopleChange]) -> None:
    twice = [each for change in changes for each in (change, change)]
    assert values(people_after(*changes)) == values(people_after(*twice))


@given(st.lists(CHANGES), st.lists(CHANGES))
def test_a_difference_leads_from_one_to_the_other(
    before: list[PeopleChange], after: list[PeopleChange]
) -> None:
    first, second = people_after(*before), people_after(*after)
    change = first.difference(second)
    first.apply(change)
    assert values(first) == values(second)
    assert not first.difference(second)
    assert bool(change) == (values(people_after(*before)) != values(second))


@given(st.lists(CHANGES), st.integers(1, 4))
def test_the_parts_of_everything_make_it_again(changes: list[PeopleChange], most: int) -> None:
    people = people_after(*changes)
    parts = list(people.everything().parts(most * (ENTRY_CHARACTERS + 2)))
    assert values(people_after(*parts)) == values(people)
    assert parts
    assert max(map(len, parts)) <= most * 2
    assert sum(map(len, parts)) == people.size


def test_users_of_a_node_that_is_gone_are_left_without_connections() -> None:
    people = people_after(
        PeopleChange(
            sessions=3,
            users={"7": True},
            members={"room": {"7": 2}},
            anonymous={"room": 1},
            occupied={"room": True},
            reported={"room": True},
        )
    )
    left = people.without_sessions()
    assert values(left) == values(
        people_after(
            PeopleChange(users={"7": True}, members={"room": {"7": 0}}, occupied={"room": True})
        )
    )
    assert people.connections("room", "7") == 2
    assert left.connections("room", "7") == 0
    assert left.connections("room", "8") is None
    assert left.connections("hall", "7") is None


def test_differences_come_in_parts_that_make_one_equal_to_the_other() -> None:
    one, other = NodePeople(), NodePeople()
    names = [f"u{number}" for number in range(30)]
    one.apply(
        PeopleChange(
            sessions=3,
            users=dict.fromkeys(names[:20], True),
            members={"a": dict.fromkeys(names[:20], 1), "gone": {"u1": 2}},
            anonymous={"a": 1, "gone": 2},
            occupied={"a": True},
        )
    )
    other.apply(
        PeopleChange(
            sessions=4,
            users=dict.fromkeys(names[10:], True),
            members={"a": dict.fromkeys(names[10:], 2), "new": {"u2": 0}},
            anonymous={"a": 5, "new": 1},
            reported={"a": True},
        )
    )
    parts = list(one.differences(other, 4))
    assert max(map(len, parts)) <= 4
    for each in parts:
        one.apply(each)
    assert one.everything() == other.everything()
    assert not any(one.differences(other, 4))
