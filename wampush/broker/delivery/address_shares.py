"""The share of the memory for queues that the clients of one address, and all, may have.

Owns: which clients are dropped when an address has more. Must not import: anything of wampush.

Queues are not counted by address as they grow, which would cost time per delivery. Instead the
blocked ones are looked at each time that the total has grown by a thirty-second. What counts then
is what they take in memory: a chunk that many queues share counts once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

#: The part of the total by which it grows between two looks.
LOOKS: Final = 32
#: Chunks that are looked at for each address, but for one of each queue.
_SAMPLES: Final = 4096


class Queue(Protocol):
    """What is queued for one client."""

    queued: int

    @property
    def address_name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""

    def own_bytes(self, samples: int) -> int:
        """Return an estimate of what only this queue keeps in memory, in bytes.

        :param samples: chunks to look at.
        """


QueueType = TypeVar("QueueType", bound=Queue)


def queues_to_drop(queues: Iterable[QueueType], per_address: int, in_all: int) -> set[QueueType]:
    """Return the largest queues of each address that has more than its share, and of all.

    :param queues: all that wait.
    :param per_address: bytes that the queues of one address may keep.
    :param in_all: bytes that all queues may keep.
    """
    everybody = list(queues)
    by_address: defaultdict[str, list[QueueType]] = defaultdict(list)
    for queue in everybody:
        name = queue.address_name
        if name is not None:
            by_address[name].append(queue)
    dropped: set[QueueType] = set()
    for shared in by_address.values():
        dropped |= _largest(shared, per_address)
    return dropped | _largest([each for each in everybody if each not in dropped], in_all)


def _largest(queues: list[QueueType], limit: int) -> set[QueueType]:
    """Return the largest queues, without which the others keep no more than the limit."""
    if sum(queue.queued for queue in queues) <= limit:
        return set()
    samples = max(1, _SAMPLES // len(queues))
    own = [(queue.own_bytes(samples), queue) for queue in queues]
    total = sum(size for size, _ in own)
    own.sort(key=lambda each: each[0])
    largest: set[QueueType] = set()
    while total > limit:
        size, queue = own.pop()
        total -= size
        largest.add(queue)
    return largest
