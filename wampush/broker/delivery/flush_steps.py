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
    ) -> None:
        """Flush outboxes from the end of a list until the time is up, and remove them from it.

        Those that are empty or blocked are only removed. What this takes does not depend on how
        many are left: a publication to 19,000 clients takes a hundred turns.

        :param outboxes: in reverse order, the first one at the end.
        :param deadline: by the clock, in seconds.
        :param seconds: the clock.
        """
        while outboxes:
            # Most have as much queued as the first one.
            size = min(self._most, self._most_bytes // (outboxes[-1].queued or 1)) or 1
            step = outboxes[: -size - 1 : -1]
            del outboxes[-size:]
            if self._direct is None:
                for outbox in step:
                    if outbox.queued and not outbox.blocked:
                        outbox.flush()
            else:
                self._direct.flush(step)
            if seconds() > deadline:
                return
