"""JSON as handlers of apps get and give it.

Owns: from text to Python values and back. Pure. Must not import: Twisted, the edges, the broker.
"""

from __future__ import annotations

import json
import re
from inspect import isawaitable
from typing import Any, Final

import orjson

from wampush.errors import NotSerialisable, shown

# orjson makes a float of what does not fit into 64 bits.
_LONG_NUMBER: Final = re.compile(rb"\d{19}")


def parsed(text: bytes) -> Any:
    """The value of a JSON text; whole numbers keep their digits.

    :param text: valid JSON.
    """
    if _LONG_NUMBER.search(text):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            # Numbers of thousands of digits, and nesting that only orjson can follow.
            return orjson.loads(text)
    return orjson.loads(text)


def text_of(value: object) -> bytes:
    """The JSON text of a value.

    :param value: besides what JSON knows, dataclasses, dates, UUIDs and enumerations as orjson
        writes them; whole numbers of any length.
    :raises NotSerialisable: when it has no JSON form.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        # What orjson does not write: numbers of more than 64 bits, over 254 levels, keys that are
        # no strings.
        try:
            return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError):
            message = f"{shown(value)} can not be written as JSON: {error}{_hint(value, error)}"
            raise NotSerialisable(message) from None


def _hint(value: object, error: orjson.JSONEncodeError) -> str:
    """What was probably forgotten, as the end of a message."""
    kind = str(error).rpartition(" ")[2]
    if isawaitable(value) or kind in ("coroutine", "Deferred"):
        return "; is an await missing?"
    return "; make a list of it" if kind in ("set", "frozenset", "generator") else ""
