"""Whether the extension in C is used.

Owns: loading ``wampush._speedups``, and why it is not used. Must not import: anything of wampush
but that module.

Every function of the extension does the same as one in Python, which takes its place where the
extension is not built, or is switched off by ``WAMPUSH_PURE_PYTHON=1``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Final

#: Switches the extension off if it is 1.
VARIABLE: Final = "WAMPUSH_PURE_PYTHON"
#: Of the extension that this code was written for.
INTERFACE: Final = 5
NAME: Final = "wampush._speedups"


def load(
    environment: Mapping[str, str], import_: Callable[[str], Any] = import_module
) -> tuple[Any, str]:
    """Return the extension, and which code is active.

    :param environment: of the process.
    :param import_: imports a module by its name.
    :returns: None in place of the extension if it is not used; then the text says why.
    """
    if environment.get(VARIABLE) == "1":
        return None, f"Python: {VARIABLE}=1"
    try:
        extension = import_(NAME)
    except ModuleNotFoundError:
        return None, "Python: the extension is not built"
    except ImportError as error:
        return None, f"Python: the extension cannot be loaded ({error})"
    found = getattr(extension, "INTERFACE", None)
    if found != INTERFACE:
        return None, f"Python: the extension is of another version ({found}, not {INTERFACE})"
    return extension, "C"


_loaded: Final[tuple[ModuleType | None, str]] = load(os.environ)
#: The extension; None if the code in Python is active.
EXTENSION: Final[Any] = _loaded[0]
#: Which code is active: "C", or "Python: " and why.
ACTIVE: Final = _loaded[1]


def threads_problem(count: int, active: str = ACTIVE) -> str | None:
    """Return why so many threads do not send, in a sentence; None if they do.

    :param count: ``process.send_threads``.
    :param active: which code is active.
    """
    if count == 1 or active == "C":
        return None
    return (
        f"process.send_threads = {count} has no effect: threads send only with the extension in C "
        f"({active})"
    )
