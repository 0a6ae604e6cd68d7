"""Whatever depends on more than the seed of a simulation, replaced.

Owns: which names these are. Must not import: anything else of the simulation.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from wampush.edges.backplane import redis_bus


@contextmanager
def deterministic(seed: int, now: Callable[[], float]) -> Iterator[None]:
    """Have random names, delays and shares of a reactor turn depend on a seed only.

    :param now: the simulation's time, in seconds.
    """
    before = random.getstate()
    random.seed(seed)
    with ExitStack() as patches:
        # Names of sessions, nodes and epochs.
        patches.enter_context(patch.object(secrets, "_sysrand", random.Random(seed)))
        patches.enter_context(patch.object(redis_bus, "monotonic", now))
        try:
            yield
        finally:
            random.setstate(before)
