"""Equal requests merged into one.

Owns: who waits for the result of which request that is under way.
Must not import: anything of wampush.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Coalescer(Generic[Key, Value]):
    """The requests that are under way, by key, with everyone who waits for their results."""

    def __init__(self) -> None:
        self._waiters: dict[Key, list[Deferred[Value]]] = {}

    def __len__(self) -> int:
        return len(self._waiters)

    def join(self, key: Key) -> tuple[Deferred[Value], bool]:
        """Wait for the result of a request.

        :returns: what fires with the result, and whether the caller has to send the request because
            none with this key is under way. Cancelling the former only ends the waiting.
        """
        waiters = self._waiters.get(key)
        is_first = waiters is None
        if waiters is None:
            waiters = self._waiters[key] = []
        waiter: Deferred[Value] = Deferred(waiters.remove)
        waiters.append(waiter)
        return waiter, is_first

    def is_wanted(self, key: Key) -> bool:
        """Whether anyone still waits for the result of this request."""
        return bool(self._waiters.get(key))

    def resolve(self, key: Key, fire: Callable[[Deferred[Value]], None]) -> None:
        """End a request.

        :param fire: hands the result to one waiter.
        """
        for waiter in self._waiters.pop(key, ()):
            fire(waiter)
