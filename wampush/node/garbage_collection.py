"""The garbage collector of a process that keeps many objects for long.

Owns: when and how often the collector runs, and which objects it no longer looks at.
Must not import: the parts of a node, which install a reactor.

A collection of the oldest generation looks at everything that lives: with 19,000 connections it
stops the process for some 80 ms. What lives long, which is nearly all of it, is freed by its
reference counts when it ends. So whatever has survived a collection that took long is *frozen*
(``gc.freeze``), and the next one looks only at what is newer. In a storm of connections, this makes
many short pauses of one long one that grows.

Cycles among frozen objects are found when everything is *thawed*. That happens as soon as the short
collections since the last time have taken :data:`THAW_PART` times as long as a collection of
everything, so that neither the garbage nor the time for looking at it grows without bounds.

An upgrade is over sooner without collections: at the start of the new process, for which the plugin
of twistd switches the collector off, and in both while sessions move.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import thread_time
from typing import Final

#: New objects between two collections of the youngest generation; collections of that between two
#: of the next one; and likewise for the oldest. 20,000 new objects thus lead to a collection of the
#: oldest one, which takes some 3 ms. Python's own thresholds, 700, 10 and 10, lead to one after
#: 70,000.
THRESHOLDS: Final = (2_000, 5, 2)
#: Seconds of a collection of the oldest generation after which what has survived it is frozen.
LONG_SECONDS: Final = 0.001
#: Times that a collection of everything takes, after which everything is thawed.
THAW_PART: Final = 4
#: Seconds after which it is thawed at the earliest, so that one storm does not lead to it.
LEAST_THAW_SECONDS: Final = 0.25
_OLDEST: Final = 2


@contextmanager
def paused_collector() -> Iterator[None]:
    """Collect no garbage inside of the ``with``, which only imports.

    The collector would look at what was imported again and again, in an eighth of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class GarbageCollection:
    """Keeps the pauses by the garbage collector short, from :meth:`start` to :meth:`stop`.

    From Python 3.14 on, only the first collection of everything is one of the oldest generation:
    later ones are incremental, and short anyway.

    :param seconds: returns the CPU time of the thread that calls it.
    """

    def __init__(self, seconds: Callable[[], float] = thread_time) -> None:
        self._seconds = seconds
        self._thresholds = gc.get_threshold()
        self._callback = self._on_collection
        self._begun = 0.0
        self._is_of_everything = True
        self._is_paused = False
        #: How long a collection of everything takes.
        self._whole = 0.0
        #: How long those since then have taken that were followed by freezing.
        self._since = 0.0

    def begin(self) -> None:
        """Collect from now on; until here, the plugin of twistd has collected nothing."""
        # Only what comes after the freeze is looked at.
        self.start()
        gc.enable()

    def start(self) -> None:
        """Freeze what is loaded by now: it stays.

        So does the garbage of the imports, half a MiB, until everything is thawed. To find it would
        take a twentieth of the start.
        """
        self._thresholds = gc.get_threshold()
        gc.set_threshold(*THRESHOLDS)
        self._is_of_everything = False
        gc.callbacks.append(self._callback)
        gc.freeze()

    def pause(self) -> None:
        """Collect nothing while sessions move, which makes many objects and hardly any garbage."""
        self._is_paused = gc.isenabled()
        gc.disable()

    def resume(self) -> None:
        """Collect again as before; does nothing unless it is paused."""
        if self._is_paused:
            self._is_paused = False
            gc.enable()

    def settle(self) -> None:
        """Freeze what has come while the collector was paused, because it stays; then resume."""
        gc.freeze()
        self.resume()

    def stop(self) -> None:
        """Leave the collector as it was before; does nothing unless it was started."""
        if self._callback in gc.callbacks:
            gc.callbacks.remove(self._callback)
            gc.set_threshold(*self._thresholds)
            gc.unfreeze()

    def _on_collection(self, phase: str, info: Mapping[str, int]) -> None:
        """Note the begin or the end of a collection, in whatever thread it is."""
        if info["generation"] != _OLDEST:
            return
        if phase == "start":
            if self._since > max(LEAST_THAW_SECONDS, self._whole * THAW_PART):
                self._is_of_everything = True
                gc.unfreeze()
            self._begun = self._seconds()
            return
        took = self._seconds() - self._begun
        if self._is_of_everything:
            self._is_of_everything = False
            self._whole, self._since = took, 0.0
            gc.freeze()
        elif took > LONG_SECONDS:
            self._since += took
            gc.freeze()
