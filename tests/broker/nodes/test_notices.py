"""Changes of other nodes, of which large ones come in slices."""

from __future__ import annotations

import pytest

from tests.broker.world import FakeClock
from wampush.broker.nodes.notices import SLICE, Notices
from wampush.broker.nodes.people import NodePeople, PeopleChange
from wampush.clock import Clock


class Given:
    """What a listener gets, turn by turn."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.changes: list[PeopleChange] = []
        clock = Clock(lambda: self.clock.now, self.clock.call_later)
        self.notices = Notices(self.changes.append, clock)

    def turns(self) -> int:
        """Go on until nothing waits; return how many turns that took."""
        count = 0
        while not self.notices.is_idle:
            self.clock.advance(0)
            count += 1
        return count


def having(count: int, first: int = 0, room: str = "") -> NodePeople:
    """A node with users, all of whom are in a room, if there is one."""
    names = [f"user{number}" for number in range(first, first + count)]
    people = NodePeople()
    people.apply(PeopleChange(sessions=count, users=dict.fromkeys(names, True)))
    if room:
        people.apply(PeopleChange(members={room: dict.fromkeys(names, 1)}, anonymous={room: 3}))
    return people


def test_a_small_change_is_given_at_once() -> None:
    given = Given()
    before, after = having(100), having(100, first=50)
    given.notices.replace(before, after)
    assert given.changes == [before.difference(after)]
    given.notices.replace(after, having(100, first=50))
    assert len(given.changes) == 1
    assert given.clock.pending == []


@pytest.mark.parametrize("is_leaving", [False, True])
def test_a_large_change_is_given_in_slices_and_nothing_is_missing(is_leaving: bool) -> None:
    given = Given()
    people, other = having(20_000, room="room"), NodePeople()
    before, after = (people, other) if is_leaving else (other, people)
    given.notices.replace(before, after)
    assert len(given.changes) == 1
    assert len(given.clock.pending) == 1
    assert given.turns() >= 200
    assert max(len(each) for each in given.changes) <= SLICE
    for each in given.changes:
        before.apply(each)
    assert before.everything() == after.everything()
    assert given.clock.pending == []


def test_what_changes_meanwhile_is_given_as_it_is_then() -> None:
    given = Given()
    before, after = NodePeople(), having(1000, room="room")
    given.notices.replace(before, after)
    change = PeopleChange(
        users={"user999": False, "new": True}, members={"room": {"user999": None, "new": 2}}
    )
    after.apply(change)
    before.apply(change)
    given.turns()
    for each in given.changes:
        before.apply(each)
    assert before.everything() == after.everything()


def test_several_changes_keep_their_order() -> None:
    given = Given()
    given.notices.replace(NodePeople(), having(1000))
    given.notices.replace(NodePeople(), having(1000, first=5000))
    small = having(1, first=9000)
    given.notices.replace(NodePeople(), small)
    assert given.changes[1] == small.everything()
    given.turns()
    numbers = [int(name[4:]) for each in given.changes for name in each.users]
    first = [each for each in numbers if each < 5000]
    assert set(first) == set(range(1000))
    assert numbers.index(first[-1]) < min(numbers.index(each) for each in range(5000, 6000))


def test_nothing_is_given_after_the_end() -> None:
    given = Given()
    given.notices.replace(NodePeople(), having(1000))
    given.notices.stop()
    given.notices.replace(NodePeople(), having(1000))
    given.clock.advance(1)
    assert len(given.changes) == 1
    assert given.clock.pending == []
