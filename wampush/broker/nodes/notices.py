"""The notices of changes, of which a large one is given in slices.

Owns: how much of a change is dealt with in one turn. Must not import: Twisted, the edges, presence.
The clock is handed in.

A node that comes or goes changes all its users at once. Listeners compare each of them with what
all nodes have reported by then, so a slice may come late, and twice does no harm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from wampush.broker.nodes.people import NodePeople, PeopleChange
from wampush.clock import Clock, TimerHandle

#: Entries before and after a change that is given as a whole.
MOST_AT_ONCE: Final = 400
#: Names that are compared in one turn; that takes about 1 ms.
SLICE: Final = 200


class Notices:
    """Gives changes to listeners, large ones over several turns.

    :param notify: gives a change, or a part of one, to all listeners.
    :param clock: for the turns.
    """

    def __init__(self, notify: Callable[[PeopleChange], None], clock: Clock) -> None:
        self._notify = notify
        self._clock = clock
        self._waiting: deque[Iterator[PeopleChange]] = deque()
        self._timer: TimerHandle | None = None
        self._is_stopped = False

    @property
    def is_idle(self) -> bool:
        """Whether listeners know everything."""
        return not self._waiting

    def replace(self, before: NodePeople, after: NodePeople) -> None:
        """Give what is different, at once if it is little.

        :param before: must not change any more.
        :param after: what the node has now.
        """
        if before.size + after.size > MOST_AT_ONCE:
            self._waiting.append(before.differences(after, SLICE))
            self._give_some()
            return
        change = before.difference(after)
        if change:
            self._notify(change)

    def stop(self) -> None:
        """Give nothing more."""
        self._is_stopped = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_turn(self) -> None:
        self._timer = None
        self._give_some()

    def _give_some(self) -> None:
        if self._timer is not None or self._is_stopped:
            return
        while self._waiting:
            part = next(self._waiting[0], None)
            if part is not None:
                self._timer = self._clock.call_later(0, self._on_turn)
                if part:
                    self._notify(part)
                return
            self._waiting.popleft()
