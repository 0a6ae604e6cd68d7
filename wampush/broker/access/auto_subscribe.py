"""Which topics a session gets without asking for them.

Owns: from an identity to these topics. Must not import: Twisted, the edges, the settings. The log
is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from wampush.broker.access.placeholders import Placeholders
from wampush.broker.identity import AWAITING, Identity
from wampush.errors import shown

_NOTHING: Final[frozenset[str]] = frozenset()


class AutoSubscribe:
    """The rules ``clients.auto_subscribe``.

    :param patterns: topics, with ``{user}`` and ``{group}`` in them.
    :param topic_bytes: the longest topic, in bytes of UTF-8; a longer one is left out.
    :param report: gets a line for the log when somebody has a value that can not be put in, once
        for each pattern.
    """

    def __init__(
        self, patterns: Sequence[str], topic_bytes: int, report: Callable[[str], None]
    ) -> None:
        every = [Placeholders(pattern) for pattern in patterns]
        self._common = frozenset(each.text for each in every if not each.names)
        self._personal = [each for each in every if each.names]
        self._topic_bytes = topic_bytes
        self._report = report
        self._reported: set[str] = set()

    def topics(self, identity: Identity) -> AbstractSet[str]:
        """The topics of an identity; none for a session that has yet to prove whose it is."""
        if identity.source == AWAITING:
            return _NOTHING
        if not (identity.user or identity.groups):
            return self._common
        return self._common.union(*[self._filled(each, identity) for each in self._personal])

    def _filled(self, pattern: Placeholders, identity: Identity) -> Iterator[str]:
        self._check(pattern, "user", [identity.user or ""])
        self._check(pattern, "group", identity.groups)
        for topic in pattern.filled(identity):
            size = len(topic.encode())
            if size <= self._topic_bytes:
                yield topic
            else:
                self._say(
                    pattern, f"would give a topic of {size} bytes, more than limits.topic_bytes"
                )

    def _check(self, pattern: Placeholders, name: str, values: Collection[str]) -> None:
        """Tell the operator of a value that can not be put in; there is no other sign of it."""
        if name not in pattern.names:
            return
        for value in values:
            if value and not pattern.is_usable(value):
                held = " or ".join(repr(each) for each in sorted(pattern.separators))
                self._say(pattern, f"takes no {name} that holds {held}, such as {shown(value)}")

    def _say(self, pattern: Placeholders, what: str) -> None:
        if pattern.text not in self._reported:
            self._reported.add(pattern.text)
            self._report(
                f"clients.auto_subscribe: {pattern.text!r} {what}; no such session gets it"
            )
