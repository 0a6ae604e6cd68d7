"""Bursts, slow rates, and clocks that are set back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wampush.broker.access.token_bucket import TokenBucket


def test_a_bucket_allows_a_burst_and_then_the_rate():
    bucket = TokenBucket(3.0, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(0.3)
    assert bucket.take(0.34)
    assert not bucket.take(0.34)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_bucket_slower_than_one_a_second():
    bucket = TokenBucket(0.1, 0.0)
    assert bucket.take(0.0)
    assert [bucket.take(float(second)) for second in range(1, 12)].count(True) == 1


def test_a_clock_set_back_gives_nothing_away():
    bucket = TokenBucket(1.0, 100.0)
    assert bucket.take(100.0)
    assert not bucket.take(50.0)
    assert not bucket.take(50.5)
    assert bucket.take(51.0)


@given(
    st.floats(0.01, 1000),
    st.lists(st.floats(0, 10), min_size=1, max_size=60),
)
@settings(database=None, deadline=None)
def test_a_bucket_never_gives_more_than_burst_and_rate(rate, waits):
    bucket = TokenBucket(rate, 0.0)
    now = 0.0
    taken = 0
    for wait in waits:
        now += wait
        taken += bucket.take(now)
    assert taken <= max(1.0, rate) + rate * now + 1e-6
    assert taken >= 1


def test_a_bucket_goes_on_in_another_process():
    bucket = TokenBucket(3.0, 0.0)
    assert bucket.take(0.0)
    assert bucket.take(0.0)
    left = bucket.left(0.1)
    assert left == 1.0 + 0.3
    other = TokenBucket.with_left(bucket.rate, left, 77.0)
    assert [other.take(77.0) for _ in range(2)] == [True, False]
    assert other.take(77.3)
    # Never more than a burst, whatever another process says.
    assert [TokenBucket.with_left(1.0, 9.0, 0.0).take(0.0) for _ in range(1)] == [True]
    assert TokenBucket.with_left(2.0, 9.0, 0.0).left(0.0) == 2.0
