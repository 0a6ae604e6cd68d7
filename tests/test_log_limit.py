"""Messages of one kind are logged at most once per second."""

from __future__ import annotations

import pytest

from wampush.log_limit import LogLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_the_next_message_says_how_many_were_suppressed(clock):
    limiter = LogLimiter(clock)
    assert limiter.suffix() == ""
    clock.now += 0.5
    assert limiter.suffix() is None
    assert limiter.suffix() is None
    clock.now += 0.5
    assert limiter.suffix() == " (2 similar messages suppressed)"
    clock.now += 1
    assert limiter.suffix() == ""


def test_one_suppressed_message_is_singular(clock):
    limiter = LogLimiter(clock)
    limiter.suffix()
    limiter.suffix()
    clock.now += 1
    assert limiter.suffix() == " (1 similar message suppressed)"


def test_each_kind_has_a_second_of_its_own(clock):
    limiter = LogLimiter(clock)
    assert limiter.suffix("one") == ""
    assert limiter.suffix("two") == ""
    assert limiter.suffix("one") is None


def test_a_clock_set_back_suppresses_nothing(clock):
    limiter = LogLimiter(clock)
    assert limiter.suffix() == ""
    clock.now -= 3600
    assert limiter.suffix() == ""
    assert limiter.suffix() is None


def test_the_reference_is_that_of_the_message_that_was_logged(clock):
    limiter = LogLimiter(clock)
    limiter.suffix("a", "first")
    limiter.suffix("a", "suppressed")
    assert limiter.reference("a") == "first"
    clock.now += 1
    limiter.suffix("a", "next")
    assert limiter.reference("a") == "next"


def test_the_kind_that_was_used_least_recently_is_forgotten_first(clock):
    limiter = LogLimiter(clock, max_kinds=3)
    for kind in "abcde":
        limiter.suffix(kind)
        limiter.suffix("a")
    assert [kind for kind in "deabc" if limiter.suffix(kind) is None] == ["d", "e", "a"]
