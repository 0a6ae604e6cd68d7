"""A token bucket: a rate that allows short bursts.

Owns: how many actions fit at a time. Must not import: anything of wampush.
"""

from __future__ import annotations


class TokenBucket:
    """A rate that allows as many actions at once as it does in one second, and at least one.

    :param rate: actions per second.
    :param now: the time, in seconds.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._burst = max(1.0, rate)
        self._tokens = self._burst
        self._at = now

    @property
    def rate(self) -> float:
        """Actions per second."""
        return self._rate

    def left(self, now: float) -> float:
        """Return how many actions fit, with fractions.

        :param now: the time, in seconds.
        """
        return min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)

    @classmethod
    def with_left(cls, rate: float, left: float, now: float) -> TokenBucket:
        """Return a bucket into which so many actions fit.

        :param rate: actions per second.
        :param left: how many actions fit, with fractions.
        :param now: the time, in seconds.
        """
        bucket = cls(rate, now)
        bucket._tokens = min(bucket._burst, max(0.0, left))
        return bucket

    def take(self, now: float) -> bool:
        """Count one action if it fits.

        :param now: the time, in seconds.
        :returns: whether it fits.
        """
        # A clock that is set back adds no tokens and removes none.
        elapsed = max(0.0, now - self._at)
        self._at = now
        self._tokens = min(self._burst, self._tokens + elapsed * self._rate)
        # Ten tenths of a token add up to slightly less than one.
        if self._tokens < 1.0 - 1e-9:
            return False
        self._tokens -= 1.0
        return True
