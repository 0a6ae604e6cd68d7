"""What a source of pushes may read in one reactor turn.

Owns: the limits on messages, bytes and time, and when one of them is reached. No I/O; the clock is
handed in.
Must not import: anything of wampush.

A source that reads until nothing is left delays everything else in the process. So each one reads a
share, then gives way to the rest of the turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: What one source may read in a turn, whichever limit is reached first.
TURN_MESSAGES: Final = 1000
TURN_SECONDS: Final = 0.005
#: Seconds that a turn of one source may take, its sends included, before its next share is smaller.
BUSY_SECONDS: Final = 0.002
#: The smallest part of a share: below it, more turns would cost more than they help others.
_LEAST_PART: Final = 1 / 32
#: A reader asks :meth:`TurnBudget.is_late` only after messages whose number has none of these bits,
#: because reading the clock costs as much as a small message.
CLOCK_MASK: Final = 15
#: Messages that a reader may take at once, which looks at the clock after each such batch.
BATCH: Final = CLOCK_MASK + 1
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


def _batches(messages: int) -> tuple[int, ...]:
    """Return the sizes of the batches that so many messages make."""
    whole, rest = divmod(messages, BATCH)
    return (BATCH,) * whole + ((rest,) if rest else ())


class TurnBudget:
    """The share of one source, renewed in each turn.

    The reader counts by itself, because a call per message would cost more than the counting::

        bytes_left = budget.begin()
        for count in budget.steps:
            bytes_left -= read_message()
            if bytes_left < 0 or (not count & CLOCK_MASK and budget.is_late()):
                break

    A message is read before its size is known, so one larger than the share passes, too.

    What a push costs depends on its receivers, which is not known when it is read. So
    :meth:`adapt` makes the share of a source that always has more smaller, as long as its turns
    take longer than :data:`BUSY_SECONDS`.

    :param max_bytes: bytes per turn.
    :param now: returns the time in seconds; a clock that never goes back.
    :param max_messages: messages per turn.
    :param max_seconds: seconds per turn.
    """

    __slots__ = (
        "_bytes",
        "_max_bytes",
        "_max_messages",
        "_max_seconds",
        "_now",
        "batches",
        "begun",
        "part",
        "steps",
    )

    def __init__(
        self,
        max_bytes: int,
        now: Callable[[], float],
        *,
        max_messages: int = TURN_MESSAGES,
        max_seconds: float = TURN_SECONDS,
    ) -> None:
        self._max_bytes = self._bytes = max_bytes
        self._max_messages = max_messages
        self._max_seconds = max_seconds
        self._now = now
        #: When this turn began, by the clock that was handed in.
        self.begun = 0.0
        #: The part of the whole share that the source gets now.
        self.part = 1.0
        #: The messages of a turn, numbered.
        self.steps = range(max_messages)
        #: The sizes of the batches that they make.
        self.batches = _batches(max_messages)

    def begin(self) -> int:
        """Begin a turn; return the bytes that may be read in it."""
        self.begun = self._now()
        return self._bytes

    def is_late(self) -> bool:
        """Return whether the time of this turn is up."""
        return self._now() - self.begun > self._max_seconds

    def adapt(self, has_more: bool, is_held: bool = False) -> None:
        """Choose the next share, once everything that was read is sent.

        Needed after a turn only if the source had more, or has less than its whole share.

        :param has_more: whether the source still has messages.
        :param is_held: whether sources must pause after it, because clients read too slowly; then
            the turn says nothing about the time that its sends take.
        """
        took = self._now() - self.begun
        if is_held:
            part = max(_LEAST_PART, self.part / 2)
        elif has_more and took > BUSY_SECONDS:
            part = max(_LEAST_PART, self.part * BUSY_SECONDS / took)
        elif not has_more or took * 2 < BUSY_SECONDS:
            part = min(1.0, self.part * 2)
        else:
            return
        self.part = part
        messages = max(1, round(self._max_messages * part))
        self.steps = range(messages)
        self.batches = _batches(messages)
        self._bytes = round(self._max_bytes * part)
