"""How long this process has waited for a core lately.

Owns: the figure, read from the scheduler's statistics. Must not import: wampush, scenarios.

Whoever judges what a client saw has to know whether the client had a chance to read. A process that
is ready to run and waits for a core does not read, whatever its code says.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

#: The second number is the time spent waiting on a run queue, in nanoseconds (Linux
#: Documentation/scheduler/sched-stats.rst).
_STATISTICS: Final = Path("/proc/self/schedstat")
_INTERVAL: Final = 0.05
#: How far back the figure looks, in seconds.
LATELY: Final = 1.0


def _waited() -> float:
    return int(_STATISTICS.read_text().split()[1]) / 1e9


class CoreWaits:
    """Watches how long the main thread of this process waits for a core.

    :param waited: returns how long it has waited in all, in seconds.
    :param now: returns the time, in seconds.
    """

    def __init__(
        self,
        waited: Callable[[], float] = _waited,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waited = waited
        self._now = now
        self._samples: deque[tuple[float, float]] = deque()
        self.sample()

    async def watch(self) -> None:
        """Take samples until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            self.sample()

    def sample(self) -> None:
        """Note how long it has waited until now."""
        now = self._now()
        self._samples.append((now, self._waited()))
        while len(self._samples) > 1 and self._samples[1][0] <= now - LATELY:
            self._samples.popleft()

    def lately(self) -> float:
        """Return how many of the last :data:`LATELY` seconds it waited for a core."""
        self.sample()
        return self._samples[-1][1] - self._samples[0][1]
