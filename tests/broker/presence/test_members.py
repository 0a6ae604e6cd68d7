"""Users on one topic, and the number of their subscriptions."""

from __future__ import annotations

import pytest

from tests.broker.world import FakeClock
from wampush.broker.presence.delay_queue import DelayQueue
from wampush.broker.presence.grace_period import GracePeriod
from wampush.broker.presence.members import TopicMembers
from wampush.clock import Clock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def members(clock):
    queue = DelayQueue(2.0, Clock(lambda: clock.now, clock.call_later))

    def on_expired(user: str) -> None:
        made.remove(user)

    made = TopicMembers(GracePeriod(queue, on_expired))
    return made


def test_the_first_subscription_is_a_join_and_the_last_end_a_leave(members):
    assert members.join("7") is True
    assert members.join("7") is False
    assert members.join("8") is True
    assert (members.users, members.connections) == ({"7": 2, "8": 1}, 3)
    assert members.leave("7") is False
    assert members.leave("7") is True
    assert (members.users, members.connections) == ({"8": 1}, 1)


def test_a_lost_user_stays_a_member_for_the_grace_period(members, clock):
    members.join("7")
    members.lose("7")
    assert (members.users, members.connections) == ({"7": 0}, 0)
    clock.advance(2.0)
    assert members.users == {}


def test_a_user_who_comes_back_in_time_does_not_join_again(members, clock):
    members.join("7")
    members.lose("7")
    clock.advance(1.0)
    assert members.join("7") is False
    clock.advance(10.0)
    assert members.users == {"7": 1}


def test_losing_one_of_several_starts_no_grace_period(members, clock):
    members.join("7")
    members.join("7")
    members.lose("7")
    assert clock.pending == []
    assert members.users == {"7": 1}
