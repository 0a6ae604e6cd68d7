"""The configuration in force: command line over environment over TOML file over defaults.

Owns: merging the sources, and applying the rules between settings.
Must not import: Twisted, Autobahn.

Every value of every source is checked, even one that another source overrides, so that a mistake
shows when it is made. All mistakes are reported at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from wampush.config.keys import dotted
from wampush.config.line_numbers import KeyPath
from wampush.config.rules import Conflict
from wampush.config.settings import FIELDS, LIST_FIELDS, LISTS, RULES, Settings, assemble
from wampush.config.sources import DEFAULT, FAULTY, Origin, file_named_by, read_sources
from wampush.errors import ConfigError, ConfigErrors


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings in force and the source of each.

    :param settings: the checked settings.
    :param origins: for each dotted key, and for each list of tables as a whole: "default",
        "file NAME", "environment WAMPUSH_X" or "command line".
    :param folder: the folder of the file, in which application code is found; None without a file.
    """

    settings: Settings
    origins: Mapping[str, str]
    folder: Path | None = None


class Described(NamedTuple):
    """One setting in force, for people to read."""

    key: str
    value: object
    origin: str


def load(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
    assignments: Sequence[str] = (),
) -> LoadedSettings:
    """Read, check and merge all sources.

    :param path: the TOML file; None means the one that ``WAMPUSH_CONFIG`` names, if any.
    :param environ: the environment; only names that begin with ``WAMPUSH_`` are considered.
    :param overrides: values of the command line by dotted key, with the types of TOML; None means
        that the option was not given.
    :param assignments: further values of the command line, each ``key=value``.
    :raises ConfigErrors: when a source cannot be read, or holds anything unknown or unusable.
    """
    values: dict[str, Any] = {key: each.default for key, each in FIELDS.items()}
    values.update((table, {}) for table in LISTS)
    origins = dict.fromkeys(values, DEFAULT)
    errors: list[ConfigError] = []
    path = path or file_named_by(environ)
    for given in read_sources(path, environ, overrides, assignments):
        errors += given.mistakes
        for key in _keys(given.key, given.value is FAULTY):
            values[key] = given.value
            origins[key] = given.origin
    if all(error.key for error in errors):
        errors += _broken_rules(values, origins)
    if errors:
        errors.sort(key=lambda error: (error.line is None, error.line or 0))
        raise ConfigErrors(errors)
    labels = {key: origin.label for key, origin in origins.items()}
    # Absolute now: a daemon may change its working directory before application code is loaded.
    folder = None if path is None else path.absolute().parent
    return LoadedSettings(assemble(values), MappingProxyType(labels), folder)


def _keys(key: str, is_faulty: bool) -> list[str]:
    """Return the settings that a source gives with a key; a faulty table, all of its settings."""
    if key in FIELDS or key in LISTS:
        return [key]
    return [each for each in FIELDS if is_faulty and key and each.startswith(f"{key}.")]


def _broken_rules(
    values: Mapping[str, Any], origins: Mapping[str, Origin]
) -> Iterator[ConfigError]:
    """Apply the rules whose operands have no mistake."""
    for rule in RULES:
        operands = [values[key] for key in rule.keys]
        if any(operand is FAULTY for operand in operands):
            continue
        for problem in rule.judge(*operands):
            if isinstance(problem, Conflict):
                table = rule.keys[0]
                value = getattr(values[table][problem.number], problem.name)
                path: KeyPath = (table, problem.number - 1, problem.name)
                yield origins[table].mistake(path, value, problem.problem)
            else:
                # The value that was set last is reported; of equals, the first.
                key = max(rule.keys, key=lambda each: origins[each].rank)
                yield origins[key].mistake(tuple(key.split(".")), values[key], problem)


def describe(loaded: LoadedSettings) -> list[Described]:
    """List every setting in force, in the order of the documentation.

    Entries of ``[[topics]]`` have the keys ``topics[1].match`` and so on, counted from 1; without
    an entry there is one row ``topics``. The other lists are the same.
    """
    rows = [Described(key, attrgetter(key)(loaded.settings), loaded.origins[key]) for key in FIELDS]
    for table, settings in LIST_FIELDS.items():
        origin = loaded.origins[table]
        entries = getattr(loaded.settings, table)
        rows += [
            Described(dotted((table, index, name)), getattr(entry, name), origin)
            for index, entry in enumerate(entries)
            for name in settings
        ] or [Described(table, (), origin)]
    return rows


def changed_keys(before: LoadedSettings, after: LoadedSettings) -> list[str]:
    """Return the keys whose values differ, as :func:`describe` writes them and in its order."""
    old = {row.key: row.value for row in describe(before)}
    new = {row.key: row.value for row in describe(after)}
    return [
        key
        for key in dict.fromkeys([*new, *old])
        if key not in old or key not in new or old[key] != new[key]
    ]


def as_toml(value: object) -> str:
    """Write the value of a setting in the syntax of TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A JSON string is a TOML basic string, except for U+007F, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(as_toml(element) for element in value)}]"
    return repr(value)
