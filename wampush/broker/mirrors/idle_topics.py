"""The topics that nobody needs at the moment.

Owns: how long each of them is kept. Must not import: Twisted, the edges. Clock and timers are
handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wampush.clock import Clock

#: Seconds for which a topic is kept after the last subscriber has left, or the last request.
LINGER: Final = 1.0


class IdleTopics:
    """Reports topics that nobody seems to have needed for a while.

    :param on_elapsed: gets each of them once after its last note; somebody may need it again.
    :param clock: for the timer, of which there is one at most.
    """

    def __init__(self, on_elapsed: Callable[[str], None], clock: Clock) -> None:
        self._on_elapsed = on_elapsed
        self._clock = clock
        #: When each was noted last, the first of them longest ago.
        self._noted: dict[str, float] = {}
        self._timer: object = None

    def __len__(self) -> int:
        """Return how many topics are noted."""
        return len(self._noted)

    def note(self, topic: str) -> None:
        """Take note that nobody seems to need a topic from now on."""
        self._noted.pop(topic, None)
        self._noted[topic] = self._clock.seconds()
        if self._timer is None:
            self._timer = self._clock.call_later(LINGER, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        limit = self._clock.seconds() - LINGER
        while self._noted:
            topic, since = next(iter(self._noted.items()))
            if since > limit:
                self._timer = self._clock.call_later(LINGER, self._sweep)
                break
            del self._noted[topic]
            self._on_elapsed(topic)
