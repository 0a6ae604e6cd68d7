"""How long topics are kept that nobody needs."""

from __future__ import annotations

from tests.broker.world import FakeClock
from wampush.broker.mirrors.idle_topics import LINGER, IdleTopics
from wampush.clock import Clock


class Kept:
    """Topics, and those whose time is over."""

    def __init__(self) -> None:
        self.time = FakeClock()
        self.elapsed: list[str] = []
        clock = Clock(lambda: self.time.now, self.time.call_later)
        self.topics = IdleTopics(self.elapsed.append, clock)


def test_each_topic_is_reported_once_in_the_order_of_the_notes() -> None:
    kept = Kept()
    kept.topics.note("a")
    kept.time.advance(LINGER / 2)
    kept.topics.note("b")
    kept.time.advance(LINGER / 2)
    assert kept.elapsed == ["a"]
    kept.time.advance(LINGER)
    assert kept.elapsed == ["a", "b"]
    assert not len(kept.topics)
    assert not kept.time.pending


def test_another_note_begins_anew() -> None:
    kept = Kept()
    kept.topics.note("a")
    kept.topics.note("b")
    kept.time.advance(LINGER / 2)
    kept.topics.note("a")
    kept.time.advance(LINGER / 2)
    assert kept.elapsed == ["b"]
    assert len(kept.topics) == 1
    kept.time.advance(LINGER)
    assert kept.elapsed == ["b", "a"]


def test_there_is_one_timer_for_all_and_another_after_it() -> None:
    kept = Kept()
    for number in range(100):
        kept.topics.note(str(number))
    assert len(kept.time.pending) == 1
    kept.time.advance(LINGER)
    assert len(kept.elapsed) == 100
    kept.topics.note("again")
    assert len(kept.time.pending) == 1
