"""How long pushes take from their arrival to the flush that follows.

Owns: which turns are timed. Must not import: Twisted, the edges; times are handed in.
"""

from __future__ import annotations

from typing import Final

from wampush.durations import Durations

#: Seconds between two turns of a source that are timed; timing each would cost a tenth of a push.
TIMED_EVERY: Final = 0.002


class PushTimer:
    """Times the pushes of a turn together, from the arrival of the oldest."""

    __slots__ = ("_published", "arrived", "durations", "next_at")

    def __init__(self) -> None:
        #: When the oldest push of this turn has arrived; 0 if the turn is not timed.
        self.arrived = 0.0
        #: Sources whose pushes arrive later than that have their turn timed.
        self.next_at = 0.0
        #: How long pushes with receivers have taken.
        self.durations: Final = Durations()
        self._published = 0

    def begin(self, arrived: float, published: int) -> None:
        """Time this turn.

        :param arrived: when the oldest of its pushes has arrived, in seconds.
        :param published: how many publications there were before them.
        """
        if not self.arrived:
            self.arrived = arrived
            self._published = published
        elif arrived < self.arrived:
            self.arrived = arrived

    def end(self, now: float, published: int) -> None:
        """Count what was published in a turn that is timed, after its flush.

        :param now: the time in seconds.
        :param published: how many publications there were until now.
        """
        arrived, self.arrived = self.arrived, 0.0
        count = published - self._published
        if count:
            self.durations.add(now - arrived, count)
            self.next_at = arrived + TIMED_EVERY
