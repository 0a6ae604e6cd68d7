"""Runs of stored events that are written once for all sessions that get the same.

Owns: the joined frames, and how many are kept. Must not import: Twisted, the edges.

When ten thousand clients return at once, they have mostly missed the same events. These are written
once per format, and each outbox takes a reference to the same bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from wampush.broker.delivery.format import Format
from wampush.broker.memory_costs import named_bytes

#: Bytes of runs that are kept for the next session; a single run may be longer.
MAX_BYTES: Final = 4 * 1024 * 1024
#: Bytes that a run takes besides its frames; measured with tracemalloc.
_RUN_BYTES: Final = 700
#: Bytes per offset of a run whose events sessions see only in part: an integer and its place.
_OFFSET_BYTES: Final = 40


class RunKey(NamedTuple):
    """What a session gets.

    :ivar topic: of the events.
    :ivar epoch: of the topic's log.
    :ivar revision: of the log; another one may mean other events. 0 where offsets are given.
    :ivar events: which ones: the offset after which they begin; None for what new subscribers get;
        the offset of each where sessions see different ones.
    :ivar wire_format: in which they are written.
    """

    topic: str
    epoch: str
    revision: int
    events: int | tuple[int, ...] | None
    wire_format: Format


class Run(NamedTuple):
    """Events as sessions get them.

    :ivar chunk: the joined frames.
    :ivar events: how many there are.
    :ivar left_out: how many older ones were too much for one replay.
    :ivar excluded: ids of sessions that may not see all of them.
    """

    chunk: bytes
    events: int
    left_out: int
    excluded: frozenset[str]


class SharedRuns:
    """Keeps the runs that were used last.

    :param max_bytes: of all runs together.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        # The run that was used longest ago comes first.
        self._runs: OrderedDict[RunKey, Run] = OrderedDict()
        #: Bytes that the runs take.
        self.size = 0

    def get(self, key: RunKey, session_id: str) -> Run | None:
        """Return a run; None if there is none, or the session may not see all of it."""
        run = self._runs.get(key)
        if run is None or session_id in run.excluded:
            return None
        self._runs.move_to_end(key)
        return run

    def keep(self, key: RunKey, run: Run) -> None:
        """Keep a run for the next session; those used longest ago go if it is too much."""
        before = self._runs.pop(key, None)
        if before is not None:
            self.size -= _size(key, before)
        self._runs[key] = run
        self.size += _size(key, run)
        while self.size > self._max_bytes and len(self._runs) > 1:
            self.size -= _size(*self._runs.popitem(last=False))


def _size(key: RunKey, run: Run) -> int:
    offsets = len(key.events) if isinstance(key.events, tuple) else 0
    excluded = sum(map(named_bytes, run.excluded))
    return len(run.chunk) + _RUN_BYTES + _OFFSET_BYTES * offsets + excluded
