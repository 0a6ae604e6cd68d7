"""The share of all queued bytes that the clients of one address may have.

Owns: which clients are dropped when an address has more. Must not import: anything of wampush.

Queues are not counted by address as they grow, which would cost time per delivery. Instead all
blocked ones are looked at each time that the total has grown by a sixteenth of the limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

#: Looks per limit: an address exceeds it by two of these parts at most, and by what a turn queues.
LOOKS: Final = 16


class Queue(Protocol):
    """What is queued for one client."""

    queued: int

    @property
    def address_name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""


QueueType = TypeVar("QueueType", bound=Queue)


def queues_to_drop(queues: Iterable[QueueType], limit: int) -> list[QueueType]:
    """Return the longest queues of each address that has more than its share.

    :param queues: all that wait.
    :param limit: bytes that the queues of one address may have together.
    """
    by_address: defaultdict[str, list[QueueType]] = defaultdict(list)
    for queue in queues:
        name = queue.address_name
        if name is not None:
            by_address[name].append(queue)
    dropped: list[QueueType] = []
    for shared in by_address.values():
        total = sum(queue.queued for queue in shared)
        if total <= limit:
            continue
        shared.sort(key=lambda queue: queue.queued)
        while total > limit:
            longest = shared.pop()
            total -= longest.queued
            dropped.append(longest)
    return dropped
