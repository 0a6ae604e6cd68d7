"""Lines about the same thing are written at most once a second."""

from __future__ import annotations

from wampush.log_limit import LogLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_next_line_says_how_many_had_none():
    clock = Clock()
    thinning = LogLimiter(clock)
    assert thinning.due() == ""
    clock.now += 0.5
    assert thinning.due() is None
    assert thinning.due() is None
    clock.now += 0.5
    assert thinning.due() == " (2 more like it had no line)"
    clock.now += 1
    assert thinning.due() == ""


def test_each_thing_has_a_second_of_its_own():
    thinning = LogLimiter(Clock())
    assert thinning.due("one") == ""
    assert thinning.due("two") == ""
    assert thinning.due("one") is None


def test_a_clock_set_back_does_not_silence():
    clock = Clock()
    thinning = LogLimiter(clock)
    assert thinning.due() == ""
    clock.now -= 3600
    assert thinning.due() == ""
    assert thinning.due() is None
