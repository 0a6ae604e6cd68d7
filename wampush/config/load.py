"""The configuration in force: command line over environment over TOML file over defaults.

Owns: checking and merging what the sources give, and applying the rules between settings.

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
from typing import Any, Final, NamedTuple

from wampush.config.checks.check import Rejected
from wampush.config.keys import PATHS, closest, dotted, nearest, problem_of
from wampush.config.line_numbers import KeyPath
from wampush.config.redaction import HIDDEN, names_a_secret
from wampush.config.rules import Conflict
from wampush.config.setting import Setting
from wampush.config.settings import FIELDS, LIST_FIELDS, LISTS, RULES, SECTIONS, Settings, assemble
from wampush.config.sources import DEFAULT, Given, Origin, Unusable, file_named_by, read_sources
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
    path = path or file_named_by(environ)
    merged = _Merged()
    for given in read_sources(path, environ, overrides, assignments):
        merged.take(given)
    errors = merged.errors
    if all(error.key for error in errors):
        errors += merged.broken_rules()
    if errors:
        errors.sort(key=lambda error: (error.line is None, error.line or 0))
        raise ConfigErrors(errors)
    labels = {key: origin.label for key, origin in merged.origins.items()}
    # Absolute now: a daemon may change its working directory before application code is loaded.
    folder = None if path is None else path.absolute().parent
    return LoadedSettings(assemble(merged.values), MappingProxyType(labels), folder)


class _Faulty:
    """Stands for the value of a key that has a mistake."""


_FAULTY: Final = _Faulty()


class _Merged:
    """The values of all sources so far, by dotted key; a list of tables holds entries by number."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {key: each.default for key, each in FIELDS.items()}
        self.values.update((table, {}) for table in LISTS)
        self.origins = dict.fromkeys(self.values, DEFAULT)
        self.errors: list[ConfigError] = []

    def take(self, given: Given | Unusable) -> None:
        """Check what a source gives for one key, and keep it in place of an earlier value."""
        if isinstance(given, Unusable):
            self._refuse(given.key, given.error)
            return
        path, value, origin = given
        if path in PATHS:
            key = PATHS[path]
            checked = _checked(path, FIELDS[key], value, origin)
            if isinstance(checked, ConfigError):
                self._refuse(key, checked)
            else:
                self.values[key], self.origins[key] = checked, origin
        elif len(path) == 1 and path[0] in LISTS:
            self._take_entries(path[0], value, origin)
        elif len(path) == 1 and path[0] in SECTIONS:
            problem = f"must be a table that begins with [{path[0]}]"
            self._refuse(path[0], origin.mistake(path, value, problem))
        else:
            near = nearest(path)
            self._refuse(near, _unknown_key(path, value, origin, near))

    def _take_entries(self, table: str, entries: object, origin: Origin) -> None:
        if not isinstance(entries, list | tuple):
            problem = f"must be a list of tables, each of which begins with [[{table}]]"
            self._refuse(table, origin.mistake((table,), entries, problem))
            return
        kept = {}
        for index, entry in enumerate(entries):
            values, wrong = _entry((table, index), entry, origin)
            self.errors += wrong
            if not wrong:
                kept[index + 1] = LISTS[table](**values)
        self.values[table], self.origins[table] = kept, origin

    def _refuse(self, key: str, error: ConfigError) -> None:
        """Keep an error, and no value for its key; of a table, none for all of its settings."""
        self.errors.append(error)
        for each in self.values:
            if each == key or (key and each.startswith(f"{key}.")):
                self.values[each] = _FAULTY

    def broken_rules(self) -> Iterator[ConfigError]:
        """Apply the rules whose operands have no mistake."""
        values, origins = self.values, self.origins
        for rule in RULES:
            operands = [values[key] for key in rule.keys]
            if _FAULTY in operands:
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


def _checked(path: KeyPath, setting: Setting, value: object, origin: Origin) -> object:
    """Return the value to keep, or the error."""
    checked = setting.check.check(value)
    if isinstance(checked, Rejected):
        unit = f" (unit: {setting.check.unit})" if setting.check.unit else ""
        problem = f"must be {checked.expected}{unit}"
        return origin.mistake(path, checked.value, problem, index=checked.index)
    return checked


def _entry(
    place: tuple[str, int], entry: object, origin: Origin
) -> tuple[dict[str, Any], list[ConfigError]]:
    """Return the values of an entry of a list of tables, and the errors in it."""
    table = place[0]
    if not isinstance(entry, Mapping):
        problem = f"must be a table that begins with [[{table}]]"
        return {}, [origin.mistake(place, entry, problem)]
    known = LIST_FIELDS[table]
    values: dict[str, Any] = {}
    mistakes: list[ConfigError] = []
    meant: set[str] = set()
    for name, value in entry.items():
        path = (*place, str(name))
        if name in known:
            values[name] = checked = _checked(path, known[name], value, origin)
            if isinstance(checked, ConfigError):
                mistakes.append(checked)
        else:
            near = closest(str(name), known)
            meant.add(near)
            suggestion = dotted((*place, near)) if near else ""
            mistakes.append(_unknown_key(path, value, origin, suggestion))
    for name, setting in known.items():
        if setting.is_required and name not in values and name not in meant:
            problem = f"is missing; it must be {setting.check.allowed}"
            mistakes.append(origin.mistake((*place, name), None, problem))
    return values, mistakes


def _unknown_key(path: KeyPath, value: object, origin: Origin, suggestion: str) -> ConfigError:
    shown = HIDDEN if names_a_secret(str(path[-1])) else value
    return origin.mistake(path, shown, problem_of(path), suggestion)


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
