"""The permissions objects of identities that asked for them lately.

Owns: which objects are kept, and how many. Must not import: Twisted, the edges, the settings.

Making an object takes milliseconds when there are hundreds of rules, and a client may ask for it as
often as it may send messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from typing import Any, Final

#: Patterns that are kept, of all objects together: about 6 MiB.
MAX_PATTERNS: Final = 20_000

PermissionsKey = tuple[str | None, frozenset[str], bool | None]
"""What an object depends on: user, groups, and whether the client may publish by default."""


class PermissionsObjects:
    """Keeps permissions objects; drops those that were not asked for the longest.

    :param max_patterns: patterns that all objects kept may have together; the latest object is kept
        whatever its size.
    """

    __slots__ = ("_max_patterns", "_objects", "_patterns")

    def __init__(self, max_patterns: int = MAX_PATTERNS) -> None:
        self._max_patterns = max_patterns
        # Ordered by when they were last asked for.
        self._objects: dict[PermissionsKey, Mapping[str, Any]] = {}
        self._patterns = 0

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: PermissionsKey, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return the object of an identity, which callers must not change.

        :param make: makes the object when it is not kept.
        """
        found = self._objects.pop(key, None)
        if found is None:
            found = make()
            self._patterns += _patterns_of(found)
        self._objects[key] = found
        while self._patterns > self._max_patterns and len(self._objects) > 1:
            oldest = next(iter(self._objects))
            self._patterns -= _patterns_of(self._objects.pop(oldest))
        return found


def _patterns_of(permissions: Mapping[str, Sized]) -> int:
    # Even an object without patterns takes memory.
    return 1 + sum(map(len, permissions.values()))
