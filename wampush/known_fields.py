"""Values for a dataclass from a record that another version may have written.

Owns: that fields it does not know are left out. Must not import: anything of wampush.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any


@cache
def _names(kind: type) -> frozenset[str]:
    return frozenset(each.name for each in fields(kind))


def known_fields(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values whose names are fields of a dataclass; the others keep their defaults.

    :param kind: the dataclass.
    :param values: by name.
    """
    names = _names(kind)
    if values.keys() <= names:
        # As nearly always; this takes half of the time.
        return dict(values)
    return {name: value for name, value in values.items() if name in names}
