"""The table ``[pushes]``: pushes from every source.

Owns: how a push names its topic, and how long it may be. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wampush.config.checks.check import Text
from wampush.config.rules import rule
from wampush.config.setting import Bytes

#: The longest publications that the queue of a client has room for: two while publications pause
#: because half of the queue is full, and two that are on their way meanwhile.
_PUBLICATIONS_PER_QUEUE: Final = 4


@dataclass(frozen=True, slots=True)
class PushSettings:
    """``[pushes]``: pushes over ZeroMQ, HTTP and Redis.

    :param topic_key: The key under which existing backends name the topic of a push.
    :param max_message_bytes: Far above any event for a page; every receiver may have to queue it.
    """

    topic_key: Text = "category"
    max_message_bytes: Bytes = 1_048_576


@rule("clients.queue_bytes", "pushes.max_message_bytes")
def large_pushes_fit_into_a_queue(queue: int, largest: int) -> Iterator[str]:
    """The queue of a client must have room for a burst of the largest pushes."""
    yield from _too_short(queue, largest, "pushes.max_message_bytes", "pushes")


@rule("clients.queue_bytes", "websocket.max_message_bytes")
def large_publications_fit_into_a_queue(queue: int, largest: int) -> Iterator[str]:
    """The queue of a client must have room for a burst of the largest publications by clients."""
    yield from _too_short(queue, largest, "websocket.max_message_bytes", "messages of clients")


def _too_short(queue: int, largest: int, key: str, kind: str) -> Iterator[str]:
    if queue < largest * _PUBLICATIONS_PER_QUEUE:
        yield (
            f"clients.queue_bytes ({queue}) must be at least {_PUBLICATIONS_PER_QUEUE} times "
            f"{key} ({largest}), so that bursts of the largest {kind} do not disconnect clients "
            "that read them"
        )
