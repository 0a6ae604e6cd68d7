"""Check of durations: a number of seconds, or a text with a unit.

Owns: the units. Must not import: anything of wampush but the common checks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from wampush.config.checks.check import Check, number

_UNITS: Final[Mapping[str, float]] = MappingProxyType(
    {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
)
_FORM: Final = r"[0-9]{1,9}(\.[0-9]{1,6})? ?(ms|s|min|h)"
_TEXT: Final = re.compile(rf"(?P<number>[0-9.]+) ?(?P<unit>{'|'.join(_UNITS)})")


def duration(least: float, most: float) -> Check:
    """Return the check of a duration, which becomes a float of seconds.

    :param least: seconds.
    :param most: seconds.
    """
    of_number = number(least, most, "s")

    def keep(value: float | str) -> object:
        if not isinstance(value, str):
            return of_number.keep(value)
        found = _TEXT.fullmatch(value) if re.fullmatch(_FORM, value) else None
        if found is None:
            return None
        return of_number.keep(float(found["number"]) * _UNITS[found["unit"]])

    def read(text: str) -> object:
        return text if re.fullmatch(_FORM, text) else of_number.read(text)

    return Check(
        allowed=f'{of_number.allowed}, or a text such as "10s" or "2min"',
        types=(int, float, str),
        keep=keep,
        schema={"anyOf": [dict(of_number.schema), {"type": "string", "pattern": f"^{_FORM}$"}]},
        read=read,
        unit="s",
    )
