"""The sources of the configuration: TOML file, environment and command line.

Owns: reading each source strictly, and where a value was given. Whether a setting has such a name
and takes such a value is checked by ``load``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from wampush.config.keys import (
    PATHS,
    PREFIX,
    VARIABLES,
    dotted,
    nearest_variable,
    problem_of,
    quoted,
)
from wampush.config.line_numbers import KeyPath, positions
from wampush.config.redaction import HIDDEN, names_a_secret, presentable
from wampush.config.settings import FIELDS, LISTS, SECTIONS
from wampush.errors import ConfigError

_FILE_VARIABLE: Final = f"{PREFIX}CONFIG"
#: No setting: it is read when code is loaded, see ``wampush.speedups``.
_PURE_VARIABLE: Final = f"{PREFIX}PURE_PYTHON"


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
    line_of: Callable[[KeyPath], int | None] = lambda _: None

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


DEFAULT: Final = Origin(0, "default", "default")
COMMAND_LINE: Final = Origin(3, "command line", "command line")


class Given(NamedTuple):
    """A value of a source.

    :param path: the names of a table and a setting, or of a setting or table alone.
    :param value: with the types of TOML, or ``Rejected``.
    """

    path: tuple[str, ...]
    value: object
    origin: Origin


class Unusable(NamedTuple):
    """What a source holds instead of a value.

    :param key: the setting that was meant, as far as that is known, or "".
    """

    error: ConfigError
    key: str = ""


#: Of two values for one setting the later one decides.
Readings = Iterator[Given | Unusable]


def read_sources(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
    assignments: Sequence[str],
) -> Readings:
    """Read the file, then the environment, then the command line.

    :param path: the TOML file, if there is one.
    :param assignments: texts of the form ``key=value``, of the command line.
    """
    if path is not None:
        yield from _from_file(path)
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        if variable == _PURE_VARIABLE:
            if environ[variable] not in ("0", "1"):
                problem = "must be 1, for no extension in C, or 0"
                yield Unusable(ConfigError("environment", variable, environ[variable], problem))
        elif variable != _FILE_VARIABLE:
            yield _from_variable(variable, environ[variable])
        elif path is None:
            problem = "must be the path of a file; otherwise unset the variable"
            yield Unusable(ConfigError("environment", variable, "", problem))
    for key, value in overrides.items():
        if value is not None:
            yield Given(tuple(key.split(".")), value, COMMAND_LINE)
    for text in assignments:
        yield _from_assignment(text)


def file_named_by(environ: Mapping[str, str]) -> Path | None:
    """Return the TOML file that ``WAMPUSH_CONFIG`` names, if it does."""
    name = environ.get(_FILE_VARIABLE)
    return Path(name) if name else None


# The file.


def _from_file(path: Path) -> Readings:
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


def _unreadable(source: str, problem: str, line: int | None = None) -> Unusable:
    return Unusable(ConfigError(source, "", None, problem, line=line))


def _syntax_error(message: str, text: str) -> tuple[str, int | None]:
    """Return what is wrong, and the line if the parser knows it."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    if found is None:
        return f"is not TOML: {message}", None
    last = text.removesuffix("\n").count("\n") + 1
    place = f"at column {found[3]}" if found[2] else "at the end of the file"
    return f"is not TOML {place}: {found[1]}", int(found[2] or last)


def _from_tables(tables: Mapping[str, object], origin: Origin) -> Readings:
    for name, table in tables.items():
        if name in SECTIONS and isinstance(table, dict):
            for key, value in table.items():
                yield Given((name, key), value, origin)
        else:
            yield Given((name,), table, origin)


# The environment and the command line.


def _from_variable(variable: str, text: str) -> Given | Unusable:
    key = VARIABLES.get(variable)
    if key is not None:
        path = tuple(key.split("."))
        origin = Origin(2, "environment", f"environment {variable}", variable)
        if text:
            return Given(path, FIELDS[key].check.parse(text), origin)
        problem = "must not be empty; unset the variable instead"
        return Unusable(origin.mistake(path, text, problem), key)
    near = ""
    table = variable.removeprefix(PREFIX).lower()
    if table in LISTS and variable.isupper():
        problem = f"[[{table}]] can be set only in the file or with --set"
    else:
        problem, near = problem_of((variable,)), nearest_variable(variable)
    shown = HIDDEN if names_a_secret(variable) else presentable(text)
    error = ConfigError("environment", quoted(variable), shown, problem, near)
    return Unusable(error, VARIABLES.get(near, ""))


def _from_assignment(text: str) -> Given | Unusable:
    key, equals, literal = (part.strip() for part in text.partition("="))
    path = tuple(part.strip() for part in key.split("."))
    if not equals:
        problem = "must be KEY=VALUE, such as websocket.ping_interval=20"
        return Unusable(ConfigError(COMMAND_LINE.source, "--set", presentable(text), problem))
    readings: list[object] = []
    try:
        tables = tomllib.loads(f"value = {literal}")
        readings += tables.values() if len(tables) == 1 else ()
    except (ValueError, RecursionError):
        pass
    if path not in PATHS:
        return Given(path, readings[0] if readings else literal, COMMAND_LINE)
    check = FIELDS[PATHS[path]].check
    # A shell strips quotes, and a version such as 1.2 looks like a number: then take the text.
    readings.append(check.parse(literal))
    usable = filter(check.accepts, readings)
    return Given(path, next(usable, readings[0]), COMMAND_LINE)
