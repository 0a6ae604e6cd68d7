"""A clock that a test moves, and that threads can hand calls to.

Owns: the time of a server in memory. Must not import: anything of wampush.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Final

from twisted.internet.task import Clock

#: Seconds of real time that a call of a thread is waited for.
PATIENCE: Final = 20.0
#: The time of day at the start of every test: 2026-01-01 00:00:00 UTC.
START: Final = 1_767_225_600.0


class ThreadedClock(Clock):
    """Twisted's clock for tests, with ``callFromThread``."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = SimpleQueue()

    def now(self) -> float:
        """Return the time of day, in seconds since the epoch."""
        return START + self.seconds()

    def callFromThread(self, function: Callable[..., object], *arguments: Any) -> None:  # noqa: N802 - Twisted's name
        """Have a function called in the thread of the test."""
        self._calls.put((function, arguments))

    def run_one(self, patience: float = PATIENCE) -> bool:
        """Run the next call of a thread; wait for it if there is none.

        :param patience: seconds of real time to wait.
        :returns: whether there was one.
        """
        try:
            function, arguments = self._calls.get(timeout=patience)
        except Empty:
            return False
        function(*arguments)
        return True
