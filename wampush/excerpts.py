"""How values from peers are shown in errors and log lines: short, and without control characters.

Owns: representations of values and texts. Must not import: anything of wampush.
"""

from __future__ import annotations

import reprlib
from typing import Final

_SHOWN: Final = 80


class _Repr(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        # The built-in one refuses thousands of digits.
        return super().repr_int(x, level) if x.bit_length() <= 1024 else "an endless number"


_SHORT_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_REPR: Final = _Repr()
_REPR.maxstring = _REPR.maxother = _SHOWN


def shown(value: object) -> str:
    """Return the representation of a peer's value, at most about 80 characters long.

    The built-in ``repr`` raises RecursionError for a list that a peer has nested a thousand times.
    """
    text = _REPR.repr(value[:_SHOWN] if isinstance(value, bytes) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def printable(text: str) -> str:
    """Return a text with every character that is not printable as JSON escapes it.

    Printable characters, such as umlauts, stay as they are; a line feed becomes ``\\n``.
    """
    return "".join([each if each.isprintable() else _escaped(each) for each in text])


def printable_lines(text: str) -> str:
    """Return a text of several lines, each as :func:`printable` returns it; tabs stay."""
    if text.isprintable():
        return text
    return "\n".join(
        ["\t".join([printable(each) for each in line.split("\t")]) for line in text.split("\n")]
    )


def _escaped(character: str) -> str:
    return _SHORT_ESCAPES.get(character) or "".join(
        f"\\u{unit:04x}"
        for unit in memoryview(character.encode("utf-16-le", "surrogatepass")).cast("H")
    )


class _JsonRepr(_Repr):
    """Writes what JSON can express as JSON, and anything else as Python does."""

    def repr1(self, x: object, level: int) -> str:
        if isinstance(x, str):
            text = printable(x[:_SHOWN].replace("\\", "\\\\").replace('"', '\\"'))
            return f'"{text}"' if len(x) <= _SHOWN else f'"{text}…'
        if x is None:
            return "null"
        if isinstance(x, bool):
            return "true" if x else "false"
        return super().repr1(x, level)


_JSON_REPR: Final = _JsonRepr()
_JSON_REPR.maxother = _SHOWN


def shown_json(value: object) -> str:
    """Return a peer's JSON value as JSON, at most about 80 characters long."""
    text = _JSON_REPR.repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
