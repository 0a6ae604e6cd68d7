"""The topics that a session is subscribed to without asking.

Owns: which automatic topics an identity has. Must not import: Twisted, the edges, the settings.
The log is handed in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from wampush.broker.access.placeholders import TopicExpander
from wampush.broker.identity import AWAITING, Identity
from wampush.broker.ledger import Report
from wampush.excerpts import shown

_NO_TOPICS: Final[frozenset[str]] = frozenset()


class AutoSubscribe:
    """The rules in ``clients.auto_subscribe``.

    :param patterns: topics, which may contain ``{user}`` and ``{group}``.
    :param topic_bytes: the longest topic, in bytes of UTF-8; longer ones are left out.
    :param report: logs a warning about a value that cannot be inserted; called at most once per
        pattern.
    """

    def __init__(self, patterns: Sequence[str], topic_bytes: int, report: Report) -> None:
        expanders = [TopicExpander(pattern) for pattern in patterns]
        self._common = frozenset(each.text for each in expanders if not each.names)
        self._personal = [each for each in expanders if each.names]
        self._topic_bytes = topic_bytes
        self._report = report
        self._reported: set[str] = set()

    def topics(self, identity: Identity) -> AbstractSet[str]:
        """Return the automatic topics of an identity.

        A session that has yet to authenticate has none.
        """
        if identity.source == AWAITING:
            return _NO_TOPICS
        if not (identity.user or identity.groups):
            return self._common
        return self._common.union(*[self._expand(each, identity) for each in self._personal])

    def _expand(self, expander: TopicExpander, identity: Identity) -> Iterator[str]:
        self._check(expander, "user", [identity.user or ""])
        self._check(expander, "group", identity.groups)
        for topic in expander.expand(identity):
            size = len(topic.encode())
            if size <= self._topic_bytes:
                yield topic
            else:
                self._warn(
                    expander,
                    f"the topic would have {size} bytes; limits.topic_bytes allows "
                    f"{self._topic_bytes}",
                )

    def _check(self, expander: TopicExpander, name: str, values: Collection[str]) -> None:
        """Report values that cannot be inserted; nothing else shows that a topic is missing."""
        if name not in expander.names:
            return
        for value in values:
            if value and not expander.accepts(value):
                separators = " or ".join(repr(each) for each in sorted(expander.separators))
                self._warn(expander, f"{name} {shown(value)} contains {separators}")

    def _warn(self, expander: TopicExpander, problem: str) -> None:
        if expander.text not in self._reported:
            self._reported.add(expander.text)
            self._report(
                "clients.auto_subscribe: {pattern!r} is left out for some sessions: {problem}",
                pattern=expander.text,
                problem=problem,
            )
