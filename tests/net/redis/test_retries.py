"""When a Redis server that is away is tried again."""

from __future__ import annotations

import pytest

from wampush.net.redis.retries import MAX_DELAY, retry_delay


@pytest.mark.parametrize(
    ("failures", "longest"),
    [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (6, MAX_DELAY), (10**9, MAX_DELAY)],
)
def test_delays_double_up_to_a_limit_and_vary_by_half(failures: int, longest: float) -> None:
    assert retry_delay(failures, 0.0) == longest
    assert retry_delay(failures, 1.0) == longest / 2
    assert longest / 2 < retry_delay(failures, 0.3) < longest


def test_other_delays_grow_the_same_way() -> None:
    delays = [retry_delay(failures, 0.0, first=0.1, most=1.0) for failures in range(1, 7)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
