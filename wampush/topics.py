"""Patterns of topics, as ``[[topics]]`` and ``[[permissions]]`` have them.

Owns: which topics a pattern covers. Must not import: anything of wampush.

A pattern is one topic, or with ``*`` at its end, all topics that begin with what precedes it.
"""

from __future__ import annotations


def covers(pattern: str, topic: str) -> bool:
    """Whether a pattern is about a topic."""
    if pattern.endswith("*"):
        return topic.startswith(pattern[:-1])
    return topic == pattern


def covers_all_of(wide: str, narrow: str) -> bool:
    """Whether a pattern is about every topic that another pattern is about."""
    return wide == narrow or (wide.endswith("*") and covers(wide, narrow))
