"""The versions of publications to one topic that are on their way to a store.

Owns: what they say about older ones. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from wampush.broker.history.rule import HistoryRule
from wampush.broker.history.stored_event import fields_of
from wampush.broker.publication import Publication
from wampush.errors import PublicationRefused, Refusal


class PendingVersions:
    """The versions of the publications of one topic that are in flight.

    :param rule: of the topic.
    """

    __slots__ = ("_count", "_rule", "_versions")

    def __init__(self, rule: HistoryRule) -> None:
        self._rule = rule
        self._count = 0
        self._versions: dict[str | None, int | float] = {}

    def check(self, publication: Publication) -> None:
        """Check that no newer version is in flight.

        :raises PublicationRefused: STALE.
        """
        fields = fields_of(publication.payload, self._rule)
        known = self._versions.get(fields.key)
        if known is not None and fields.version is not None and fields.version < known:
            detail = f"{self._rule.version_by} is {fields.version}; {known} was published before."
            raise PublicationRefused(Refusal.STALE, detail)

    def add(self, publication: Publication) -> None:
        """Note a publication that passed the check."""
        fields = fields_of(publication.payload, self._rule)
        self._count += 1
        if fields.version is not None:
            self._versions[fields.key] = fields.version

    def remove(self) -> bool:
        """Note that one publication is not in flight any longer; return whether it was the last."""
        self._count -= 1
        return self._count == 0
