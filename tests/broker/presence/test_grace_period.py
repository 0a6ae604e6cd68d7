"""Users who come back in time, and users who do not."""

from __future__ import annotations

import pytest

from tests.broker.world import FakeClock
from wampush.broker.presence.delay_queue import DelayQueue
from wampush.broker.presence.grace_period import GracePeriod
from wampush.clock import Clock


class Periods:
    """A grace period of two seconds, and the users whose period has expired."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.expired: list[str] = []
        queue = DelayQueue(2.0, Clock(lambda: self.clock.now, self.clock.call_later))
        self.grace = GracePeriod(queue, self.expired.append)


@pytest.fixture
def periods():
    return Periods()


def test_a_period_expires(periods):
    periods.grace.start("7")
    assert "7" in periods.grace
    assert "8" not in periods.grace
    periods.clock.advance(1.9)
    assert periods.expired == []
    periods.clock.advance(0.1)
    assert periods.expired == ["7"]
    assert "7" not in periods.grace
    assert len(periods.grace) == 0


def test_a_cancelled_period_does_not_expire(periods):
    periods.grace.start("7")
    periods.grace.start("8")
    assert len(periods.grace) == 2
    periods.grace.cancel("7")
    periods.grace.cancel("nobody")
    periods.clock.advance(2.0)
    assert periods.expired == ["8"]


def test_only_the_last_period_of_a_user_counts(periods):
    periods.grace.start("7")
    periods.clock.advance(1.0)
    periods.grace.cancel("7")
    periods.grace.start("7")
    periods.clock.advance(1.0)
    assert periods.expired == []
    periods.clock.advance(1.0)
    assert periods.expired == ["7"]
