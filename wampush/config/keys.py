"""The keys of settings: how they are written, which exist, and which one was meant.

Owns: names and paths of keys, and suggestions for unknown ones. Must not import: Twisted, ZeroMQ.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from wampush.config.line_numbers import KeyPath
from wampush.config.settings import FIELDS, LISTS, SECTIONS

PREFIX: Final = "WAMPUSH_"
_UNKNOWN: Final = "no setting has this name"
#: The dotted keys of settings outside lists of tables.
PATHS: Final[Mapping[KeyPath, str]] = MappingProxyType(
    {tuple(key.split(".")): key for key in FIELDS}
)
_TOP: Final = frozenset(key for key in FIELDS if "." not in key)
#: Keys that have moved to another table; the nearest name is not always the new one.
MOVED: Final[Mapping[KeyPath, str]] = MappingProxyType(
    {
        ("zmq", "topic_key"): "pushes.topic_key",
        ("zmq", "max_message_bytes"): "pushes.max_message_bytes",
    }
)


def variable_of(key: str) -> str:
    """Return the environment variable of a dotted key."""
    return PREFIX + key.replace(".", "_").upper()


VARIABLES: Final[Mapping[str, str]] = MappingProxyType({variable_of(key): key for key in FIELDS})


def dotted(path: KeyPath) -> str:
    """Write a path as people do: entries of lists are counted from 1."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{quoted(part)}"
    return text.removeprefix(".")


def quoted(name: str) -> str:
    """Quote a key where TOML would, so that the error stays one line; cut endless ones."""
    cut = name if len(name) <= 100 else f"{name[:100]}…"
    return cut if re.fullmatch(r"[A-Za-z0-9_-]+…?", cut) else json.dumps(cut)


def problem_of(path: KeyPath) -> str:
    """Return what is wrong with an unknown key."""
    if len(path) > 1 and path[-1] in _TOP:
        # TOML counts everything after the head of a table to that table.
        return f'{_UNKNOWN}; put "{path[-1]}" before the first [table]'
    return _UNKNOWN


def nearest(path: tuple[str, ...]) -> str:
    """Return the known key that was most likely meant, or ""."""
    if path in MOVED:
        return MOVED[path]
    name = path[-1]
    if len(path) == 1:
        near = closest(name, [*_TOP, *SECTIONS, *LISTS])
    elif name in _TOP:
        return ""
    elif path[0] in SECTIONS:
        own = [each.rpartition(".")[2] for each in FIELDS if each.startswith(f"{path[0]}.")]
        near = f"{path[0]}.{found}" if (found := closest(name, own)) else ""
    else:
        near = closest(".".join(path), FIELDS)
    if near:
        return near
    # The right name may be in the wrong table.
    other = closest(name, [key.rpartition(".")[2] for key in FIELDS], 0.8)
    return next((key for key in FIELDS if other and key.endswith(f".{other}")), "")


def nearest_variable(name: str) -> str:
    """Return the known environment variable that was most likely meant, or ""."""
    # Compared without the prefix, which would make all of them alike.
    known = [*(each.removeprefix(PREFIX) for each in VARIABLES), "CONFIG", "PURE_PYTHON"]
    near = closest(name.removeprefix(PREFIX), known)
    return PREFIX + near if near else ""


def closest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the known name most like another, or ""."""
    return "".join(difflib.get_close_matches(name[:100], list(known), 1, cutoff))
