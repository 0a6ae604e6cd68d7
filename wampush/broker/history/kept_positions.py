"""What users whose sessions have ended are known to have received.

Owns: the positions by user and topic, for how long they are kept, and the limit on their memory.
Must not import: Twisted, the edges. The clock is handed in.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from wampush.broker.publication import Position

#: Bytes of a user's topic but for the characters of both names, and of one position; 1,050 measured
#: for both, 160 for a further position (tracemalloc).
KEY_BYTES: Final = 1000
POSITION_BYTES: Final = 250
#: Positions of one user on one topic; of more, the oldest are joined.
MOST_POSITIONS: Final = 16

_Key = tuple[str, str]


class KeptPositions:
    """Positions of ended sessions, by user and topic.

    :param seconds: how long they are kept.
    :param max_bytes: of memory for all of them; beyond it, those that were kept longest go.
    :param now: the time in seconds of a clock that never goes back.
    :param per_address: users' topics that are kept for clients of one address; beyond it, those
        that were kept longest go.
    """

    def __init__(
        self,
        seconds: float,
        max_bytes: int,
        now: Callable[[], float],
        per_address: int = sys.maxsize,
    ) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._now = now
        self._per_address = per_address
        # The address that each entry counts for, and the entries of each, oldest first.
        self._address_of: dict[_Key, str] = {}
        self._of_address: dict[str, OrderedDict[_Key, None]] = {}
        # Those that were added to longest ago come first. Each entry is in the order of its ends.
        self._kept: OrderedDict[_Key, deque[tuple[float, Position]]] = OrderedDict()
        #: Bytes of memory that all of them take.
        self.size = 0

    def keep(
        self, user: str, topic: str, position: Position, address_name: str | None = None
    ) -> None:
        """Keep a position of a session that has ended.

        :param address_name: the name under which its address is counted; None for one that is not.
        """
        now = self._now()
        while self._kept and next(iter(self._kept.values()))[-1][0] < now:
            self._drop(next(iter(self._kept)))
        self._add((user, topic), now + self._seconds, position, address_name)

    def _add(self, key: _Key, ends_at: float, position: Position, address_name: str | None) -> None:
        entries = self._kept.get(key)
        if entries is None:
            entries = self._kept[key] = deque()
            self.size += _key_bytes(key)
        self._kept.move_to_end(key)
        # Only the smallest position counts, so one that is larger and ends earlier never will.
        while entries and _is_covered(entries[-1][1], position):
            entries.pop()
            self.size -= POSITION_BYTES
        entries.append((ends_at, position))
        self.size += POSITION_BYTES
        if len(entries) > MOST_POSITIONS:
            _, oldest = entries.popleft()
            ends, _ = entries.popleft()
            entries.appendleft((ends, oldest))
            self.size -= POSITION_BYTES
        self._count_for(address_name, key)
        while self.size > self._max_bytes and self._kept:
            self._drop(next(iter(self._kept)))

    def of(self, user: str, topic: str) -> list[Position]:
        """Return the positions of a user's sessions that have ended not long ago."""
        entries = self._kept.get((user, topic))
        if entries is None:
            return []
        now = self._now()
        return [position for ends, position in entries if ends >= now]

    def _count_for(self, address_name: str | None, key: _Key) -> None:
        self._count_for_none(key)
        if address_name is not None:
            self._address_of[key] = address_name
            keys = self._of_address.setdefault(address_name, OrderedDict())
            keys[key] = None
            if len(keys) > self._per_address:
                self._drop(next(iter(keys)))

    def _count_for_none(self, key: _Key) -> None:
        address_name = self._address_of.pop(key, None)
        if address_name is not None:
            keys = self._of_address[address_name]
            del keys[key]
            if not keys:
                del self._of_address[address_name]

    def snapshot(self) -> list[tuple[str, str, float, str, int, str | None]]:
        """Return user, topic, seconds left, epoch, offset and address, for another process."""
        now = self._now()
        return [
            (*key, ends - now, position.epoch, position.offset, self._address_of.get(key))
            for key, entries in self._kept.items()
            for ends, position in entries
            if ends >= now
        ]

    def restore(self, states: Iterable[Sequence[Any]]) -> None:
        """Keep what another process has kept, as long as it would have."""
        now = self._now()
        for user, topic, left, epoch, offset, address_name in states:
            ends_at = now + min(left, self._seconds)
            self._add((user, topic), ends_at, Position(epoch, offset), address_name)

    def _drop(self, key: _Key) -> None:
        entries = self._kept.pop(key)
        self.size -= _key_bytes(key) + POSITION_BYTES * len(entries)
        self._count_for_none(key)


def _key_bytes(key: _Key) -> int:
    return KEY_BYTES + len(key[0]) + len(key[1])


def _is_covered(earlier: Position, later: Position) -> bool:
    return earlier.epoch == later.epoch and earlier.offset >= later.offset
