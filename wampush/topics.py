"""What topics look like: patterns, placeholders, and names that are reserved.

Owns: which topics a pattern matches, the spelling of placeholders, the reserved prefix.
Must not import: anything of wampush.

A pattern, as in ``[[topics]]`` and ``[[permissions]]``, is one topic or, with a final ``*``, all
topics that begin with the text before it. In some settings a topic may contain ``{user}`` and
``{group}``, which stand for values of a session's identity.
"""

from __future__ import annotations

import re
from typing import Final

#: Topics and procedures that begin with this prefix belong to wampush.
RESERVED_PREFIX: Final = "wampush."

#: Topics for which tables of rules remember what they have found. Whoever publishes chooses topics,
#: so this is also a limit on memory: 8 MiB with the longest topics, for each of two tables.
REMEMBERED_TOPICS: Final = 2048

_PLACEHOLDER: Final = re.compile(r"\{(user|group)\}")


def is_reserved(name: str) -> bool:
    """Return whether a topic or procedure belongs to wampush itself."""
    return name.startswith(RESERVED_PREFIX)


def matches(pattern: str, topic: str) -> bool:
    """Return whether a pattern matches a topic."""
    if pattern.endswith("*"):
        return topic.startswith(pattern[:-1])
    return topic == pattern


def matches_all_of(pattern: str, other: str) -> bool:
    """Return whether a pattern matches every topic that another pattern matches."""
    return pattern == other or (pattern.endswith("*") and matches(pattern, other))


def split_placeholders(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split a topic at its placeholders.

    :returns: the text around the placeholders, always one part more than there are placeholders,
        and the placeholders' names, ``user`` or ``group``, in their order.
    """
    parts = _PLACEHOLDER.split(text)
    return tuple(parts[::2]), tuple(parts[1::2])
