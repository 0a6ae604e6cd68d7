"""JSON values as handlers of apps receive and return them.

Owns: the conversion between JSON text and Python values. Pure.
Must not import: Twisted, the edges, the broker.
"""

from __future__ import annotations

import json
import re
from inspect import isawaitable
from typing import Any, Final

import orjson

from wampush import finite_numbers
from wampush.errors import NotSerialisable
from wampush.excerpts import shown

# orjson converts integers that need more than 64 bits to floats.
_LONG_NUMBER: Final = re.compile(rb"\d{19}")


def parsed(text: bytes) -> Any:
    """Return the value of a JSON text; integers keep all digits.

    :param text: valid JSON.
    """
    if _LONG_NUMBER.search(text):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            # Integers with thousands of digits, and nesting that only orjson can parse.
            return orjson.loads(text)
    return orjson.loads(text)


def text_of(value: object) -> bytes:
    """Return the JSON text of a value.

    :param value: what JSON can express, and dataclasses, dates, UUIDs and enumerations as orjson
        writes them; integers of any length.
    :raises NotSerialisable: when it has no JSON form.
    """
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        # orjson refuses integers of more than 64 bits, more than 254 levels of nesting, and keys
        # that are not strings.
        try:
            return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError):
            message = f"{shown(value)} has no JSON form: {error}{_hint(value, error)}"
            raise NotSerialisable(message) from None
    if finite_numbers.has_other_numbers(value, text):
        raise NotSerialisable(f"{shown(value)} has no JSON form: {finite_numbers.SENTENCE}")
    return text


def is_plain(value: object) -> bool:
    """Return whether a value is the same once it was written as JSON and read again."""
    try:
        return bool(parsed(text_of(value)) == value)
    except NotSerialisable:
        return False


def _hint(value: object, error: orjson.JSONEncodeError) -> str:
    """Return the end of an error: what was probably forgotten."""
    kind = str(error).rpartition(" ")[2]
    if isawaitable(value) or kind in ("coroutine", "Deferred"):
        return "; is an await missing?"
    return "; convert it to a list" if kind in ("set", "frozenset", "generator") else ""
