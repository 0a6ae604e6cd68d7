"""Flushes of many outboxes, step by step, until the time is up.

Owns: how many outboxes there are between two looks at the clock. Must not import: Twisted, the
edges; the clock is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wampush.broker.delivery.direct_sends import DirectSends
from wampush.broker.delivery.outbox import Outbox

#: Outboxes of a step, for each thread that sends, and about how many bytes at most: the kernel
#: takes up to 1 ms for 100 KB on a busy machine.
FLUSH_STEP: Final = 32
FLUSH_STEP_BYTES: Final = 64 * 1024


class FlushSteps:
    """Flushes outboxes.

    :param direct: flushes many at once; None to have each flush itself.
    :param threads: how many threads send.
    """

    __slots__ = ("_direct", "_most", "_most_bytes")

    def __init__(self, direct: DirectSends | None, threads: int) -> None:
        self._direct = direct
        self._most = FLUSH_STEP * threads
        self._most_bytes = FLUSH_STEP_BYTES * threads

    def flush_until(
        self, outboxes: list[Outbox], deadline: float, seconds: Callable[[], float]
    ) -> list[Outbox]:
        """Flush outboxes until the time is up; return those that are left.

        Those that are empty or blocked are left alone.

        :param deadline: by the clock, in seconds.
        :param seconds: the clock.
        """
        end = 0
        while end < len(outboxes):
            start = end
            # Most have as much queued as the first one.
            end += min(self._most, self._most_bytes // (outboxes[start].queued or 1)) or 1
            if self._direct is None:
                for outbox in outboxes[start:end]:
                    if outbox.queued and not outbox.blocked:
                        outbox.flush()
            else:
                self._direct.flush(outboxes[start:end])
            if seconds() > deadline:
                return outboxes[end:]
        return []
