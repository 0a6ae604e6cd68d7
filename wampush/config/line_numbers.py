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
        """Skip a key with its value; without recursion, however deep the value is nested."""
        path = self._assigned(table)
        #: The lists and inline tables that are open; for a list also the index of its element.
        within: list[tuple[KeyPath, int | None]] = []
        while True:
            first = self._text[self._at : self._at + 1]
            if first in ("[", "{"):
                self._at += 1
                within.append((path, -1 if first == "[" else None))
            else:
                self._skip(_STRING if first in ("'", '"') else _SCALAR)
            while within and self._closes():
                within.pop()
            if not within:
                return
            container, index = within.pop()
            if index is None:
                path = self._assigned(container)
            else:
                index += 1
                path = (*container, index)
                self._lines[path] = self._line_here()
            within.append((container, index))

    def _assigned(self, table: KeyPath) -> KeyPath:
        """Skip a key and its equals sign; return the way to its value."""
        line = self._line_here()
        path = table
        for key in self._keys():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._at += 1
        self._skip(_BLANK)
        return path

    def _closes(self) -> bool:
        """Skip a comma, and a closing bracket if there is one."""
        self._skip(_BLANK)
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip(_BLANK)
        is_closed = self._text.startswith(("]", "}"), self._at)
        self._at += is_closed
        return is_closed

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

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        self._at = len(self._text) if found is None else found.end()

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line
