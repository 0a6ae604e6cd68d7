"""Topics with ``{user}`` and ``{group}`` in them, and the topics that an identity gets from them.

Owns: how an identity's values are inserted. Must not import: Twisted, the edges, the settings.

A value never reaches beyond its own place in the topic: one that contains a character next to its
placeholder is not inserted at all. A topic made for user ``a`` therefore never equals one made for
user ``a.b``, and a user whose id is ``*`` or ``{group}`` is treated literally.
"""

from __future__ import annotations

from collections.abc import Iterator

from wampush.broker.identity import Identity
from wampush.topics import split_placeholders


class TopicExpander:
    """A topic with or without placeholders, prepared for many identities.

    :param text: the topic as it is configured.
    """

    __slots__ = ("literals", "names", "separators", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        #: The text around the placeholders, always one part more than there are placeholders.
        self.literals, names = split_placeholders(text)
        #: The placeholders in their order: ``user``, ``group``.
        self.names = names
        #: The characters next to placeholders; a value that contains one is not inserted.
        self.separators = frozenset(
            "".join([part[-1:] for part in self.literals[:-1]])
            + "".join([part[:1] for part in self.literals[1:]])
        )

    def expand(self, identity: Identity) -> Iterator[str]:
        """Yield the topic for each way to insert the identity's values.

        Yields nothing when the identity lacks a value or has one that cannot be inserted.
        """
        names = self.names
        if not names:
            yield self.text
            return
        if "user" in names and not self.accepts(identity.user):
            return
        if "group" not in names:
            yield self._insert(identity.user, None)
            return
        for group in identity.groups:
            if self.accepts(group):
                yield self._insert(identity.user, group)

    def accepts(self, value: str | None) -> bool:
        """Return whether a value can be inserted: it is not empty and contains no separator."""
        return bool(value) and self.separators.isdisjoint(value or "")

    def _insert(self, user: str | None, group: str | None) -> str:
        values = {"user": user or "", "group": group or ""}
        parts = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            parts.append(values[name])
            parts.append(literal)
        return "".join(parts)
