"""The lines of the keys in a TOML file.

``tomllib`` gives no positions. It has parsed the text before, so this scanner need not find
mistakes: it only follows tables, keys and the extent of values. It recurses less than ``tomllib``.
Owns: the scanner. Must not import: anything of wampush.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

#: The way to a value: names of keys, and indexes within lists, counted from 0.
KeyPath = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY: Final = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*')[ \t]*""")
_STRING: Final = re.compile(
    r'''"""(?:\\.|[^\\])*?""""{0,2}|\'\'\'.*?\'\'\'\'{0,2}|"(?:\\.|[^"\\])*"|'[^']*\'''', re.DOTALL
)
_SCALAR: Final = re.compile(r"[^,\]}#\n]*")
_COMMA: Final = re.compile(rf"{_BLANK.pattern},?")


def positions(text: str) -> Mapping[KeyPath, int]:
    """Return the line of every table, key and element of a list, counted from 1.

    :param text: a valid TOML document.
    """
    scanner = _Scanner(text)
    table: KeyPath = ()
    while not scanner.has_ended():
        if scanner.take("["):
            table = scanner.header()
        else:
            scanner.assignment(table)
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._ends = [found.start() for found in re.finditer("\n", text)]
        #: The number of entries so far of each list of tables.
        self._entries: dict[KeyPath, int] = {}

    def has_ended(self) -> bool:
        self._skip(_BLANK)
        return self._at >= len(self._text)

    def take(self, mark: str) -> bool:
        """Skip a mark if it comes next."""
        is_next = self._text.startswith(mark, self._at)
        self._at += len(mark) * is_next
        return is_next

    def header(self) -> KeyPath:
        is_entry, line = self.take("["), self._line()
        path: KeyPath = ()
        for key in self._keys():
            # A table below a list of tables belongs to its last entry.
            if path in self._entries:
                path = (*path, self._entries[path] - 1)
            path = (*path, key)
            self.lines.setdefault(path, line)
        self.take("]]" if is_entry else "]")
        if is_entry:
            number = self._entries.get(path, 0)
            self._entries[path] = number + 1
            path = (*path, number)
            self.lines[path] = line
        return path

    def assignment(self, path: KeyPath) -> None:
        """Skip a key with its value.

        :param path: the table that they are in.
        """
        line = self._line()
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self.take("=")
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        if self.take("["):
            index = 0
            while not self._closes("]"):
                element = (*path, index)
                self.lines[element] = self._line()
                self._value(element)
                index += 1
        elif self.take("{"):
            while not self._closes("}"):
                self.assignment(path)
        else:
            is_string = self._text.startswith(("'", '"'), self._at)
            self._skip(_STRING if is_string else _SCALAR)

    def _closes(self, bracket: str) -> bool:
        """Skip a comma, and the closing bracket if it comes next."""
        self._skip(_COMMA)
        self._skip(_BLANK)
        return self.take(bracket)

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self.take("."):
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        found = _KEY.match(self._text, self._at)
        if found is None:
            raise ValueError(f"no key at {self._at}")
        self._at = found.end()
        key = found[1]
        return str(tomllib.loads(f"key = {key}")["key"]) if key[0] in "\"'" else key

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        self._at = len(self._text) if found is None else found.end()

    def _line(self) -> int:
        return bisect_left(self._ends, self._at) + 1
