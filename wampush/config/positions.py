"""The lines of the keys in a TOML file.

Must not import: anything of wampush.

``tomllib`` gives no positions. The text has been parsed before, so this scanner need not find
mistakes: it only follows tables, keys and the extent of values.
"""

from __future__ import annotations

import re
import tomllib
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


def positions(text: str) -> Mapping[KeyPath, int]:
    """Return the line of every table, key and element of a list, counted from 1.

    :param text: a valid TOML document.
    """
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._lines: dict[KeyPath, int] = {}
        #: The number of entries so far of each list of tables.
        self._entries: dict[KeyPath, int] = {}

    def run(self) -> Mapping[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._assignment(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self) -> KeyPath:
        is_entry = self._text.startswith("[[", self._at)
        self._at += 1 + is_entry
        line = self._line_here()
        keys = self._keys()
        self._at += 1 + is_entry
        path: KeyPath = ()
        for key in keys:
            # A table below a list of tables belongs to its last entry.
            if path in self._entries:
                path = (*path, self._entries[path] - 1)
            path = (*path, key)
            self._lines.setdefault(path, line)
        if is_entry:
            number = self._entries.get(path, 0)
            self._entries[path] = number + 1
            path = (*path, number)
            self._lines[path] = line
        return path

    def _assignment(self, table: KeyPath) -> None:
        line = self._line_here()
        path = table
        for key in self._keys():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._at += 1
        self._skip(_BLANK)
        self._value(path)

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._text.startswith(".", self._at):
            self._at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        found = _KEY.match(self._text, self._at)
        if found is None:
            raise ValueError(f"no key at {self._at}")
        self._at = found.end()
        key = found[1]
        return str(tomllib.loads(f"key = {key}")["key"]) if key[0] in "\"'" else key

    def _value(self, path: KeyPath) -> None:
        if self._text.startswith("[", self._at):
            self._elements(path)
        elif self._text.startswith("{", self._at):
            self._members(path)
        else:
            self._skip(_STRING if self._text[self._at] in "\"'" else _SCALAR)

    def _elements(self, path: KeyPath) -> None:
        number = 0
        while not self._closes("]"):
            self._lines[(*path, number)] = self._line_here()
            self._value((*path, number))
            number += 1

    def _members(self, path: KeyPath) -> None:
        while not self._closes("}"):
            self._assignment(path)

    def _closes(self, bracket: str) -> bool:
        """Skip an opening bracket or a comma; return whether the closing bracket follows."""
        self._skip(_BLANK)
        if self._text[self._at] in "[{,":
            self._at += 1
            self._skip(_BLANK)
        if not self._text.startswith(bracket, self._at):
            return False
        self._at += 1
        return True

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        self._at = len(self._text) if found is None else found.end()

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line
