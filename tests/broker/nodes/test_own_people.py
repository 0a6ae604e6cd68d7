"""What a node reports about its people, and when."""

from __future__ import annotations

import pytest

from tests.broker.world import FakeClock
from wampush.broker.nodes.node_payloads import PeoplePayload
from wampush.broker.nodes.own_people import CHARACTERS, COLLECT_SECONDS, OwnPeople
from wampush.broker.nodes.people import NodePeople, PeopleChange
from wampush.clock import Clock


class Reporting:
    """A node's people, and what has been sent."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.sent: list[PeoplePayload] = []
        clock = Clock(lambda: self.clock.now, self.clock.call_later)
        self.own = OwnPeople("node", "epoch", clock, self.sent.append)

    def reported(self) -> list[PeopleChange]:
        """What is sent after the time of collecting."""
        self.clock.advance(COLLECT_SECONDS)
        sent = [each.change for each in self.sent]
        self.sent.clear()
        return sent


@pytest.fixture
def reporting() -> Reporting:
    return Reporting()


def test_changes_are_collected(reporting: Reporting) -> None:
    own = reporting.own
    own.set_sessions(1)
    own.set_user("7", True)
    own.set_member("room", "7", 1)
    own.set_anonymous("room", 3)
    own.set_occupied("room", True)
    own.set_reported("room", True)
    own.set_sessions(2)
    own.set_user("8", True)
    own.set_user("8", False)
    assert reporting.sent == []
    assert reporting.reported() == [
        PeopleChange(
            sessions=2,
            users={"7": True, "8": False},
            members={"room": {"7": 1}},
            anonymous={"room": 3},
            occupied={"room": True},
            reported={"room": True},
        )
    ]
    assert own.sequence == 1
    assert reporting.clock.pending == []


def test_what_is_as_before_is_not_reported(reporting: Reporting) -> None:
    own = reporting.own
    own.set_sessions(0)
    own.set_user("7", False)
    own.set_member("room", "7", None)
    own.set_anonymous("room", 0)
    own.set_occupied("room", False)
    assert reporting.reported() == []
    own.set_member("room", "7", 0)
    reporting.reported()
    own.set_member("room", "7", 0)
    assert reporting.reported() == []
    own.set_member("room", "7", None)
    assert reporting.reported() == [PeopleChange(members={"room": {"7": None}})]
    assert own.people.members == {}


def test_everything_has_the_number_of_the_newest_change(reporting: Reporting) -> None:
    own = reporting.own
    own.set_user("7", True)
    reporting.reported()
    own.set_user("8", True)
    (sent,) = [each for each in own.everything() if each is not None]
    assert sent is not None
    # The node that asks gets what was collected as well, and others get it as a change before that.
    assert [each.sequence for each in reporting.sent] == [2]
    assert (sent.node, sent.epoch, sent.sequence) == ("node", "epoch", 2)
    assert (sent.part, sent.parts) == (0, 1)
    assert sent.change == PeopleChange(sessions=0, users={"7": True, "8": True})
    reporting.sent.clear()
    assert reporting.reported() == []


def test_changes_wait_while_everything_is_sent(reporting: Reporting) -> None:
    own = reporting.own
    for number in range(10_000):
        own.set_user(f"{number}", True)
    sequence = len(reporting.reported())
    steps = own.everything()
    assert next(steps) is None
    own.set_user("new", True)
    own.set_user("1", False)
    assert reporting.reported() == []
    sent = [each for each in steps if each is not None]
    # What is done at once, here or at the other node, stays small.
    assert max(len(each.change) for each in sent) < 1500
    assert {each.sequence for each in sent} == {sequence}
    people = NodePeople()
    for each in sent:
        people.apply(each.change)
    assert len(people.users) == 10_000
    # One change brings it up to date.
    (change,) = reporting.reported()
    assert (change.users, own.sequence) == ({"new": True, "1": False}, sequence + 1)


def test_changes_are_sent_again_after_a_snapshot_that_is_broken_off(reporting: Reporting) -> None:
    own = reporting.own
    steps = own.everything()
    assert [next(steps) for _ in range(2)] == [None, None]
    assert next(steps) is not None
    own.set_user("new", True)
    steps.close()
    (change,) = reporting.reported()
    assert change.users == {"new": True}


def test_messages_are_bounded(reporting: Reporting) -> None:
    own = reporting.own
    for number in range(5000):
        own.set_user(f"{number}", True)
        own.set_member("room", f"{number}", 1)
    own.set_occupied("x" * CHARACTERS, True)
    sent = reporting.reported()
    assert len(sent) > 2
    assert own.sequence == len(sent)
    for each in sent[:-1]:
        names = [*each.users, *(user for users in each.members.values() for user in users)]
        assert len("".join(names)) < CHARACTERS
    parts = [each for each in own.everything() if each is not None]
    assert [each.part for each in parts] == list(range(len(parts)))
    assert {each.parts for each in parts} == {len(parts)}
    people = NodePeople()
    for part in parts:
        people.apply(part.change)
    assert not own.people.difference(people)


def test_names_that_are_no_text_are_left_out_and_counted(reporting: Reporting) -> None:
    own = reporting.own
    own.set_user("\ud83d", True)
    own.set_member("room", "cut \ud83d", 1)
    own.set_anonymous("\udfff", 1)
    own.set_user("ganz \U0001f600", True)
    assert own.unsendable == 3
    assert reporting.reported() == [PeopleChange(users={"ganz \U0001f600": True})]


def test_nothing_is_reported_after_the_end(reporting: Reporting) -> None:
    reporting.own.set_user("7", True)
    reporting.own.stop()
    reporting.own.set_user("8", True)
    assert reporting.reported() == []
    assert reporting.clock.pending == []
