"""How long the garbage collector stops the process.

Owns: what is measured of it. Must not import: Twisted.

Collections of the youngest generation are left out: they are frequent, and take one or two tenths
of a millisecond.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final

from wampush.durations import Durations


class CollectorPauses:
    """Measures collections of older generations, from :meth:`start` to :meth:`stop`.

    :param seconds: returns the time in seconds; a clock that never goes back.
    """

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._begun = 0.0
        self._callback = self._on_collection
        #: How long each took.
        self.durations: Final = Durations()

    def start(self) -> None:
        """Begin to measure."""
        gc.callbacks.append(self._callback)

    def stop(self) -> None:
        """Measure no longer; does nothing if it does not measure."""
        if self._callback in gc.callbacks:
            gc.callbacks.remove(self._callback)

    def _on_collection(self, phase: str, info: Mapping[str, int]) -> None:
        """Note the begin or the end of a collection, in whatever thread it is."""
        if not info["generation"]:
            return
        if phase == "start":
            self._begun = self._seconds()
        else:
            self.durations.add(self._seconds() - self._begun)
