"""The checkers that tell usable values of a setting from others.

Owns: one checker per kind of value, and what each says would be right.
Must not import: Twisted, Autobahn, or anything of wampush. ``settings`` puts a checker on each
field; ``config`` asks it and makes its answer an error.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from ipaddress import ip_network
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPE_NAMES: Mapping[type, str] = MappingProxyType(
    {
        bool: "a boolean",
        int: "a whole number",
        float: "a number with a decimal point",
        str: "a string",
        list: "a list",
        tuple: "a list",
        dict: "a table",
        dt.datetime: "a date and time",
        dt.date: "a date",
        dt.time: "a time",
    }
)


@dataclass(frozen=True, slots=True)
class Rejected:
    """What a checker answers to an unusable value.

    :param expected: what would be right, as the end of a sentence that begins with "must be".
    :param value: the unusable value, or the element of a list that is at fault.
    """

    expected: str
    value: object


class Checker(Protocol):
    """Tells usable values of one setting from others; it never raises."""

    @property
    def allowed(self) -> str:
        """What is usable, as the end of a sentence that begins with "must be"."""

    def check(self, value: object) -> object:
        """Give the value to keep, or ``Rejected``; values have the types of TOML."""

    def parse(self, text: str) -> object:
        """Turn the text of an environment variable into a value to check, or ``Rejected``."""


def _wrong_type(checker: Checker, value: object) -> Rejected:
    found = _TYPE_NAMES.get(type(value), "that")
    return Rejected(f"{checker.allowed}, not {found}", value)


@dataclass(frozen=True, slots=True)
class Flag:
    """``true`` or ``false``."""

    allowed: str = "true or false"

    def check(self, value: object) -> object:
        """Accept booleans only; 0 and 1 are numbers."""
        return value if isinstance(value, bool) else _wrong_type(self, value)

    def parse(self, text: str) -> object:
        """Accept the two words as TOML spells them."""
        return {"true": True, "false": False}.get(text, Rejected(self.allowed, text))


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """A whole number between two limits, both included; a boolean is not one."""

    least: int
    most: int

    @property
    def allowed(self) -> str:
        """The range in words."""
        return f"a whole number from {self.least} to {self.most}"

    def check(self, value: object) -> object:
        """Accept integers in the range."""
        if isinstance(value, bool) or not isinstance(value, int):
            return _wrong_type(self, value)
        return value if self.least <= value <= self.most else Rejected(self.allowed, value)

    def parse(self, text: str) -> object:
        """Accept decimal digits with an optional sign."""
        # Bounded, because int() refuses very long digit strings with an error of its own.
        digits = re.fullmatch(r"[+-]?[0-9]{1,40}", text)
        return int(text) if digits else Rejected(self.allowed, text)


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number between two limits, both included; whole numbers are accepted."""

    least: float
    most: float

    @property
    def allowed(self) -> str:
        """The range in words."""
        return f"a number from {self.least:g} to {self.most:g}"

    def check(self, value: object) -> object:
        """Accept finite numbers in the range and keep them as floats."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return _wrong_type(self, value)
        # Compared before it is converted: an int may be too large for a float. NaN fails both.
        return float(value) if self.least <= value <= self.most else Rejected(self.allowed, value)

    def parse(self, text: str) -> object:
        """Accept decimal notation, exponent included."""
        if not re.fullmatch(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", text):
            return Rejected(self.allowed, text)
        number = float(text)
        return number if math.isfinite(number) else Rejected(self.allowed, text)


class StringCheck:
    """What the checkers of text have in common: the text of a variable is the value."""

    __slots__ = ()

    def parse(self, text: str) -> object:
        """Leave the text as it is."""
        return text


@dataclass(frozen=True, slots=True)
class Choice(StringCheck):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The words, quoted."""
        return " or ".join(f'"{word}"' for word in self.words)

    def check(self, value: object) -> object:
        """Accept exactly one of the words."""
        if not isinstance(value, str):
            return _wrong_type(self, value)
        if value not in self.words:
            return Rejected(self.allowed, value)
        # The word itself, which may be a member of an enumeration.
        return self.words[self.words.index(value)]


@dataclass(frozen=True, slots=True)
class Text(StringCheck):
    """Any text that is not empty."""

    allowed: str = "a string that is not empty"

    def check(self, value: object) -> object:
        """Accept text that UTF-8 can express."""
        if not isinstance(value, str):
            return _wrong_type(self, value)
        return value if value and _is_utf8(value) else Rejected(f"{self.allowed}, in UTF-8", value)


@dataclass(frozen=True, slots=True)
class FilePath(StringCheck):
    """The path of a file, or nothing; whether it can be read is seen when it is."""

    allowed: str = 'the path of a file, or "" for none'

    def check(self, value: object) -> object:
        """Accept text that can be a path."""
        if not isinstance(value, str):
            return _wrong_type(self, value)
        return value if _is_utf8(value) and "\0" not in value else Rejected(self.allowed, value)


@dataclass(frozen=True, slots=True)
class Network(StringCheck):
    """An IP address, or a network of them."""

    allowed: str = "an IP address such as 10.0.0.5 or a network such as 10.0.0.0/8"

    def check(self, value: object) -> object:
        """Accept what the standard library reads as a network."""
        if not isinstance(value, str):
            return _wrong_type(self, value)
        try:
            ip_network(value, strict=False)
        except ValueError:
            return Rejected(self.allowed, value)
        return value


@dataclass(frozen=True, slots=True)
class OriginPattern(StringCheck):
    """The origin of pages, perhaps with ``*``, or ``same-host``."""

    allowed: str = 'an origin such as "https://*.example.com", "same-host" or "*"'

    def check(self, value: object) -> object:
        """Accept scheme and host without path, or one of the two words."""
        if not isinstance(value, str):
            return _wrong_type(self, value)
        scheme, separator, rest = value.partition("://")
        usable = value in ("same-host", "*") or (
            separator and scheme and rest and not any(each in rest for each in "/?#@ ")
        )
        return value if usable and _is_utf8(value) else Rejected(self.allowed, value)


@dataclass(frozen=True, slots=True)
class FileMode(StringCheck):
    """The permissions of a file, as chmod(1) takes them."""

    allowed: str = 'an octal mode such as "0660"'

    def check(self, value: object) -> object:
        """Accept text, because TOML would read a bare 0660 as an error and 660 as decimal."""
        if not isinstance(value, str):
            return _wrong_type(self, value)
        return value if re.fullmatch("0?[0-7]{3}", value) else Rejected(self.allowed, value)


@dataclass(frozen=True, slots=True)
class TopicPattern(StringCheck):
    """A topic, or the beginning of topics followed by ``*``."""

    allowed: str = 'a topic, or a prefix that ends in "*" (the only place where "*" may stand)'

    def check(self, value: object) -> object:
        """Accept text without ``*`` before its end."""
        if not isinstance(value, str):
            return _wrong_type(self, value)
        usable = value and "*" not in value[:-1] and _is_utf8(value)
        return value if usable else Rejected(self.allowed, value)


_TCP = re.compile(
    r"tcp://(?P<host>\*|\[[0-9A-Za-z:.%_-]+\]|[^\s\[\]/:;*]+):(?P<port>\*|[0-9]{1,5})"
)
_LONGEST_SOCKET_PATH = 107  # sun_path of unix(7) has 108 bytes, the last of them NUL.


@dataclass(frozen=True, slots=True)
class PullAddress(StringCheck):
    """A ZeroMQ address to bind, or with ``connect:`` in front, to connect to."""

    allowed: str = (
        "tcp://HOST:PORT or ipc://PATH (these are bound; HOST may be *), or "
        "connect:tcp://HOST:PORT or connect:ipc://PATH (these are connected to; no *)"
    )

    def check(self, value: object) -> object:
        """Accept the forms of :attr:`allowed`."""
        if not isinstance(value, str):
            return _wrong_type(self, value)
        address = value.removeprefix("connect:")
        bound = address == value
        usable = _is_clean(value) and (self._tcp(address, bound) or self._ipc(address, bound))
        return value if usable else Rejected(self.allowed, value)

    @staticmethod
    def _tcp(address: str, bound: bool) -> bool:
        found = _TCP.fullmatch(address)
        if found is None:
            return False
        if found["port"] in ("*", "0"):
            return bound
        return int(found["port"]) in range(1, 65_536) and (bound or found["host"] != "*")

    @staticmethod
    def _ipc(address: str, bound: bool) -> bool:
        path = address.removeprefix("ipc://")
        if path in (address, "") or (path == "*" and not bound):
            return False
        return len(path.encode()) <= _LONGEST_SOCKET_PATH


_ANY_FREE_PORT = re.compile(r":(?:port=)?[0*](?::|$)")


def takes_any_port(address: str) -> bool:
    """Tell whether an endpoint or ZeroMQ address lets the system choose: it may stand twice."""
    return bool(_ANY_FREE_PORT.search(address)) or address == "ipc://*"


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, nothing in it twice; but any free port may stand there more than once."""

    each: Checker
    at_least: int = 0

    @property
    def allowed(self) -> str:
        """The form of the list and of its elements."""
        return f"a list of {'at least one of: ' if self.at_least else ''}{self.each.allowed}"

    def check(self, value: object) -> object:
        """Accept lists of usable, different elements and keep them as tuples."""
        if not isinstance(value, list | tuple):
            return _wrong_type(self, value)
        if len(value) < self.at_least:
            return Rejected(self.allowed, list(value))
        kept: list[str] = []
        for element in value:
            checked = self.each.check(element)
            if not isinstance(checked, str):
                return checked
            if checked in kept and not takes_any_port(checked):
                return Rejected("something that is not in the list already", checked)
            kept.append(checked)
        return tuple(kept)

    def parse(self, text: str) -> object:
        """Split at commas."""
        return [part.strip() for part in text.split(",")]


def _is_utf8(text: str) -> bool:
    """Tell whether text has no lone surrogates, as environment variables may."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _is_clean(text: str) -> bool:
    return text.isprintable() and text == text.strip()
