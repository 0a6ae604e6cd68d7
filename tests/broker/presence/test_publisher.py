"""How often changes are published."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tests.broker.world import FakeClock
from wampush.broker.presence.delay_queue import DelayQueue
from wampush.broker.presence.publisher import EVENTS_PER_SECOND, RateLimitedPublisher
from wampush.clock import Clock
from wampush.state_machine import IllegalEvent

INTERVAL = 0.2


class Recorder(RateLimitedPublisher):
    """Publishes the time for so many receivers; there is news while a test says so."""

    def __init__(self, receivers: int = 1) -> None:
        self.clock = FakeClock()
        super().__init__(DelayQueue(INTERVAL, Clock(lambda: self.clock.now, self.clock.call_later)))
        self.start = self.clock.now
        self.receivers = receivers
        self.news = 0
        self.published: list[float] = []
        self.idled = 0

    @property
    def has_news(self) -> bool:
        return self.news > 0

    def publish(self) -> int:
        self.news -= 1
        self.published.append(round(self.clock.now - self.start, 6))
        return self.receivers

    def idle(self) -> None:
        self.idled += 1

    def change(self) -> None:
        self.news = 1
        self.request()

    def pass_time(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while times := [timer.time for timer in self.clock.pending if timer.time <= end]:
            self.clock.advance(max(0.0, min(times) - self.clock.now))
        self.clock.advance(end - self.clock.now)


class Checking(Recorder):
    checks_again: ClassVar[bool] = True


def test_the_first_change_is_published_at_once():
    publisher = Recorder()
    publisher.change()
    assert publisher.published == [0.0]
    assert publisher.clock.pending == []


def test_later_changes_are_published_together_after_the_interval():
    publisher = Recorder()
    for _ in range(5):
        publisher.change()
    assert publisher.published == [0.0]
    assert len(publisher.clock.pending) == 1
    publisher.pass_time(1.0)
    assert publisher.published == [0.0, INTERVAL]
    assert publisher.clock.pending == []


def test_news_that_does_not_fit_follows_after_the_interval():
    publisher = Recorder()
    publisher.news = 3
    publisher.request()
    publisher.pass_time(1.0)
    assert publisher.published == [0.0, INTERVAL, 2 * INTERVAL]


def test_without_news_nothing_is_published():
    publisher = Recorder()
    publisher.request()
    assert publisher.published == []
    assert publisher.idled == 1
    publisher.change()
    publisher.request()
    publisher.pass_time(1.0)
    assert publisher.published == [0.0]
    assert publisher.idled == 2


def test_many_receivers_lengthen_the_pause():
    publisher = Recorder(receivers=EVENTS_PER_SECOND)
    publisher.change()
    publisher.change()
    publisher.pass_time(0.9)
    assert publisher.published == [0.0]
    publisher.pass_time(0.2)
    assert publisher.published == [0.0, 1.0]


def test_a_clock_that_is_set_back_does_not_hold_up_a_change():
    publisher = Recorder()
    publisher.change()
    publisher.clock.now -= 3600
    publisher.change()
    assert len(publisher.published) == 2


def test_a_publisher_that_checks_again_is_idle_after_an_interval():
    publisher = Checking()
    publisher.change()
    assert publisher.idled == 0
    publisher.news = 1
    publisher.pass_time(INTERVAL)
    assert publisher.published == [0.0, INTERVAL]
    publisher.pass_time(INTERVAL)
    assert publisher.idled == 1
    assert publisher.clock.pending == []


def test_a_publisher_does_not_wait_twice():
    publisher = Recorder()
    publisher.change()
    publisher.change()
    with pytest.raises(IllegalEvent):
        publisher._wait()
