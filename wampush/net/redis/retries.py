"""When to connect again to a Redis server that is away.

Owns: the delays. Pure. Must not import: the broker, the edges.
"""

from __future__ import annotations

from typing import Final

#: Seconds until the next attempt: after the first failure, and at most. Up to half of a delay is
#: left out at random, so that many nodes do not come back at the same moment.
FIRST_DELAY: Final = 0.5
MAX_DELAY: Final = 15.0


def retry_delay(
    failures: int, chance: float, first: float = FIRST_DELAY, most: float = MAX_DELAY
) -> float:
    """Return the seconds until the next attempt.

    :param failures: failed attempts in a row, at least one.
    :param chance: how much of the random half to leave out, from 0 to 1.
    :param first: the longest delay after the first failure, in seconds.
    :param most: the longest delay, in seconds.
    """
    longest = min(most, first * 2.0 ** min(failures - 1, 30))
    return longest * (1 - chance / 2)
