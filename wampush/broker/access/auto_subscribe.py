"""The topics that a session is subscribed to without asking.

Owns: which automatic topics an identity has. Must not import: Twisted, the edges, the settings.
The log is handed in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from wampush.broker.access.placeholders import TopicTemplate
from wampush.broker.identity import AWAITING, Identity
from wampush.broker.ledger import Report
from wampush.errors import shown

_NO_TOPICS: Final[frozenset[str]] = frozenset()


class AutoSubscribe:
    """The rules in ``clients.auto_subscribe``.

    :param patterns: topics, which may contain ``{user}`` and ``{group}``.
    :param topic_bytes: the longest topic, in bytes of UTF-8; longer ones are left out.
    :param report: logs a warning about a value that cannot be inserted; called at most once per
        pattern.
    """

    def __init__(self, patterns: Sequence[str], topic_bytes: int, report: Report) -> None:
        templates = [TopicTemplate(pattern) for pattern in patterns]
        self._common = frozenset(each.text for each in templates if not each.names)
        self._personal = [each for each in templates if each.names]
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

    def _expand(self, template: TopicTemplate, identity: Identity) -> Iterator[str]:
        self._check(template, "user", [identity.user or ""])
        self._check(template, "group", identity.groups)
        for topic in template.expand(identity):
            size = len(topic.encode())
            if size <= self._topic_bytes:
                yield topic
            else:
                self._warn(
                    template,
                    f"the topic would have {size} bytes; limits.topic_bytes allows "
                    f"{self._topic_bytes}",
                )

    def _check(self, template: TopicTemplate, name: str, values: Collection[str]) -> None:
        """Report values that cannot be inserted; nothing else shows that a topic is missing."""
        if name not in template.names:
            return
        for value in values:
            if value and not template.accepts(value):
                separators = " or ".join(repr(each) for each in sorted(template.separators))
                self._warn(template, f"{name} {shown(value)} contains {separators}")

    def _warn(self, template: TopicTemplate, problem: str) -> None:
        if template.text not in self._reported:
            self._reported.add(template.text)
            self._report(
                "clients.auto_subscribe: {pattern!r} is left out for some sessions: {problem}",
                pattern=template.text,
                problem=problem,
            )
