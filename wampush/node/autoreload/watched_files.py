"""The files whose changes restart the server.

Owns: which they are, and noticing that they have changed. Must not import: anything of wampush.

Folders are watched, not modules: a module that could not be imported is not known, and must restart
the server once it is mended.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parents[2]
_INSTALLED: Final = frozenset(("site-packages", "dist-packages"))
_LIBRARY: Final = tuple(
    {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
)

Version = tuple[int, int]
"""Time of the last change, in nanoseconds, and size, in bytes."""


def application_folders(modules: Iterable[ModuleType]) -> set[Path]:
    """Return the folders of modules that are neither installed nor part of wampush or Python."""
    folders = set()
    for module in modules:
        name = getattr(module, "__file__", None)
        if isinstance(name, str) and name.endswith(".py"):
            folder = Path(name).parent.absolute()
            if _is_application(folder):
                folders.add(folder)
    return folders


def application_folders_loaded() -> set[Path]:
    """Return the folders of the application's modules that this process has imported."""
    # A thread may import another module meanwhile.
    return application_folders(list(sys.modules.values()))


def _is_application(folder: Path) -> bool:
    if not _INSTALLED.isdisjoint(folder.parts):
        return False
    places = {folder, *folder.parents}
    resolved = folder.resolve()
    return _PACKAGE not in {resolved, *resolved.parents} and places.isdisjoint(_LIBRARY)


class WatchedFiles:
    """The versions of all files that matter.

    :param settings: the settings file; None for none.
    :param folders: all modules in them are watched, but not those in folders below.
    """

    def __init__(self, settings: Path | None, folders: Iterable[Path]) -> None:
        self._settings = settings
        self._folders = set(folders)
        self._versions = self._read()

    def add(self, folders: Iterable[Path]) -> None:
        """Watch more folders; what is in them now is not a change."""
        new = set(folders) - self._folders
        if new:
            self._folders |= new
            self._versions |= _versions(_modules_in(new))

    def changes(self) -> list[Path]:
        """Return the files that were changed, made or removed since the last time."""
        before, self._versions = self._versions, self._read()
        both = before.keys() | self._versions.keys()
        return sorted(path for path in both if before.get(path) != self._versions.get(path))

    def _read(self) -> dict[Path, Version]:
        settings = () if self._settings is None else (self._settings,)
        return _versions((*settings, *_modules_in(self._folders)))


def _modules_in(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        # Yields nothing for a folder that is not there.
        yield from folder.glob("*.py")


def _versions(paths: Iterable[Path]) -> dict[Path, Version]:
    found: dict[Path, Version] = {}
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            # Editors replace files, so that one may be missing for a moment.
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found
