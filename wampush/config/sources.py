"""Reads the sources of the configuration: TOML file, environment, command line.

Owns: how each source is read, strictly, and how its errors are worded.
Must not import: Twisted, Autobahn, or anything of wampush but ``errors``, ``settings``,
``checkers.common`` and ``redaction``; ``config`` merges what this module reads.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from wampush.config.checks.common import Checker, Rejected
from wampush.config.redaction import HIDDEN, names_a_secret, without_password
from wampush.config.settings import LISTS, SECTIONS, Settings
from wampush.errors import ConfigError

_PREFIX = "WAMPUSH_"
_FILE_VARIABLE = "WAMPUSH_CONFIG"
FIELDS: Mapping[str, Field[Any]] = MappingProxyType(
    {f"{name}.{each.name}": each for name, section in SECTIONS.items() for each in fields(section)}
)
#: The keys that stand before the first table.
TOP_FIELDS: Mapping[str, Field[Any]] = MappingProxyType(
    {each.name: each for each in fields(Settings) if "checker" in each.metadata}
)
LIST_FIELDS: Mapping[str, Mapping[str, Field[Any]]] = MappingProxyType(
    {name: {each.name: each for each in fields(entry)} for name, entry in LISTS.items()}
)
_VARIABLES: Mapping[str, str] = MappingProxyType(
    {_PREFIX + key.replace(".", "_").upper(): key for key in (*TOP_FIELDS, *FIELDS)}
)


@dataclass(frozen=True, slots=True)
class Origin:
    """One source of values; of two, the one with the higher rank decides."""

    rank: int
    source: str
    label: str
    variable: str = ""

    def refuse(self, key: str, value: object, expected: str, suggestion: str = "") -> ConfigError:
        """Make the error that names this source."""
        named = f"{expected} (set by {self.variable})" if self.variable else expected
        return ConfigError(self.source, key, _presentable(value), named, suggestion)


class Given(NamedTuple):
    """One value that a source gives, already checked."""

    key: str
    value: object
    origin: Origin


DEFAULT = Origin(0, "default", "default")
COMMAND_LINE = Origin(3, "command line", "command line")


# The sources, in the order in which the later one decides.


def read_sources(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> Iterator[Given]:
    """Give the values of all sources, checked; of two for one key the later one decides.

    :param path: the TOML file, if there is one.
    :raises ConfigError: when a source cannot be read, or holds anything unknown or unusable.
    """
    if path is not None:
        origin = Origin(1, str(path), f"file {path}")
        yield from _from_tables(_read_toml(path), origin)
    for variable in sorted(name for name in environ if name.startswith(_PREFIX)):
        if variable != _FILE_VARIABLE:
            yield _from_variable(variable, environ[variable])
    for key, value in overrides.items():
        if value is None:
            continue
        if key in LISTS:
            yield Given(key, _entries(key, value, COMMAND_LINE), COMMAND_LINE)
        elif key in TOP_FIELDS or key in FIELDS:
            yield Given(key, _checked(key, _field(key), value, COMMAND_LINE), COMMAND_LINE)
        else:
            near = _close(key, [*TOP_FIELDS, *FIELDS, *LISTS])
            raise _unknown(_shown_key(key), value, COMMAND_LINE, near)


def named_by(environ: Mapping[str, str]) -> Path | None:
    """The TOML file that ``WAMPUSH_CONFIG`` names, if it does.

    :raises ConfigError: when it is empty.
    """
    name = environ.get(_FILE_VARIABLE)
    if name == "":
        expected = "must be the path of a file; else unset the variable"
        raise ConfigError("environment", _FILE_VARIABLE, name, expected)
    return None if name is None else Path(name)


def _read_toml(path: Path) -> dict[str, object]:
    source = str(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as problem:
        line = problem.object[: problem.start].count(b"\n") + 1
        expected = f"line {line}: is not UTF-8; save the file as UTF-8"
        raise ConfigError(source, "", None, expected) from problem
    except OSError as problem:
        why = problem.strerror or str(problem)
        expected = f"cannot be read: {why}; name a readable TOML file"
        raise ConfigError(source, "", None, expected) from problem
    except ValueError as problem:  # A NUL character in the path.
        expected = f"cannot be read: {problem}; name a readable TOML file"
        raise ConfigError(source, "", None, expected) from problem
    try:
        return tomllib.loads(text)
    except ValueError as problem:  # TOMLDecodeError, and int() of too many digits.
        raise ConfigError(source, "", None, _syntax_error(str(problem), text)) from problem
    except RecursionError as problem:
        expected = "is nested too deeply; no setting needs more than a list in a table"
        raise ConfigError(source, "", None, expected) from problem


def _syntax_error(message: str, text: str) -> str:
    """Put the place first, where the eye looks for it."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    if found is None:
        return f"is not TOML: {message}"
    last = text.removesuffix("\n").count("\n") + 1
    place = f"line {found[2]}, column {found[3]}" if found[2] else f"line {last}, at the end"
    return f"{place}: is not TOML: {found[1]}"


def _from_tables(tables: Mapping[str, object], origin: Origin) -> Iterator[Given]:
    for section, table in tables.items():
        if section in LISTS:
            yield Given(section, _entries(section, table, origin), origin)
            continue
        if section in TOP_FIELDS:
            yield Given(section, _checked(section, TOP_FIELDS[section], table, origin), origin)
            continue
        if section not in SECTIONS:
            near = _close(section, [*TOP_FIELDS, *SECTIONS, *LISTS]) or _same_name(section)
            raise _unknown(_shown_key(section), table, origin, near)
        if not isinstance(table, dict):
            raise origin.refuse(section, table, f"must be a table, begun with [{section}]")
        for name, value in table.items():
            key = f"{section}.{name}"
            if key not in FIELDS:
                own = [each.name for each in fields(SECTIONS[section])]
                near = [f"{section}.{each}" for each in _close(name, own)] or _same_name(name)
                raise _unknown(f"{section}.{_shown_key(name)}", value, origin, near, name)
            yield Given(key, _checked(key, FIELDS[key], value, origin), origin)


def _from_variable(variable: str, text: str) -> Given:
    table = variable.removeprefix(_PREFIX).lower()
    if table in LISTS and variable.isupper():
        expected = f"[[{table}]] can be set only in the file"
        raise ConfigError("environment", variable, _presentable(text), expected)
    if variable not in _VARIABLES:
        # Compared without the prefix, which would make all of them alike.
        known = [each.removeprefix(_PREFIX) for each in (*_VARIABLES, _FILE_VARIABLE)]
        likely = [_PREFIX + each for each in _close(variable.removeprefix(_PREFIX), known)]
        expected = "no setting has this name"
        shown = HIDDEN if names_a_secret(variable) else _presentable(text)
        raise ConfigError("environment", _shown_key(variable), shown, expected, "".join(likely))
    key = _VARIABLES[variable]
    each = _field(key)
    origin = Origin(2, "environment", f"environment {variable}", variable)
    if not text:
        raise origin.refuse(key, text, "must not be empty; unset the variable instead")
    checker: Checker = each.metadata["checker"]
    parsed = checker.parse(text)
    return Given(key, _checked(key, each, parsed, origin), origin)


def _field(key: str) -> Field[Any]:
    return TOP_FIELDS[key] if key in TOP_FIELDS else FIELDS[key]


def _entries(table: str, entries: object, origin: Origin) -> tuple[object, ...]:
    if not isinstance(entries, list | tuple):
        expected = f"must be a list of tables, each begun with [[{table}]]"
        raise origin.refuse(table, entries, expected)
    known = LIST_FIELDS[table]
    made: list[object] = []
    for number, entry in enumerate(entries, 1):
        place = f"{table}[{number}]"
        if not isinstance(entry, Mapping):
            raise origin.refuse(place, entry, f"must be a table, begun with [[{table}]]")
        values: dict[str, Any] = {}
        for name, value in entry.items():
            if name not in known:
                near = [f"{place}.{each}" for each in _close(str(name), [*known])]
                raise _unknown(f"{place}.{_shown_key(str(name))}", value, origin, near, str(name))
            values[name] = _checked(f"{place}.{name}", known[name], value, origin)
        for name, each in known.items():
            if each.default is MISSING and name not in values:
                allowed = each.metadata["checker"].allowed
                raise origin.refuse(f"{place}.{name}", None, f"is missing; it must be {allowed}")
        made.append(LISTS[table](**values))
    return tuple(made)


def _checked(key: str, each: Field[Any], value: object, origin: Origin) -> object:
    checker: Checker = each.metadata["checker"]
    checked = value if isinstance(value, Rejected) else checker.check(value)
    if isinstance(checked, Rejected):
        unit = f" (unit: {each.metadata['unit']})" if each.metadata["unit"] else ""
        raise origin.refuse(key, checked.value, f"must be {checked.expected}{unit}")
    return checked


# Words for people.


def _unknown(
    key: str, value: object, origin: Origin, near: list[str], in_table: str = ""
) -> ConfigError:
    """The error about a key that is none.

    :param in_table: its name, where it stands in a table.
    """
    if names_a_secret(key.rpartition(".")[2]):
        value = HIDDEN
    if in_table in TOP_FIELDS:
        # TOML counts whatever follows the head of a table to that table.
        expected = f'no setting has this name; put "{in_table}" before the first [table]'
        return origin.refuse(key, value, expected)
    return origin.refuse(key, value, "no setting has this name", "".join(near[:1]))


def _same_name(name: str) -> list[str]:
    """Find a key of any section: the right name may stand in the wrong table."""
    names = _close(name, [each.split(".")[1] for each in FIELDS], 0.8)
    return [key for key in FIELDS if key.split(".")[1] in names]


def _close(name: str, known: list[str], cutoff: float = 0.6) -> list[str]:
    return difflib.get_close_matches(name[:100], known, 1, cutoff)


def _shown_key(name: str) -> str:
    """Quote a key where TOML would, so that the error stays one line; cut what is endless."""
    cut = name if len(name) <= 100 else f"{name[:100]}…"
    return cut if re.fullmatch(r"[A-Za-z0-9_-]+…?", cut) else json.dumps(cut)


def _presentable(value: object, depth: int = 2) -> object:
    """Bound a value for an error: its repr must neither be endless nor fail."""
    shown: object = f"a Python {type(value).__name__}"
    if value is None or isinstance(value, bool | float):
        shown = value
    elif isinstance(value, int):
        # repr() of an int refuses thousands of digits, which hexadecimal TOML can bring.
        shown = value if value.bit_length() <= 256 else f"a number of {value.bit_length()} bits"
    elif isinstance(value, str):
        # Hidden first: the cut may take away the "@" behind a password.
        text = without_password(value)
        shown = text if len(text) <= 200 else f"{text[:200]}…"
    elif isinstance(value, dt.date | dt.time):
        shown = value.isoformat()
    elif isinstance(value, list | tuple | dict) and not depth:
        shown = "…"
    elif isinstance(value, list | tuple):
        elements = [_presentable(element, depth - 1) for element in value[:8]]
        shown = [*elements, "…"] if len(value) > 8 else elements
    elif isinstance(value, dict):
        table = {
            str(key)[:100]: HIDDEN if names_a_secret(str(key)) else _presentable(each, depth - 1)
            for key, each in list(value.items())[:8]
        }
        shown = {**table, "…": "…"} if len(value) > 8 else table
    return shown
