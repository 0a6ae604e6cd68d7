"""What a source of pushes may read in one reactor turn.

Owns: the limits on messages, bytes and time, and when one of them is reached. No I/O; the clock is
handed in.
Must not import: anything of wampush.

A source that reads until nothing is left delays everything else in the process. So each one reads a
share, then gives way to the rest of the turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

#: What one source may read in a turn, whichever limit is reached first.
TURN_MESSAGES: Final = 1000
TURN_SECONDS: Final = 0.005
#: The clock is read once per this many messages, because reading it costs as much as a small
#: message. A power of two.
_MESSAGES_PER_CLOCK_READ: Final = 16
#: The part of a client's queue that all sources of a kind together may fill in a turn, so that a
#: client that keeps up never exceeds its limit.
_PARTS_OF_QUEUE: Final = 4


def bytes_per_source(maximum: int, queue_bytes: int, sources: int) -> int:
    """Return how many bytes each of several sources may read in a turn.

    :param maximum: what all of them together may read, in bytes.
    :param queue_bytes: what may wait for one client, in bytes.
    :param sources: how many share; 0 counts as 1.
    """
    return min(maximum, queue_bytes // _PARTS_OF_QUEUE) // max(1, sources)


class TurnBudget:
    """The share of one source: iterating begins a turn and ends once the share is used up.

    Whoever iterates reads one message per step and takes its size from :attr:`bytes_left`. A step
    is always granted first, so that a message larger than the share passes, too.

    :param max_bytes: bytes per turn.
    :param now: returns the time in seconds; a clock that never goes back.
    :param max_messages: messages per turn.
    :param max_seconds: seconds per turn.
    """

    __slots__ = ("_max_bytes", "_max_messages", "_max_seconds", "_now", "bytes_left")

    def __init__(
        self,
        max_bytes: int,
        now: Callable[[], float],
        *,
        max_messages: int = TURN_MESSAGES,
        max_seconds: float = TURN_SECONDS,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_messages = max_messages
        self._max_seconds = max_seconds
        self._now = now
        #: Bytes left in this turn; negative once the share is used up. The reader subtracts from
        #: it directly, because a call per message would cost more than the counting.
        self.bytes_left = max_bytes

    def __iter__(self) -> Iterator[int]:
        """Begin a turn; yield the number of messages read so far before each further one."""
        self.bytes_left = self._max_bytes
        now = self._now
        deadline = now() + self._max_seconds
        mask = _MESSAGES_PER_CLOCK_READ - 1
        for count in range(self._max_messages):
            yield count
            if self.bytes_left < 0 or (not count & mask and now() > deadline):
                return
