"""Finds the objects of application code that the configuration names: ``"shop.live:app"``.

Owns: where modules are looked for, and what the operator is told when that fails.
Must not import: Twisted, or anything of wampush but ``errors``: ``wampush check`` uses it too.

A module is found as any import finds it, or else beside the configuration file, whose folder
becomes the last one on ``sys.path``, so that modules there can import their neighbours.
"""

from __future__ import annotations

import difflib
import importlib
import sys
import traceback
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from wampush.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

Made = TypeVar("Made")

_HERE: Final = Path(__file__).parent


def load(name: str, beside: Path | None = None, setting: str = "") -> object:
    """Import what the configuration names. Call it after the reactor is installed.

    :param name: ``module:attribute``; the module may be dotted.
    :param beside: the folder of the configuration file, if there is one.
    :param setting: the dotted key that holds the name, for messages.
    :returns: the attribute of the module.
    :raises OperatorError: when there is no such module or attribute, or the module itself raises.
    """
    _join_path(beside)
    module_name, _, attribute = name.partition(":")
    prefix = prefix_of(setting, name)
    module = _module(module_name, prefix, beside)
    try:
        return getattr(module, attribute)
    except AttributeError:
        at = getattr(module, "__file__", None) or "no file"
        near = _near(attribute, [each for each in vars(module) if not each.startswith("_")])
        raise OperatorError(f"{prefix}: {module_name} ({at}) has no {attribute!r}{near}") from None


def make(found: Callable[[], Made], prefix: str) -> Made:
    """Call what was loaded, without arguments.

    :param prefix: how messages begin.
    :raises OperatorError: when it raises.
    """
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise OperatorError(f"{prefix}: {_what_raised(error)}") from error


def check(name: str, beside: Path | None = None, setting: str = "") -> None:
    """Look for the module that the configuration names, without running anything of it.

    :raises OperatorError: when there is no such module.
    """
    _join_path(beside)
    module_name = name.partition(":")[0]
    spec: ModuleSpec | None = None
    for number, part in enumerate(module_name.split(".")):
        if number == 0:
            spec = _top(part)
        elif spec is not None:
            # Only packages have somewhere to look for more.
            folders = spec.submodule_search_locations
            spec = None if folders is None else PathFinder.find_spec(part, list(folders))
        if spec is None:
            raise _not_found(prefix_of(setting, name), module_name, beside)


def _top(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except ValueError:
        # It is loaded, and does not know from where; so it can be imported too.
        return PathFinder.find_spec(name)


def _module(name: str, prefix: str, beside: Path | None) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise _not_found(prefix, name, beside) from None
        raise OperatorError(f"{prefix}: {_what_raised(error)}") from error
    except (Exception, SystemExit) as error:
        raise OperatorError(f"{prefix}: {_what_raised(error)}") from error


def _what_raised(error: BaseException) -> str:
    """The last line of a traceback, with the place in the code that was to be loaded."""
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}:{error.lineno})"
    text = " ".join(traceback.format_exception_only(error)[-1].split())
    # Neither the import system nor what application code is written against is what is wrong.
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if _HERE not in Path(frame.filename).parents and not frame.filename.startswith("<frozen ")
    ]
    return f"{text} ({frames[-1].filename}:{frames[-1].lineno})" if frames else text


def _join_path(beside: Path | None) -> None:
    if beside is not None:
        folder = str(beside.resolve())
        if folder not in sys.path:
            sys.path.append(folder)
            importlib.invalidate_caches()


def prefix_of(setting: str, name: str) -> str:
    """How messages about a name in the configuration begin."""
    return f'{setting} = "{name}"' if setting else f'"{name}"'


def _not_found(prefix: str, module: str, beside: Path | None) -> OperatorError:
    there = "" if beside is None else f", nor beside the configuration file in {beside.resolve()}"
    if module.endswith(".py"):
        hint = f"; leave out the ending: {module.removesuffix('.py')}"
    else:
        hint = "" if beside is None else _near(module, [each.stem for each in beside.glob("*.py")])
    return OperatorError(
        f"{prefix}: there is no module {module} on Python's path (installed packages and "
        f"PYTHONPATH){there}{hint}"
    )


def _near(name: str, known: Iterable[str]) -> str:
    """The end of a message: what was probably meant, if anything."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
