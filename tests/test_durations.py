"""A histogram of durations."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.durations import BOUNDS, Durations


def test_a_new_histogram_is_empty() -> None:
    durations = Durations()
    assert durations.cumulative() == [(bound, 0) for bound in (*BOUNDS, inf)]
    assert (durations.count, durations.total) == (0, 0)


def test_several_things_may_have_taken_so_long() -> None:
    durations = Durations()
    durations.add(0.25, 3)
    durations.add(0.5)
    assert durations.count == 4
    assert durations.total == 1.25
    counts = dict(durations.cumulative())
    assert (counts[0.1], counts[0.25], counts[0.5], counts[inf]) == (0, 3, 4, 4)


@given(st.lists(st.floats(0, 60) | st.sampled_from(BOUNDS)))
def test_each_bound_counts_what_does_not_exceed_it(values: list[float]) -> None:
    durations = Durations()
    for value in values:
        durations.add(value)
    assert durations.count == len(values)
    assert durations.total == pytest.approx(sum(values))
    for bound, count in durations.cumulative():
        assert count == len([value for value in values if value <= bound])


def test_the_bounds_rise() -> None:
    assert list(BOUNDS) == sorted(set(BOUNDS))
