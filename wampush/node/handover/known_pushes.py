"""The ids of pushes that the other node has to know, so that it publishes each push once.

Owns: which of them have been sent. Must not import: ``node.service``.

There may be very many, so they are sent in parts before the sessions move; those that have come
meanwhile follow at the end, and those of pushes that still come to the old node after that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from wampush.edges.acknowledged_pushes import AcknowledgedPushes

#: Ids in one record; they are written down within one reactor turn.
MOST_IDS: Final = 2000


class KnownPushes:
    """Takes what is known about pushes out of a node.

    :param pushes: knows them.
    :param most: ids in one part.
    """

    def __init__(self, pushes: AcknowledgedPushes, most: int = MOST_IDS) -> None:
        self._pushes = pushes
        self._most = most
        self._last = ""
        # Those that had no outcome when it was their turn.
        self._undecided: Sequence[str] = ()
        self._waiting: deque[str] | None = None

    def take(self) -> Sequence[Sequence[Any]]:
        """Return the next part of what was known at the first call; empty when there is no more."""
        if self._waiting is None:
            self._waiting = deque(self._pushes.ids.ids_after(""))
        count = min(self._most, len(self._waiting))
        return self._take([self._waiting.popleft() for _ in range(count)])

    def take_rest(self) -> Sequence[Sequence[Any]]:
        """Return what has become known since the last call."""
        undecided, self._undecided = self._undecided, ()
        return [*self._values(undecided), *self._take(self._pushes.ids.ids_after(self._last))]

    def _take(self, ids: Sequence[str]) -> Sequence[Sequence[Any]]:
        if ids:
            self._last = ids[-1]
        return self._values(ids)

    def _values(self, ids: Sequence[str]) -> Sequence[Sequence[Any]]:
        found = [(each, self._pushes.known_values(each)) for each in ids]
        self._undecided = [*self._undecided, *[each for each, values in found if values is None]]
        return [values for _, values in found if values is not None]
