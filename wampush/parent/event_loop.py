"""The parent's loop: descriptors that can be read, signals, and one next time.

Owns: waiting. Must not import: Twisted; anything of wampush.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final

#: Signals read at a time.
_SIGNAL_BYTES: Final = 64
#: Seconds that one wait lasts at most.
_LONGEST_WAIT: Final = 3600.0


class EventLoop:
    """Calls functions for what happens, one after the other, in one thread.

    :param signals: the numbers of those that ``on_signal`` takes.
    :param on_signal: takes the number of a signal.
    """

    def __init__(self, signals: Iterable[int], on_signal: Callable[[int], object]) -> None:
        self._on_signal = on_signal
        self._selector = selectors.DefaultSelector()
        self._is_over = False
        self._read_end, self._write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in signals:
            # What counts is the byte in the pipe.
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        self.watch(self._read_end, self._read_signals)

    def watch(self, descriptor: int, on_readable: Callable[[], object]) -> None:
        """Call a function whenever a descriptor can be read."""
        self._selector.register(descriptor, selectors.EVENT_READ, on_readable)

    def unwatch(self, descriptor: int) -> None:
        """Call the function no longer; the descriptor must still be open."""
        self._selector.unregister(descriptor)

    def watches(self, descriptor: int) -> bool:
        """Return whether a function is called when a descriptor can be read."""
        return descriptor >= 0 and descriptor in self._selector.get_map()

    def stop(self) -> None:
        """End :meth:`run` after the functions for what has happened already."""
        self._is_over = True

    def run(
        self, next_time: Callable[[], float | None], on_time: Callable[[float], object]
    ) -> None:
        """Wait and call until :meth:`stop`.

        :param next_time: returns when ``on_time`` is to be called next, by the monotonic clock;
            None for not before something else happens.
        :param on_time: is called after everything that has happened; takes the time before which
            all of that happened, even if this process did not run for a while.
        """
        while not self._is_over:
            when = next_time()
            left = _LONGEST_WAIT if when is None else max(when - monotonic(), 0.0)
            events = self._selector.select(min(left, _LONGEST_WAIT))
            now = monotonic()
            for key, _ in events:
                # An earlier function may have stopped watching this one.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            on_time(now)

    def close(self) -> None:
        """Give the descriptors back, and leave signals to Python."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        os.close(self._read_end)
        os.close(self._write_end)

    def _read_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in os.read(self._read_end, _SIGNAL_BYTES):
                self._on_signal(number)
