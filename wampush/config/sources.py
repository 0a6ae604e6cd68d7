"""The sources of the configuration: TOML file, environment and command line.

Owns: reading each source strictly, and the words and places of the mistakes in it.
Must not import: Twisted, Autobahn.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from wampush.config.checks.common import Rejected
from wampush.config.keys import (
    MOVED,
    PATHS,
    PREFIX,
    VARIABLES,
    closest,
    dotted,
    nearest,
    nearest_variable,
    problem_of,
    quoted,
    variable_of,
)
from wampush.config.line_numbers import KeyPath, positions
from wampush.config.redaction import HIDDEN, names_a_secret, presentable
from wampush.config.setting import Setting
from wampush.config.settings import FIELDS, LIST_FIELDS, LISTS, SECTIONS
from wampush.errors import ConfigError

_FILE_VARIABLE: Final = f"{PREFIX}CONFIG"


def _no_line(path: KeyPath) -> int | None:
    del path
    return None


@dataclass(frozen=True, slots=True)
class Origin:
    """One source of values; of two, the one with the higher rank decides.

    :param source: what an error calls it.
    :param label: what ``wampush check`` calls it.
    :param variable: the environment variable, if it is one.
    :param line_of: finds the line of a key in a file.
    """

    rank: int
    source: str
    label: str
    variable: str = ""
    line_of: Callable[[KeyPath], int | None] = _no_line

    def mistake(
        self,
        path: KeyPath,
        value: object,
        problem: str,
        suggestion: str = "",
        index: int | None = None,
    ) -> ConfigError:
        """Make the error about a value of this source, or about an element of a list."""
        named = f"{problem} (set by {self.variable})" if self.variable else problem
        line = self.line_of(path if index is None else (*path, index))
        shown = presentable(value)
        return ConfigError(self.source, dotted(path), shown, named, suggestion, line)


class _Faulty:
    """Stands for the value of a key that has a mistake."""


FAULTY: Final = _Faulty()
DEFAULT: Final = Origin(0, "default", "default")
COMMAND_LINE: Final = Origin(3, "command line", "command line")


class Given(NamedTuple):
    """What a source gives for one key.

    :param key: the dotted key of a setting, or the name of a table; "" if it is unknown.
    :param value: the checked value, for a list of tables the faultless entries by number, or
        ``FAULTY``.
    :param mistakes: what is wrong with it.
    """

    key: str
    value: object
    origin: Origin
    mistakes: tuple[ConfigError, ...] = ()


def read_sources(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
    assignments: Sequence[str],
) -> Iterator[Given]:
    """Read all sources and check every value; of two for one key the later one decides.

    :param path: the TOML file, if there is one.
    :param assignments: texts of the form ``key=value``, of the command line.
    """
    if path is not None:
        yield from _from_file(path)
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        if variable != _FILE_VARIABLE:
            yield _from_variable(variable, environ[variable])
        elif path is None:
            problem = "must be the path of a file; otherwise unset the variable"
            yield _unusable(ConfigError("environment", variable, "", problem))
    for key, value in overrides.items():
        if value is not None:
            yield _given(tuple(key.split(".")), value, COMMAND_LINE)
    for text in assignments:
        yield _from_assignment(text)


def file_named_by(environ: Mapping[str, str]) -> Path | None:
    """Return the TOML file that ``WAMPUSH_CONFIG`` names, if it does."""
    name = environ.get(_FILE_VARIABLE)
    return Path(name) if name else None


# The file.


def _from_file(path: Path) -> Iterator[Given]:
    source = str(path)
    if "\0" in source:
        yield _unreadable(source, "cannot be read: a path has no NUL character; name a TOML file")
        return
    try:
        # Some editors begin a file with a byte order mark, which TOML does not know.
        text = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
        tables = tomllib.loads(text)
    except UnicodeDecodeError as problem:
        line = problem.object[: problem.start].count(b"\n") + 1
        yield _unreadable(source, "is not UTF-8; save the file as UTF-8", line)
    except OSError as problem:
        why = problem.strerror or str(problem)
        yield _unreadable(source, f"cannot be read: {why}; name a readable TOML file")
    except ValueError as problem:  # TOMLDecodeError, and int() of too many digits.
        yield _unreadable(source, *_syntax_error(str(problem), text))
    except RecursionError:
        yield _unreadable(source, "is nested too deeply; no setting needs more than two levels")
    else:
        lines: dict[KeyPath, int] = {}

        def line_of(key: KeyPath) -> int | None:
            if not lines:
                lines.update(positions(text))
            # A key that is missing is reported at its table.
            above = (key[:end] for end in range(len(key), 0, -1))
            return next((lines[each] for each in above if each in lines), None)

        yield from _from_tables(tables, Origin(1, source, f"file {path}", line_of=line_of))


def _unreadable(source: str, problem: str, line: int | None = None) -> Given:
    return _unusable(ConfigError(source, "", None, problem, line=line))


def _unusable(mistake: ConfigError, key: str = "") -> Given:
    return Given(key, FAULTY, DEFAULT, (mistake,))


def _syntax_error(message: str, text: str) -> tuple[str, int | None]:
    """Return what is wrong, and the line if the parser knows it."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    if found is None:
        return f"is not TOML: {message}", None
    last = text.removesuffix("\n").count("\n") + 1
    place = f"at column {found[3]}" if found[2] else "at the end of the file"
    return f"is not TOML {place}: {found[1]}", int(found[2] or last)


def _from_tables(tables: Mapping[str, object], origin: Origin) -> Iterator[Given]:
    for name, table in tables.items():
        if name in SECTIONS and isinstance(table, dict):
            for key, value in table.items():
                yield _given((name, key), value, origin)
        else:
            yield _given((name,), table, origin)


# The environment and the command line.


def _from_variable(variable: str, text: str) -> Given:
    table = variable.removeprefix(PREFIX).lower()
    origin = Origin(2, "environment", f"environment {variable}", variable)
    key = VARIABLES.get(variable)
    if key is not None:
        path = tuple(key.split("."))
        if not text:
            mistake = origin.mistake(path, text, "must not be empty; unset the variable instead")
            return Given(key, FAULTY, origin, (mistake,))
        return _given(path, FIELDS[key].check.parse(text), origin)
    near = ""
    moved = next((new for old, new in MOVED.items() if variable_of(old) == variable), "")
    if moved:
        problem = f"has a new name: {variable_of(moved)}"
    elif table in LISTS and variable.isupper():
        problem = f"[[{table}]] can be set only in the file or with --set"
    else:
        problem, near = problem_of((variable,)), nearest_variable(variable)
    shown = HIDDEN if names_a_secret(variable) else presentable(text)
    mistake = ConfigError("environment", quoted(variable), shown, problem, near)
    return _unusable(mistake, VARIABLES.get(near, ""))


def _from_assignment(text: str) -> Given:
    key, equals, literal = (part.strip() for part in text.partition("="))
    path = tuple(part.strip() for part in key.split("."))
    if not equals:
        problem = "must be KEY=VALUE, such as websocket.ping_interval=20"
        return _unusable(ConfigError(COMMAND_LINE.source, "--set", presentable(text), problem))
    value: object = literal
    is_toml = False
    try:
        tables = tomllib.loads(f"value = {literal}")
        is_toml = len(tables) == 1
        value = tables["value"] if is_toml else literal
    except (ValueError, RecursionError):
        pass
    known = PATHS.get(path)
    if known is not None:
        check = FIELDS[known].check
        # A shell strips quotes, and a version such as 1.2 looks like a number: take the text.
        bare = check.parse(literal)
        is_bare = not isinstance(bare, Rejected) and not isinstance(check.check(bare), Rejected)
        if not is_toml or (is_bare and isinstance(check.check(value), Rejected)):
            value = bare
    return _given(path, value, COMMAND_LINE)


# Values.


def _given(path: tuple[str, ...], value: object, origin: Origin) -> Given:
    key = PATHS.get(path)
    if len(path) == 1 and path[0] in LISTS:
        return _entries(path[0], value, origin)
    if key is None:
        return _unknown(path, value, origin)
    checked = _checked(path, FIELDS[key], value, origin)
    if isinstance(checked, ConfigError):
        return Given(key, FAULTY, origin, (checked,))
    return Given(key, checked, origin)


def _checked(path: KeyPath, setting: Setting, value: object, origin: Origin) -> object:
    """Return the value to keep, or the error."""
    checked = value if isinstance(value, Rejected) else setting.check.check(value)
    if isinstance(checked, Rejected):
        unit = f" (unit: {setting.unit})" if setting.unit else ""
        problem = f"must be {checked.expected}{unit}"
        return origin.mistake(path, checked.value, problem, index=checked.index)
    return checked


def _entries(table: str, entries: object, origin: Origin) -> Given:
    if not isinstance(entries, list | tuple):
        problem = f"must be a list of tables, each of which begins with [[{table}]]"
        return Given(table, FAULTY, origin, (origin.mistake((table,), entries, problem),))
    mistakes: list[ConfigError] = []
    kept: dict[int, object] = {}
    for index, entry in enumerate(entries):
        values, wrong = _entry((table, index), entry, origin)
        mistakes += wrong
        if not wrong:
            kept[index + 1] = LISTS[table](**values)
    return Given(table, kept, origin, tuple(mistakes))


def _entry(
    place: tuple[str, int], entry: object, origin: Origin
) -> tuple[dict[str, Any], list[ConfigError]]:
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
            checked = _checked(path, known[name], value, origin)
            values[name] = checked
            if isinstance(checked, ConfigError):
                mistakes.append(checked)
            continue
        near = closest(str(name), known)
        meant.add(near)
        suggestion = dotted((*place, near)) if near else ""
        mistakes.append(_unknown_key(path, value, origin, problem_of(path), suggestion))
    for name, setting in known.items():
        if setting.is_required and name not in values and name not in meant:
            problem = f"is missing; it must be {setting.check.allowed}"
            mistakes.append(origin.mistake((*place, name), None, problem))
    return values, mistakes


def _unknown(path: tuple[str, ...], value: object, origin: Origin) -> Given:
    """Report a key that no setting has."""
    key, name = ".".join(path), path[-1]
    if len(path) == 1 and name in SECTIONS:
        problem = f"must be a table that begins with [{name}]"
        return Given(name, FAULTY, origin, (origin.mistake(path, value, problem),))
    if key in MOVED:
        near = MOVED[key]
        mistake = _unknown_key(path, value, origin, f"has a new name: {near}")
    else:
        near = nearest(path)
        mistake = _unknown_key(path, value, origin, problem_of(path), near)
    return Given(near, FAULTY, origin, (mistake,))


def _unknown_key(
    path: KeyPath, value: object, origin: Origin, problem: str, suggestion: str = ""
) -> ConfigError:
    shown = HIDDEN if names_a_secret(str(path[-1])) else value
    return origin.mistake(path, shown, problem, suggestion)
