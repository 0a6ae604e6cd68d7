"""A limit on how often messages of one kind are logged.

Owns: the interval between two messages of a kind, and the count of those suppressed meanwhile.
Must not import: anything of wampush; the clock is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

#: Seconds between two messages of one kind.
INTERVAL: Final = 1.0
#: Kinds that are remembered.
MAX_KINDS: Final = 1000


@dataclass(slots=True)
class _LastMessage:
    """The message of a kind that was logged last.

    :param at: when, in seconds of the limiter's clock.
    :param reference: what later messages of the kind may refer to, such as an incident number.
    :param suppressed: how many of the kind were not logged since.
    """

    at: float
    reference: str
    suppressed: int = 0


class LogLimiter:
    """Lets one message of each kind per second through and counts the others.

    :param now: returns the time in seconds. A clock that is set back suppresses nothing.
    :param max_kinds: how many kinds are remembered; the one asked about least recently is
        forgotten first.
    """

    def __init__(self, now: Callable[[], float], max_kinds: int = MAX_KINDS) -> None:
        self._now = now
        self._max_kinds = max_kinds
        self._last: dict[Hashable, _LastMessage] = {}

    def suffix(self, kind: Hashable = None, reference: str = "") -> str | None:
        """Decide whether to log a message now.

        :param kind: what the message is about.
        :param reference: what :meth:`reference` returns while messages of this kind are
            suppressed; ignored when this one is suppressed itself.
        :returns: what to append to the message, such as " (3 similar messages suppressed)" or "";
            None when the message must not be logged.
        """
        now = self._now()
        # Taken out and put back, so that the order is that of use.
        last = self._last.pop(kind, None)
        if last is not None and 0 <= now - last.at < INTERVAL:
            last.suppressed += 1
            self._last[kind] = last
            return None
        while len(self._last) >= self._max_kinds:
            del self._last[next(iter(self._last))]
        self._last[kind] = _LastMessage(now, reference)
        if last is None or not last.suppressed:
            return ""
        plural = "s" if last.suppressed > 1 else ""
        return f" ({last.suppressed} similar message{plural} suppressed)"

    def reference(self, kind: Hashable = None) -> str:
        """Return the reference of the message of this kind that was logged last.

        :raises KeyError: no message of this kind is remembered.
        """
        return self._last[kind].reference
