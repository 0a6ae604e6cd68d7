"""The Redis channels of a source, and the topics that their messages go to.

Owns: channel patterns and topic names. Pure: no I/O, no state.
Must not import: Twisted, txredisapi, the broker.

Redis sends a message to a client once for each subscription that matches, so a client that
subscribes to ``live_*`` and to ``live_orders`` gets some messages twice. Only the first match
counts here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_PLACEHOLDER: Final = b"{channel}"
#: Characters with a special meaning in patterns of Redis, except for the asterisk.
_SPECIAL: Final = b"\\?[]"


class ChannelPattern:
    """A channel name in which each ``*`` stands for any number of characters.

    :param text: the pattern, with at least one asterisk; no other character is special.
    :param prefix: what all names begin with; an asterisk in it is not special.
    """

    def __init__(self, text: str, prefix: str = "") -> None:
        first, *rest = text.encode().split(b"*")
        self._first = prefix.encode() + first
        self._last = rest.pop()
        self._between = rest
        #: The pattern as Redis reads it.
        self.glob = _escaped(prefix.encode(), b"*") + _escaped(text.encode())

    def matches(self, name: bytes) -> bool:
        """Return whether the pattern matches a channel name."""
        at, end = len(self._first), len(name) - len(self._last)
        if at > end or not name.startswith(self._first) or not name.endswith(self._last):
            return False
        for text in self._between:
            at = name.find(text, at, end)
            if at < 0:
                return False
            at += len(text)
        return True


def _escaped(name: bytes, more: bytes = b"") -> bytes:
    """Return a part of a pattern in which nothing is special that should not be.

    :param more: further characters that are not special.
    """
    special = _SPECIAL + more
    return b"".join(
        b"\\" + name[at : at + 1] if name[at] in special else name[at : at + 1]
        for at in range(len(name))
    )


class Channels:
    """The subscriptions of one source.

    :param names: as in ``redis_source.channels``: a pattern if it contains ``*``, otherwise a name.
    :param topic: as in ``redis_source.topic``; ``{channel}`` stands for the channel.
    :param prefix: as in ``redis_source.prefix``, before each of the names.
    """

    def __init__(self, names: Sequence[str], topic: str, prefix: str = "") -> None:
        self._prefix = prefix.encode()
        self._topic = topic.encode()
        patterns = [ChannelPattern(each, prefix) for each in names if "*" in each]
        self.names: Final = frozenset((prefix + each).encode() for each in names if "*" not in each)
        self.globs: Final = [each.glob for each in patterns]
        self._before: Mapping[bytes, Sequence[ChannelPattern]] = {
            each.glob: patterns[:number] for number, each in enumerate(patterns)
        }

    def is_first(self, glob: bytes | None, channel: bytes) -> bool:
        """Return whether this is the copy of a message that counts.

        Redis sends one copy for the name and one for each pattern that matches. The one for the
        name counts; without it, the one for the first pattern.

        :param glob: the pattern that this copy was sent for; None for the name.
        :param channel: where the message was published.
        """
        if glob is None:
            return True
        if channel in self.names:
            return False
        return not any(each.matches(channel) for each in self._before.get(glob, ()))

    def topic(self, channel: bytes) -> bytes:
        """Return the topic for the messages of a channel.

        :param channel: with the prefix.
        """
        return self._topic.replace(_PLACEHOLDER, channel.removeprefix(self._prefix))
