"""Runs twistd in a process whose time of day can be set back: SIGUSR2 sets it back by an hour."""

from __future__ import annotations

import signal
import time
from importlib import import_module

HOUR = 3600.0


class TimeOfDay:
    """The time of day."""

    def __init__(self) -> None:
        self._real = time.time
        self._offset = 0.0

    def __call__(self) -> float:
        return self._real() + self._offset

    def set_back(self, *_: object) -> None:
        """Set it back by an hour."""
        self._offset -= HOUR


if __name__ == "__main__":
    clock = TimeOfDay()
    # Before Twisted takes the function out of its module.
    time.time = clock
    signal.signal(signal.SIGUSR2, clock.set_back)

    import_module("twisted.scripts.twistd").run()
