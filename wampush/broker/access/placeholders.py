"""Topics with ``{user}`` and ``{group}`` in them, and what they become for an identity.

Owns: how an identity's values are put in. Must not import: Twisted, the edges, the settings.

What comes out never depends on how the values are spelt: each stands for one value between
separators, and a value that holds one of the separators next to its placeholder is not put in at
all. So what is made for user ``a`` never is what is made for user ``a.b``, and a user named ``*``
or ``{group}`` is just that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wampush.broker.identity import Identity

_PLACEHOLDER: Final = re.compile(r"\{(user|group)\}")


class Placeholders:
    """One text, made ready for many identities.

    :param text: with placeholders or without.
    """

    __slots__ = ("_parts", "names", "separators", "text", "texts")

    def __init__(self, text: str) -> None:
        self.text = text
        # Text and placeholder names take turns, beginning and ending with text.
        self._parts = tuple(_PLACEHOLDER.split(text))
        #: The placeholders in the text: ``user``, ``group``.
        self.names = self._parts[1::2]
        #: What stands around the placeholders, one more than there are of these.
        self.texts = self._parts[::2]
        #: The characters next to placeholders; no value that holds one is put in.
        self.separators = frozenset(
            "".join([part[-1:] for part in self.texts[:-1]])
            + "".join([part[:1] for part in self.texts[1:]])
        )

    def filled(self, identity: Identity) -> Iterator[str]:
        """The text for each way to put in the identity's values; none if one is missing."""
        names = self.names
        if not names:
            yield self.text
            return
        if "user" in names and not self.is_usable(identity.user):
            return
        if "group" not in names:
            yield self._with(identity.user, None)
            return
        for group in identity.groups:
            if self.is_usable(group):
                yield self._with(identity.user, group)

    def is_usable(self, value: str | None) -> bool:
        """Whether a value may stand for a placeholder: not empty, none of the separators in it."""
        return bool(value) and self.separators.isdisjoint(value or "")

    def _with(self, user: str | None, group: str | None) -> str:
        values = {"user": user or "", "group": group or ""}
        return "".join([values[part] if at % 2 else part for at, part in enumerate(self._parts)])
