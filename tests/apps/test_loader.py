"""Application code is found as imports find it, or next to the configuration file."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from wampush.apps import loader
from wampush.config.checks.check import Rejected
from wampush.config.checks.names import OBJECT_NAME
from wampush.errors import OperatorError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a configuration file; what is imported from there is forgotten."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    folder = tmp_path / "etc"
    folder.mkdir()
    yield folder
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def complaint(name: str, folder: Path | None, how=loader.load) -> str:
    with pytest.raises(OperatorError) as caught:
        how(name, folder, "apps")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_module_on_the_path_is_loaded():
    assert loader.load("wampush.apps.loader:load") is loader.load


def test_a_module_next_to_the_configuration_file_is_loaded_with_its_neighbours(folder):
    (folder / "live_shop_a.py").write_text("from live_neighbour_a import answer\n")
    (folder / "live_neighbour_a.py").write_text("answer = 42\n")
    assert loader.load("live_shop_a:answer", folder) == 42


def test_a_module_of_a_package_next_to_the_configuration_file_is_loaded(folder):
    (folder / "live_shop_b").mkdir()
    (folder / "live_shop_b" / "__init__.py").write_text("")
    (folder / "live_shop_b" / "live.py").write_text("app = 'here'\n")
    assert loader.load("live_shop_b.live:app", folder) == "here"
    loader.check("live_shop_b.live:app", folder)


def test_installed_modules_come_before_those_in_the_folder(folder):
    (folder / "orjson.py").write_text("raise RuntimeError\n")
    assert loader.load("orjson:loads", folder)


def test_a_missing_module_is_reported_with_where_it_was_looked_for(folder):
    for how in (loader.load, loader.check):
        told = complaint("live_nowhere.app:app", folder, how)
        assert 'apps = "live_nowhere.app:app": there is no module live_nowhere.app' in told
        assert str(folder) in told
        assert "PYTHONPATH" in told


def test_without_a_configuration_file_only_the_path_counts():
    assert "configuration file" not in complaint("live_nowhere:app", None)


def test_a_missing_module_of_a_package_is_reported(folder):
    for how in (loader.load, loader.check):
        assert "no module wampush.nothing" in complaint("wampush.nothing:app", folder, how)
        assert "no module wampush.errors.more" in complaint("wampush.errors.more:x", folder, how)


def test_a_missing_attribute_is_reported_with_the_file(folder):
    (folder / "live_shop_c.py").write_text("")
    told = complaint("live_shop_c:app", folder)
    assert told.endswith(f"live_shop_c ({folder / 'live_shop_c.py'}) has no 'app'")


def test_what_was_probably_meant_is_reported(folder):
    (folder / "live_shop_e.py").write_text("application = 1\n")
    assert complaint("live_shop_e:aplication", folder).endswith("; did you mean 'application'?")
    for how in (loader.load, loader.check):
        assert complaint("live_shpo_e:app", folder, how).endswith("; did you mean 'live_shop_e'?")
        told = complaint("live_shop_e.py:app", folder, how)
        assert told.endswith("; omit the file extension: live_shop_e")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n1 / 0\n", "ZeroDivisionError: division by zero ({file}:2)"),
        ("import live_missing\n", "No module named 'live_missing' ({file}:1)"),
        ("from os import nothing\n", "ImportError: cannot import name 'nothing' from 'os'"),
        ("\nx = (\n", "SyntaxError: '(' was never closed ({file}:2)"),
        ("raise SystemExit('no')\n", "SystemExit: no ({file}:1)"),
        ("raise ValueError('two\\nlines')\n", "({file}:1)"),
    ],
)
def test_a_module_that_raises_is_reported_with_the_line(folder, text, said):
    name = f"live_broken_{abs(hash(text))}"
    file = folder / f"{name}.py"
    file.write_text(text)
    assert said.format(file=file) in complaint(f"{name}:app", folder)


def test_checking_runs_nothing(folder):
    (folder / "live_shop_d.py").write_text("raise RuntimeError\n")
    loader.check("live_shop_d:app", folder)
    assert "live_shop_d" not in sys.modules


def test_a_module_that_is_loaded_and_does_not_know_from_where_is_found(folder, monkeypatch):
    (folder / "live_shop_e.py").write_text("raise RuntimeError\n")
    monkeypatch.setitem(sys.modules, "live_shop_e", ModuleType("live_shop_e"))
    loader.check("live_shop_e:app", folder)


def test_names_of_objects():
    checker = OBJECT_NAME
    for right in ("a:b", "a.b.c:D", "_x:y1", "shöp:äpp"):
        assert checker.check(right) == right
    for wrong in ("", "a", "a:", ":b", "a:b.c", "a..b:c", "a/b:c", "1a:b", 7, None, "a:b\n"):
        assert isinstance(checker.check(wrong), Rejected)
