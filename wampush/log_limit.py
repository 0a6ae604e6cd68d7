"""How often a line about the same thing is worth writing.

Owns: the second between two lines, and the words about what had none.
Must not import: anything of wampush; the clock is handed in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Final

SECONDS_BETWEEN_LINES: Final = 1.0


class LogLimiter:
    """At most one line a second about each thing, and a word about those left out.

    :param now: seconds; a clock that is set back holds no line until it has caught up.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last: dict[Hashable, float] = {}
        self._left_out: Counter[Hashable] = Counter()

    def due(self, thing: Hashable = None) -> str | None:
        """Whether a line may be written now.

        :param thing: what it is about; there must be few of them, as each is remembered.
        :returns: what to append to the line; None when it is too early.
        """
        now = self._now()
        last = self._last.get(thing)
        if last is not None and 0 <= now - last < SECONDS_BETWEEN_LINES:
            self._left_out[thing] += 1
            return None
        self._last[thing] = now
        left_out = self._left_out.pop(thing, 0)
        return f" ({left_out} more like it had no line)" if left_out else ""
