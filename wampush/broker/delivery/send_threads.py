"""Threads that share the sends of a large fan-out.

Owns: from how many receivers on sends are split, when threads are started, and what happens where
they cannot be. Must not import: Twisted, sockets, the edges; what sends is handed in.

A split changes nothing but the time that sends take: all are done when the call returns, and what
the sockets have not taken is reported as by one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from wampush.broker.delivery.direct_sends import SendEach

#: Sends of a call from which on it is split: waking a thread takes as long as several sends.
SPLIT_SENDS: Final = 64


class SendThreads:
    """Sends to many sockets, with several threads if they are very many.

    Threads are started when there is something to split, because a daemon forks after it has been
    made, which would leave them behind.

    :param count: of the threads, the caller's included.
    :param alone: sends with the caller's thread only.
    :param start: starts that many threads; returns what sends with them.
    :param report: gets a sentence for operators as ``problem``.
    """

    __slots__ = ("_alone", "_report", "_start", "_together", "active", "count")

    def __init__(
        self,
        count: int,
        alone: SendEach,
        start: Callable[[int], SendEach],
        report: Callable[..., object],
    ) -> None:
        #: How many threads are wanted.
        self.count: Final = count
        self._alone = alone
        self._start = start
        self._report = report
        self._together: SendEach | None = None
        #: How many threads send to a large topic; 1 until there was something to split.
        self.active = 1

    def send_each(self, handles: list[Any], chunks: list[bytes]) -> list[tuple[int, int]]:
        """Send each chunk to the handle with the same index; see :data:`SendEach`.

        :param handles: none of them occurs twice.
        """
        if len(handles) < SPLIT_SENDS:
            return self._alone(handles, chunks)
        together = self._together or self._started()
        return together(handles, chunks)

    def _started(self) -> SendEach:
        try:
            self._together = self._start(self.count)
        except OSError as error:
            # For good: a limit on threads is not raised while a process runs.
            self._together = self._alone
            self._report(
                problem=f"process.send_threads = {self.count} has no effect: a thread cannot be "
                f"started ({error}); raise the limit on threads (TasksMax of systemd, ulimit -u)"
            )
        else:
            self.active = self.count
        return self._together
