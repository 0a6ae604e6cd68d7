"""Which channels of a Redis are listened to, and which topic a message of one is for.

Owns: patterns of channels, the name of the topic. Pure: no I/O, no state.
Must not import: Twisted, txredisapi, the broker.

Redis hands a message to a client once for each of its subscriptions that match, so that one that
subscribes to ``live_*`` and to ``live_orders`` gets some twice. Here only the first match counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_PLACEHOLDER: Final = b"{channel}"
#: What has a meaning in a pattern of Redis, but for the asterisk.
_SPECIAL: Final = b"\\?[]"


class Pattern:
    """A name in which each ``*`` stands for any characters, none included.

    :param text: with one at least; nothing else in it has a meaning.
    """

    def __init__(self, text: str) -> None:
        name = text.encode()
        self._first, *rest = name.split(b"*")
        self._last = rest.pop()
        self._between = rest
        #: As Redis takes it.
        self.glob = b"".join(
            b"\\" + name[at : at + 1] if name[at] in _SPECIAL else name[at : at + 1]
            for at in range(len(name))
        )

    def matches(self, name: bytes) -> bool:
        """Whether a name is one of those that the pattern is about."""
        at, end = len(self._first), len(name) - len(self._last)
        if at > end or not name.startswith(self._first) or not name.endswith(self._last):
            return False
        for text in self._between:
            at = name.find(text, at, end)
            if at < 0:
                return False
            at += len(text)
        return True


class Channels:
    """The subscriptions of one source.

    :param names: as in ``redis_source.channels``: with ``*`` a pattern, else a name.
    :param topic: as in ``redis_source.topic``.
    """

    def __init__(self, names: Sequence[str], topic: str) -> None:
        self._topic = topic.encode()
        patterns = [Pattern(each) for each in names if "*" in each]
        self.names: Final = frozenset(each.encode() for each in names if "*" not in each)
        self.globs: Final = [each.glob for each in patterns]
        self._before: Mapping[bytes, Sequence[Pattern]] = {
            each.glob: patterns[:number] for number, each in enumerate(patterns)
        }

    def is_first(self, glob: bytes | None, channel: bytes) -> bool:
        """Whether a message counts that came for a pattern, or for a name: glob is None.

        Redis sends it for the name and for each pattern that matches; the name goes before
        patterns, and these in their order.
        """
        if glob is None:
            return True
        if channel in self.names:
            return False
        return not any(each.matches(channel) for each in self._before.get(glob, ()))

    def topic(self, channel: bytes) -> bytes:
        """The topic for the messages of a channel."""
        return self._topic.replace(_PLACEHOLDER, channel)
