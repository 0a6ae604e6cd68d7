"""Which files are watched, and what counts as a change."""

from __future__ import annotations

import email
import os
from pathlib import Path
from types import ModuleType

import pytest

import wampush.node.options
from wampush.node.autoreload.watched_files import (
    WatchedFiles,
    application_folders,
    application_folders_loaded,
)


def module(file: str | None) -> ModuleType:
    """A module of a file."""
    made = ModuleType("made")
    made.__file__ = file
    return made


def test_only_modules_of_the_application_count(tmp_path: Path) -> None:
    modules = [
        module(str(tmp_path / "shop.py")),
        module(str(tmp_path / "lib" / "stock.py")),
        module(str(tmp_path / "site-packages" / "installed.py")),
        module(str(tmp_path / "fast.so")),
        module(None),
        email,
        pytest,
        wampush.node.options,
    ]
    assert application_folders(modules) == {tmp_path, tmp_path / "lib"}
    assert Path(__file__).parent in application_folders_loaded()


def test_changed_new_and_removed_modules_are_changes(tmp_path: Path) -> None:
    settings = tmp_path / "etc" / "wampush.toml"
    settings.parent.mkdir()
    (tmp_path / "shop.py").write_text("a = 1\n")
    (tmp_path / "notes.txt").write_text("not watched")
    files = WatchedFiles(settings, [tmp_path, tmp_path / "missing"])
    assert files.changes() == []
    (tmp_path / "shop.py").write_text("a = 10\n")
    (tmp_path / "other.py").write_text("b = 1\n")
    (tmp_path / "notes.txt").write_text("still not")
    settings.write_text("apps = []\n")
    assert files.changes() == [settings, tmp_path / "other.py", tmp_path / "shop.py"]
    (tmp_path / "other.py").unlink()
    assert files.changes() == [tmp_path / "other.py"]
    os.utime(tmp_path / "shop.py", ns=(1, 1))
    assert files.changes() == [tmp_path / "shop.py"]
    assert files.changes() == []


def test_folders_that_are_added_have_not_changed(tmp_path: Path) -> None:
    files = WatchedFiles(None, [])
    (tmp_path / "shop.py").write_text("a = 1\n")
    files.add([tmp_path])
    assert files.changes() == []
    (tmp_path / "shop.py").write_text("a = 10\n")
    files.add([tmp_path])
    assert files.changes() == [tmp_path / "shop.py"]
