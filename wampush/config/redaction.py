"""Safe display of values that an error or a log line repeats.

Owns: hiding user and password of a URL, the names of settings that hold secrets, and the bounds of
a value that is shown.
Must not import: anything of wampush.

A mistake in the configuration is shown with the value that was found, and that value may contain a
secret: in a URL, or under a key that does not exist.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

HIDDEN: Final = "[hidden]"
# Greedy: a password that should have been percent-encoded may itself contain "@", "/" or a blank.
_USER_AND_PASSWORD: Final = re.compile(r"(?<=://).*@", re.DOTALL)
_SECRET: Final = re.compile(r"pass|secret|token|credential|auth", re.IGNORECASE)
_ELEMENTS: Final = 8


class Redacted:
    """Base class of values whose ``str`` hides their secrets."""

    __slots__ = ()


def without_password(text: str) -> str:
    """Return a text with everything between ``://`` and the last ``@`` hidden."""
    return _USER_AND_PASSWORD.sub(f"{HIDDEN}@", text)


def names_a_secret(name: str) -> bool:
    """Return whether something of this name is likely to be a secret."""
    return _SECRET.search(name) is not None


def presentable(value: object, depth: int = 2) -> object:
    """Return a bounded value for an error, whose repr neither is endless nor fails.

    :param depth: levels of lists and tables to show.
    """
    shown: object = f"a Python {type(value).__name__}"
    if value is None or isinstance(value, bool | float):
        shown = value
    elif isinstance(value, int):
        # repr() of an int refuses thousands of digits, which hexadecimal TOML can bring.
        shown = value if value.bit_length() <= 256 else f"a number of {value.bit_length()} bits"
    elif isinstance(value, str):
        # Hidden first: the cut may remove the "@" after a password.
        text = without_password(value)
        shown = text if len(text) <= 200 else f"{text[:200]}…"
    elif isinstance(value, Redacted):
        shown = str(value)
    elif isinstance(value, dt.date | dt.time):
        shown = value.isoformat()
    elif isinstance(value, list | tuple | dict) and not depth:
        shown = "…"
    elif isinstance(value, list | tuple):
        elements = [presentable(element, depth - 1) for element in value[:_ELEMENTS]]
        shown = [*elements, "…"] if len(value) > _ELEMENTS else elements
    elif isinstance(value, dict):
        table = {
            str(key)[:100]: HIDDEN if names_a_secret(str(key)) else presentable(each, depth - 1)
            for key, each in list(value.items())[:_ELEMENTS]
        }
        shown = {**table, "…": "…"} if len(value) > _ELEMENTS else table
    return shown
