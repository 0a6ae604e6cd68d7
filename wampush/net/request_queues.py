"""The order in which requests to a server are sent, and how many at a time.

Owns: the queues of requests by kind, turns between their owners, the places of each kind. Pure.
Must not import: Twisted, or anything of wampush.

Owners take turns, so that one with a hundred requests delays the others no longer than one with a
single request. An owner gets no further place while it has as many as are free: alone it gets half
of them, so that requests of one owner that hang leave room for others. Each kind of request leaves
a share of the places to the other kinds: otherwise a few slow calls would keep new clients from
connecting.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

#: One place in so many is left to other kinds; at least one where there are several kinds.
_SHARE: Final = 5


def per_kind_limit(places: int, kinds: int) -> int:
    """Return how many requests of one kind may run at a time.

    :param places: for all kinds together.
    :param kinds: number of kinds.
    """
    return max(1, places - max(1, places // _SHARE)) if kinds > 1 else places


class FairQueue(Generic[Item]):
    """Items in a queue whose owners take turns.

    Adding and removing take the same time at any position: a thousand items may go at once.
    """

    def __init__(self) -> None:
        self._turns: OrderedDict[Hashable, OrderedDict[Item, None]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        for items in self._turns.values():
            yield from items

    def add(self, item: Item, owner: Hashable = None) -> None:
        """Append an item.

        :param owner: shares one turn with all its items; None for a turn of the item's own.
        """
        key = item if owner is None else owner
        self._turns.setdefault(key, OrderedDict())[item] = None
        self._count += 1

    def remove(self, item: Item, owner: Hashable = None) -> None:
        """Remove an item; does nothing when it is not in the queue."""
        key = item if owner is None else owner
        items = self._turns.get(key)
        if items is None or item not in items:
            return
        del items[item]
        self._count -= 1
        if not items:
            del self._turns[key]

    def last_of_most(self, owner: Hashable) -> Item | None:
        """Return the newest item of the owner that has most of them.

        :param owner: for whom there should be room.
        :returns: None unless this one would still have no more items than the other.
        """
        most = max(self._turns, key=lambda each: len(self._turns[each]), default=None)
        if most is None or len(self._turns[most]) <= len(self._turns.get(owner, ())) + 1:
            return None
        return next(reversed(self._turns[most]))

    def take(self, may_have_turn: Callable[[Hashable], bool]) -> tuple[Item, Hashable] | None:
        """Remove the next item; the next turn of its owner comes after all others.

        :param may_have_turn: whether an owner is not passed over.
        :returns: the item and its owner, which is the item itself if it was added without one; None
            if all owners are passed over.
        """
        owner = next(filter(may_have_turn, self._turns), None)
        if owner is None:
            return None
        items = self._turns[owner]
        item, _ = items.popitem(last=False)
        self._count -= 1
        if items:
            self._turns.move_to_end(owner)
        else:
            del self._turns[owner]
        return item, owner


class RequestQueues(Generic[Item]):
    """Fair queues, one for each kind of request, in front of a bounded number of places.

    :param kinds: one name for each queue.
    :param places: number of items that may run at a time, over all kinds.
    :param capacity: number of items that each queue holds.
    """

    def __init__(self, kinds: Sequence[str], places: int, capacity: int) -> None:
        self.capacity: Final = capacity
        self._places = places
        self._limit = per_kind_limit(places, len(kinds))
        self._queues: dict[str, FairQueue[Item]] = {kind: FairQueue() for kind in kinds}
        self._running = dict.fromkeys(kinds, 0)
        self._running_of: dict[str, Counter[Hashable]] = {kind: Counter() for kind in kinds}

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def __iter__(self) -> Iterator[Item]:
        for queue in self._queues.values():
            yield from queue

    @property
    def running(self) -> int:
        """Number of items that were taken and have not ended."""
        return sum(self._running.values())

    def is_full(self, kind: str, owner: Hashable = None) -> bool:
        """Whether one more item of this kind would neither run at once nor fit into its queue."""
        return len(self._queues[kind]) >= self.capacity and not (
            self.running < self._places and self._has_place_for(kind, owner)
        )

    def last_of_most(self, kind: str, owner: Hashable) -> Item | None:
        """Return what may make room in a full queue; see :meth:`FairQueue.last_of_most`."""
        return self._queues[kind].last_of_most(owner)

    def add(self, kind: str, item: Item, owner: Hashable = None) -> None:
        """Append an item; see :meth:`FairQueue.add`."""
        self._queues[kind].add(item, owner)

    def remove(self, kind: str, item: Item, owner: Hashable = None) -> None:
        """Remove an item that has not been taken."""
        self._queues[kind].remove(item, owner)

    def take(self) -> Item | None:
        """Take the next item that may run, of the kind that has the fewest running.

        :meth:`free` has to follow when it ends.
        """
        if self.running >= self._places:
            return None
        kinds = [kind for kind, queue in self._queues.items() if len(queue)]
        for kind in sorted(kinds, key=self._running.__getitem__):
            taken = self._queues[kind].take(partial(self._has_place_for, kind))
            if taken is not None:
                item, owner = taken
                self._running[kind] += 1
                self._running_of[kind][owner] += 1
                return item
        return None

    def free(self, kind: str, item: Item, owner: Hashable = None) -> None:
        """Free the place of an item that was taken."""
        self._running[kind] -= 1
        running_of, key = self._running_of[kind], item if owner is None else owner
        running_of[key] -= 1
        if not running_of[key]:
            del running_of[key]

    def _has_place_for(self, kind: str, owner: Hashable) -> bool:
        return self._running_of[kind][owner] < self._limit - self._running[kind]
