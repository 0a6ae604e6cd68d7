"""Checks of values: flags, numbers, choices, strings and lists.

Owns: one check per kind of value, with the words for what would be right and the JSON Schema.
Must not import: Twisted, Autobahn, or anything of wampush.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network
from types import MappingProxyType
from typing import Annotated, Final, Protocol

_TYPE_NAMES: Final[Mapping[type, str]] = MappingProxyType(
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
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,40}")
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_ANY_FREE_PORT: Final = re.compile(r":(?:port=)?[0*](?::|$)")


@dataclass(frozen=True, slots=True)
class Rejected:
    """The result of checking an unusable value.

    :param expected: what would be right, as the end of a sentence that begins with "must be".
    :param value: the unusable value, or the element of a list that is at fault.
    :param index: where the element is in the list, counted from 0.
    """

    expected: str
    value: object
    index: int | None = None


class Check(Protocol):
    """Decides which values a setting accepts; it never raises."""

    @property
    def allowed(self) -> str:
        """What is usable, as the end of a sentence that begins with "must be"."""

    def check(self, value: object) -> object:
        """Return the value to keep, or ``Rejected``; values have the types of TOML."""

    def parse(self, text: str) -> object:
        """Convert the text of an environment variable to a value to check, or ``Rejected``."""

    def schema(self) -> dict[str, object]:
        """Return the JSON Schema of usable values."""


def wrong_type(check: Check, value: object) -> Rejected:
    """Reject a value because of its type, or as it has been rejected before."""
    if isinstance(value, Rejected):
        return value
    return Rejected(f"{check.allowed}, not {_type_name(value)}", value)


def _type_name(value: object) -> str:
    return _TYPE_NAMES.get(type(value), f"a Python {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class Flag:
    """``true`` or ``false``."""

    allowed: str = "true or false"

    def check(self, value: object) -> object:
        """Accept booleans only; 0 and 1 are numbers."""
        return value if isinstance(value, bool) else wrong_type(self, value)

    def parse(self, text: str) -> object:
        """Accept the two words as TOML spells them."""
        return {"true": True, "false": False}.get(text, Rejected(self.allowed, text))

    def schema(self) -> dict[str, object]:
        """Return the JSON Schema of a boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number within a range.

    :param least: the smallest usable value.
    :param most: the largest usable value.
    :param unit: the unit, or "".
    :param whole: whether only whole numbers are usable; otherwise they become floats.
    """

    least: float
    most: float
    unit: str = ""
    whole: bool = False

    @property
    def allowed(self) -> str:
        """The range in words."""
        kind = "whole number" if self.whole else "number"
        return f"a {kind} from {self.least:.15g} to {self.most:.15g}"

    def check(self, value: object) -> object:
        """Accept numbers within the range; a boolean is not a number."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return wrong_type(self, value)
        # Compared before it is converted: an int may be too large for a float. NaN fails both.
        if not self.least <= value <= self.most:
            return Rejected(self.allowed, value)
        return value if self.whole else float(value)

    def parse(self, text: str) -> object:
        """Accept decimal notation, with an exponent where fractions are usable."""
        # Bounded, because int() refuses very long digit strings with an error of its own.
        if not (_INTEGER if self.whole else _DECIMAL).fullmatch(text):
            return Rejected(self.allowed, text)
        number = int(text) if self.whole else float(text)
        return number if math.isfinite(number) else Rejected(self.allowed, text)

    def schema(self) -> dict[str, object]:
        """Return the JSON Schema of the range."""
        kind = "integer" if self.whole else "number"
        return {"type": kind, "minimum": self.least, "maximum": self.most}


def whole(least: int, most: int, unit: str = "") -> Number:
    """Return the check of a whole number; the parameters are those of :class:`Number`."""
    return Number(least, most, unit, whole=True)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words.

    :param words: the usable values.
    """

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The words, quoted."""
        *others, last = (f'"{word}"' for word in self.words)
        return f"{', '.join(others)} or {last}"

    def check(self, value: object) -> object:
        """Accept exactly one of the words."""
        if not isinstance(value, str):
            return wrong_type(self, value)
        if value not in self.words:
            return Rejected(self.allowed, value)
        # The word itself, which may be a member of an enumeration.
        return self.words[self.words.index(value)]

    def parse(self, text: str) -> object:
        """Return the text as it is."""
        return text

    def schema(self) -> dict[str, object]:
        """Return the JSON Schema of the words."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class StringCheck:
    """A string in UTF-8 of a certain form.

    :param form: the form in words, as the end of a sentence that begins with "must be".
    :param is_usable: returns whether a string has the form; by default any but the empty one.
    :param optional: whether the empty string is usable, too, and means none.
    """

    form: str = "a string that is not empty"
    is_usable: Callable[[str], object] = bool
    optional: bool = False

    @property
    def allowed(self) -> str:
        """The form in words."""
        return f'{self.form}, or "" for none' if self.optional else self.form

    def check(self, value: object) -> object:
        """Accept strings of the form."""
        if not isinstance(value, str):
            return wrong_type(self, value)
        if self.optional and not value:
            return value
        if not _is_utf8(value):
            return Rejected(f"{self.allowed}, in UTF-8", value)
        return value if self.is_usable(value) else Rejected(self.allowed, value)

    def parse(self, text: str) -> object:
        """Return the text as it is."""
        return text

    def schema(self) -> dict[str, object]:
        """Return the JSON Schema of a string; the form is left to the check."""
        return {"type": "string"} if self.optional else {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list without duplicates; only addresses for which the system chooses a port may recur.

    :param each: the check of the elements.
    :param at_least: the smallest number of elements.
    """

    each: Check
    at_least: int = 0

    @property
    def allowed(self) -> str:
        """The form of the list and of its elements."""
        return self._allowed()

    def _allowed(self, found: str = "") -> str:
        """Put the form in words, with what was found instead of a list."""
        instead = f", not {found}" if found else ""
        if self.at_least:
            return f"a list of at least one element{instead}; each must be {self.each.allowed}"
        return f"a list{instead}; each element must be {self.each.allowed}"

    def check(self, value: object) -> object:
        """Accept lists of usable, different elements and keep them as tuples."""
        if not isinstance(value, list | tuple):
            return Rejected(self._allowed(_type_name(value)), value)
        if len(value) < self.at_least:
            return Rejected(self.allowed, list(value))
        kept: list[object] = []
        for index, element in enumerate(value):
            checked = self.each.check(element)
            if isinstance(checked, Rejected):
                return replace(checked, index=index)
            if checked in kept and not takes_any_port(str(checked)):
                return Rejected("in the list only once", checked, index)
            kept.append(checked)
        return tuple(kept)

    def parse(self, text: str) -> object:
        """Split at commas."""
        return [part.strip() for part in text.split(",")]

    def schema(self) -> dict[str, object]:
        """Return the JSON Schema of the list."""
        return {"type": "array", "items": self.each.schema(), "minItems": self.at_least}


def takes_any_port(address: str) -> bool:
    """Return whether an endpoint or ZeroMQ address lets the system choose the port."""
    return bool(_ANY_FREE_PORT.search(address)) or address == "ipc://*"


def _is_utf8(text: str) -> bool:
    """Return whether text has no lone surrogates, as environment variables may."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _is_topic_pattern(text: str) -> bool:
    return bool(text) and "*" not in text[:-1]


TOPIC_PATTERN: Final = StringCheck(
    'a topic, or a prefix that ends in "*" ("*" is allowed only at the end)', _is_topic_pattern
)

Text = Annotated[str, StringCheck()]
OptionalText = Annotated[str, StringCheck("a string", optional=True)]
TopicPattern = Annotated[str, TOPIC_PATTERN]
Network = Annotated[
    str,
    StringCheck("an IP address such as 10.0.0.5 or a network such as 10.0.0.0/8", _is_network),
]
