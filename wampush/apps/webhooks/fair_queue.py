"""Who gets the next free place among those that wait for the application.

Owns: the order of questions that wait, and how many of a kind may run side by side. Pure.
Must not import: Twisted, the edges, or anything of wampush.

Those who ask take turns, so that somebody with a hundred questions holds nobody else up for longer
than somebody with one. And there are two kinds, clients that want in and requests of those that are
in. Each leaves some places to the other: else a few slow calls would lock the door for everybody.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

#: One place of so many is left to the other kind; at least one where there are two.
_SHARE: Final = 5


def most_of_a_kind(places: int, both: bool) -> int:
    """How many of one kind may run.

    :param places: for both together.
    :param both: whether there are questions of both kinds.
    """
    return max(1, places - max(1, places // _SHARE)) if both else places


class FairQueue(Generic[Item]):
    """Questions of one kind, and how many of them run.

    Joining and leaving costs the same wherever somebody stands: a thousand may go at once.

    :param most: that may run.
    """

    def __init__(self, most: int) -> None:
        self.running = 0
        self._most = most
        self._turns: OrderedDict[Hashable, OrderedDict[Item, None]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        for items in self._turns.values():
            yield from items

    @property
    def has_room(self) -> bool:
        """Whether one more of the kind may run."""
        return self.running < self._most

    def join(self, item: Item, owner: Hashable) -> None:
        """One more waits.

        :param owner: on whose behalf; None for somebody of its own.
        """
        key = item if owner is None else owner
        self._turns.setdefault(key, OrderedDict())[item] = None
        self._count += 1

    def leave(self, item: Item, owner: Hashable) -> None:
        """One waits no more; nothing happens when it did not."""
        key = item if owner is None else owner
        items = self._turns.get(key)
        if items is None or item not in items:
            return
        del items[item]
        self._count -= 1
        if not items:
            del self._turns[key]

    def take(self) -> Item:
        """The next, which runs from now on; its owner's turn comes again after all others'."""
        owner, items = next(iter(self._turns.items()))
        item, _ = items.popitem(last=False)
        self._count -= 1
        if items:
            self._turns.move_to_end(owner)
        else:
            del self._turns[owner]
        self.running += 1
        return item
