"""Checks of values: flags, numbers, choices, strings and lists.

Owns: what a check is, and one for each kind of value, with the words for what would be right.
Must not import: anything of wampush.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from types import MappingProxyType
from typing import Annotated, Final

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


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Check:
    """Decides which values a setting accepts; it never raises.

    :param allowed: what is usable, as the end of a sentence that begins with "must be".
    :param types: the types of usable values; a boolean is no ``int`` here.
    :param keep: takes a value of these types and returns the value to keep, ``Rejected``, or None
        for what ``allowed`` excludes.
    :param schema: the JSON Schema of usable values.
    :param read: converts the text of an environment variable to a value to check, or None.
    :param of_type: returns ``allowed`` for a value of another type, whose name it takes.
    :param unit: of a number, or "".
    :param is_secret: whether errors leave out the value.
    """

    allowed: str
    types: tuple[type, ...]
    keep: Callable[..., object]
    schema: Mapping[str, object]
    read: Callable[[str], object] = str
    of_type: Callable[[str], str] | None = None
    unit: str = ""
    is_secret: bool = False

    def check(self, value: object) -> object:
        """Return the value to keep, or ``Rejected``; values have the types of TOML."""
        if isinstance(value, Rejected):
            return value
        kept: object = None
        if isinstance(value, self.types) and (bool in self.types or not isinstance(value, bool)):
            kept = self.keep(value)
            expected = self.allowed
        else:
            name = _TYPE_NAMES.get(type(value), f"a Python {type(value).__name__}")
            expected = self.of_type(name) if self.of_type else f"{self.allowed}, not {name}"
        rejected = Rejected(expected, value) if kept is None else kept
        if self.is_secret and isinstance(rejected, Rejected):
            return replace(rejected, value=None)
        return rejected

    def accepts(self, value: object) -> bool:
        """Return whether a value is usable."""
        return not isinstance(self.check(value), Rejected)

    def parse(self, text: str) -> object:
        """Convert the text of an environment variable to a value to check, or ``Rejected``."""
        value = self.read(text)
        return Rejected(self.allowed, text) if value is None else value


FLAG: Final = Check(
    allowed="true or false",
    types=(bool,),
    keep=lambda value: value,
    schema={"type": "boolean"},
    read={"true": True, "false": False}.get,
)


def number(least: float, most: float, unit: str = "") -> Check:
    """Return the check of a finite number within a range, which becomes a float."""

    def read(text: str) -> float | None:
        found = float(text) if _DECIMAL.fullmatch(text) else math.nan
        return found if math.isfinite(found) else None

    return Check(
        allowed=f"a number from {least:.15g} to {most:.15g}",
        types=(int, float),
        # Compared before it is converted: an int may be too large for a float. NaN fails both.
        keep=lambda value: float(value) if least <= value <= most else None,
        schema={"type": "number", "minimum": least, "maximum": most},
        read=read,
        unit=unit,
    )


def whole(least: int, most: int, unit: str = "") -> Check:
    """Return the check of a whole number within a range."""
    return Check(
        allowed=f"a whole number from {least} to {most}",
        types=(int,),
        keep=lambda value: value if least <= value <= most else None,
        schema={"type": "integer", "minimum": least, "maximum": most},
        # Bounded, because int() refuses very long digit strings with an error of its own.
        read=lambda text: int(text) if _INTEGER.fullmatch(text) else None,
        unit=unit,
    )


def choice(words: Sequence[str]) -> Check:
    """Return the check of one of a few words, which may be members of an enumeration."""
    *others, last = (f'"{word}"' for word in words)
    return Check(
        allowed=f"{', '.join(others)} or {last}",
        types=(str,),
        keep=lambda value: next((word for word in words if word == value), None),
        schema={"enum": list(words)},
    )


def string(
    form: str = "a string that is not empty",
    is_usable: Callable[[str], object] = bool,
    *,
    optional: bool = False,
) -> Check:
    """Return the check of a string in UTF-8 of a certain form.

    :param form: the form in words, as the end of a sentence that begins with "must be".
    :param is_usable: returns whether a string has the form.
    :param optional: whether the empty string is usable, too, and means none.
    """
    return converted(form, lambda text: text if is_usable(text) else None, optional=optional)


def converted(
    form: str,
    convert: Callable[[str], object],
    *,
    optional: bool = False,
    is_secret: bool = False,
) -> Check:
    """Return the check of a string that is kept as something else.

    :param convert: returns the value to keep, ``Rejected``, or None if the form is wrong.
    """
    allowed = f'{form}, or "" for none' if optional else form

    def keep(text: str) -> object:
        if optional and not text:
            return text
        # Environment variables may have lone surrogates.
        if any("\ud800" <= character <= "\udfff" for character in text):
            return Rejected(f"{allowed}, in UTF-8", text)
        return convert(text)

    return Check(
        allowed=allowed,
        types=(str,),
        keep=keep,
        schema={"type": "string"} if optional else {"type": "string", "minLength": 1},
        is_secret=is_secret,
    )


def list_of(each: Check, at_least: int = 0) -> Check:
    """Return the check of a list without duplicates, which is kept as a tuple.

    Only addresses for which the system chooses a port may recur.
    """

    def words(instead: str = "") -> str:
        if at_least:
            return f"a list of at least one element{instead}; each must be {each.allowed}"
        return f"a list{instead}; each element must be {each.allowed}"

    def keep(value: Sequence[object]) -> object:
        if len(value) < at_least:
            return Rejected(words(), list(value))
        kept: list[object] = []
        for index, element in enumerate(value):
            checked = each.check(element)
            if isinstance(checked, Rejected):
                return replace(checked, index=index)
            if checked in kept and not takes_any_port(str(checked)):
                return Rejected("in the list only once", checked, index)
            kept.append(checked)
        return tuple(kept)

    return Check(
        allowed=words(),
        types=(list, tuple),
        keep=keep,
        schema={"type": "array", "items": each.schema, "minItems": at_least},
        read=lambda text: [part.strip() for part in text.split(",")],
        of_type=lambda name: words(f", not {name}"),
    )


def takes_any_port(address: str) -> bool:
    """Return whether an endpoint or ZeroMQ address lets the system choose the port."""
    return bool(_ANY_FREE_PORT.search(address)) or address == "ipc://*"


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


TOPIC_PATTERN: Final = string(
    'a topic, or a prefix that ends in "*" ("*" is allowed only at the end)',
    lambda text: text and "*" not in text[:-1],
)

Text = Annotated[str, string()]
OptionalText = Annotated[str, string("a string", optional=True)]
TopicPattern = Annotated[str, TOPIC_PATTERN]
Network = Annotated[
    str, string("an IP address such as 10.0.0.5 or a network such as 10.0.0.0/8", _is_network)
]
