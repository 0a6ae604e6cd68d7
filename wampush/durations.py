"""How long something takes, counted in a histogram.

Owns: the bounds of its buckets. Must not import: anything of wampush.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from math import inf
from typing import Final

#: Upper bounds in seconds: from a turn that does next to nothing to the longest that pushes wait.
BOUNDS: Final = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    25.0,
)


class Durations:
    """A histogram of durations, with the same buckets wherever it is used."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        #: The sum of all durations, in seconds.
        self.total = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        """Count a duration.

        :param count: how many things have taken so long.
        """
        # A duration that equals a bound belongs below it.
        self._counts[bisect_left(BOUNDS, seconds)] += count
        self.total += seconds * count

    @property
    def count(self) -> int:
        """How many durations there are."""
        return sum(self._counts)

    def cumulative(self) -> Sequence[tuple[float, int]]:
        """Return for each bound how many durations do not exceed it; the last one is infinite."""
        return list(zip((*BOUNDS, inf), accumulate(self._counts), strict=True))
