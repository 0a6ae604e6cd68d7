"""Loading of application code that the configuration names, such as ``"shop.live:app"``.

Owns: where modules are looked for, and the errors for operators when they cannot be loaded.
Must not import: Twisted, or anything of wampush but ``errors``: ``wampush check`` uses it too.

A module is found like any import, or else next to the configuration file, whose folder is appended
to ``sys.path``, so that modules there can import each other.
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

Created = TypeVar("Created")

_HERE: Final = Path(__file__).parent


def load(name: str, folder: Path | None = None, setting: str = "") -> object:
    """Import an object that the configuration names; the reactor has to be installed before.

    :param name: ``module:attribute``; the module may be dotted.
    :param folder: of the configuration file, if there is one.
    :param setting: the dotted name of the setting, for errors.
    :returns: the attribute of the module.
    :raises OperatorError: when there is no such module or attribute, or the module raises.
    """
    _extend_path(folder)
    module_name, _, attribute = name.partition(":")
    prefix = prefix_of(setting, name)
    module = _module(module_name, prefix, folder)
    try:
        return getattr(module, attribute)
    except AttributeError:
        file = getattr(module, "__file__", None) or "no file"
        near = _near(attribute, [each for each in vars(module) if not each.startswith("_")])
        raise OperatorError(
            f"{prefix}: {module_name} ({file}) has no {attribute!r}{near}"
        ) from None


def create(found: Callable[[], Created], prefix: str) -> Created:
    """Call what was loaded without arguments, and return the result.

    :param prefix: how errors begin.
    :raises OperatorError: when it raises.
    """
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise OperatorError(f"{prefix}: {_what_raised(error)}") from error


def check(name: str, folder: Path | None = None, setting: str = "") -> None:
    """Check that the module that the configuration names exists, without running any of it.

    :raises OperatorError: when there is no such module.
    """
    _extend_path(folder)
    module_name = name.partition(":")[0]
    spec: ModuleSpec | None = None
    for number, part in enumerate(module_name.split(".")):
        if number == 0:
            spec = _top(part)
        elif spec is not None:
            # Only packages have a place to look for submodules.
            places = spec.submodule_search_locations
            spec = None if places is None else PathFinder.find_spec(part, list(places))
        if spec is None:
            raise _not_found(prefix_of(setting, name), module_name, folder)


def _top(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except ValueError:
        # It is loaded already and has no spec, so it can be imported as well.
        return PathFinder.find_spec(name)


def _module(name: str, prefix: str, folder: Path | None) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise _not_found(prefix, name, folder) from None
        raise OperatorError(f"{prefix}: {_what_raised(error)}") from error
    except (Exception, SystemExit) as error:
        raise OperatorError(f"{prefix}: {_what_raised(error)}") from error


def _what_raised(error: BaseException) -> str:
    """Return the last line of a traceback, with the line of application code that raised."""
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}:{error.lineno})"
    text = " ".join(traceback.format_exception_only(error)[-1].split())
    # The error is neither in the import system nor in the API of apps.
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if _HERE not in Path(frame.filename).parents and not frame.filename.startswith("<frozen ")
    ]
    return f"{text} ({frames[-1].filename}:{frames[-1].lineno})" if frames else text


def _extend_path(folder: Path | None) -> None:
    if folder is not None:
        entry = str(folder.resolve())
        if entry not in sys.path:
            sys.path.append(entry)
            importlib.invalidate_caches()


def prefix_of(setting: str, name: str) -> str:
    """Return how errors about a name in the configuration begin."""
    return f'{setting} = "{name}"' if setting else f'"{name}"'


def _not_found(prefix: str, module: str, folder: Path | None) -> OperatorError:
    there = (
        "" if folder is None else f" and none next to the configuration file in {folder.resolve()}"
    )
    if module.endswith(".py"):
        hint = f"; omit the file extension: {module.removesuffix('.py')}"
    else:
        hint = "" if folder is None else _near(module, [each.stem for each in folder.glob("*.py")])
    return OperatorError(
        f"{prefix}: there is no module {module} on Python's path (installed packages and "
        f"PYTHONPATH){there}{hint}"
    )


def _near(name: str, known: Iterable[str]) -> str:
    """Return the end of an error: the name that was probably meant, if there is one."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
