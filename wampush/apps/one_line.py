"""An application's words, made safe for the log and for clients.

Owns: their length limit and which characters they may contain. Pure.
Must not import: anything of wampush.
"""

from __future__ import annotations

from typing import Final

#: Characters that are kept.
MAX_CHARACTERS: Final = 200


def one_line(text: str) -> str:
    """Return a text as one line of bounded length, without control characters."""
    clean = "".join(each if each.isprintable() else " " for each in text)
    return clean if len(clean) <= MAX_CHARACTERS else f"{clean[:MAX_CHARACTERS]}…"
