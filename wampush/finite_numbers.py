"""Numbers that JSON cannot express: NaN and the infinite ones.

Owns: finding them in a value that was serialised. Must not import: anything of wampush.

orjson writes ``null`` for them, so that a division that went wrong would arrive as an empty field.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from enum import Enum

SENTENCE = "it contains NaN or an infinite number, which JSON cannot express"


def has_other_numbers(value: object, text: bytes) -> bool:
    """Whether a value contains a number that is not finite.

    :param text: what orjson wrote for it.
    """
    # Most texts contain no null at all, and need no second look.
    if b"null" not in text:
        return False
    try:
        json.dumps(value, allow_nan=False, skipkeys=True, default=_parts)
    except ValueError:
        return True
    except RecursionError:
        # Nested deeper than orjson accepts.
        return False
    return False


def _parts(value: object) -> object:
    """Return what orjson serialises of a value that the standard library does not know."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return value.value if isinstance(value, Enum) else None
