"""How long the parent waits before it starts a node again.

Owns: the delays. Must not import: anything of wampush.
"""

from __future__ import annotations

from typing import Final

#: Seconds before the second of several quick restarts; the first one comes at once.
FIRST_DELAY: Final = 0.5
#: Seconds that a delay has at most.
LONGEST_DELAY: Final = 30.0
#: Seconds that a node must have served for its end to count as the first.
CALM: Final = 10.0


class Backoff:
    """Doubles the delay with each node that does not last."""

    def __init__(self) -> None:
        self._delay = 0.0

    def after(self, served: float) -> float:
        """Return the seconds to wait.

        :param served: for how many seconds the node that has ended served.
        """
        if served >= CALM:
            self._delay = 0.0
        delay = self._delay
        self._delay = min(max(2 * delay, FIRST_DELAY), LONGEST_DELAY)
        return delay
