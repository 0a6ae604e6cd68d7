"""Application code is found as imports find it, or beside the configuration file."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from wampush.apps import loader
from wampush.config.checks.apps import OBJECT_NAME
from wampush.config.checks.common import Rejected
from wampush.errors import OperatorError


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """The folder of a configuration file; what is imported from there is forgotten."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    folder = tmp_path / "etc"
    folder.mkdir()
    yield folder
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def complaint(name: str, beside: Path | None, how=loader.load) -> str:
    with pytest.raises(OperatorError) as caught:
        how(name, beside, "apps")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_module_on_the_path_is_loaded():
    assert loader.load("wampush.apps.loader:load") is loader.load


def test_a_module_beside_the_configuration_file_is_loaded_with_its_neighbours(beside):
    (beside / "live_shop_a.py").write_text("from live_neighbour_a import answer\n")
    (beside / "live_neighbour_a.py").write_text("answer = 42\n")
    assert loader.load("live_shop_a:answer", beside) == 42


def test_a_module_of_a_package_beside_the_configuration_file_is_loaded(beside):
    (beside / "live_shop_b").mkdir()
    (beside / "live_shop_b" / "__init__.py").write_text("")
    (beside / "live_shop_b" / "live.py").write_text("app = 'here'\n")
    assert loader.load("live_shop_b.live:app", beside) == "here"
    loader.check("live_shop_b.live:app", beside)


def test_what_is_installed_comes_before_what_lies_beside(beside):
    (beside / "orjson.py").write_text("raise RuntimeError\n")
    assert loader.load("orjson:loads", beside)


def test_a_missing_module_is_told_with_where_it_was_looked_for(beside):
    for how in (loader.load, loader.check):
        told = complaint("live_nowhere.app:app", beside, how)
        assert 'apps = "live_nowhere.app:app": there is no module live_nowhere.app' in told
        assert str(beside) in told
        assert "PYTHONPATH" in told


def test_without_a_configuration_file_only_the_path_counts():
    assert "configuration file" not in complaint("live_nowhere:app", None)


def test_a_missing_module_of_a_package_is_told(beside):
    for how in (loader.load, loader.check):
        assert "no module wampush.nothing" in complaint("wampush.nothing:app", beside, how)
        assert "no module wampush.errors.more" in complaint("wampush.errors.more:x", beside, how)


def test_a_missing_attribute_is_told_with_the_file(beside):
    (beside / "live_shop_c.py").write_text("")
    told = complaint("live_shop_c:app", beside)
    assert told.endswith(f"live_shop_c ({beside / 'live_shop_c.py'}) has no 'app'")


def test_what_was_probably_meant_is_told(beside):
    (beside / "live_shop_e.py").write_text("application = 1\n")
    assert complaint("live_shop_e:aplication", beside).endswith("; did you mean 'application'?")
    for how in (loader.load, loader.check):
        assert complaint("live_shpo_e:app", beside, how).endswith("; did you mean 'live_shop_e'?")
        told = complaint("live_shop_e.py:app", beside, how)
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
def test_a_module_that_raises_is_told_with_the_line(beside, text, said):
    name = f"live_broken_{abs(hash(text))}"
    file = beside / f"{name}.py"
    file.write_text(text)
    assert said.format(file=file) in complaint(f"{name}:app", beside)


def test_checking_runs_nothing(beside):
    (beside / "live_shop_d.py").write_text("raise RuntimeError\n")
    loader.check("live_shop_d:app", beside)
    assert "live_shop_d" not in sys.modules


def test_a_module_that_is_loaded_and_does_not_know_from_where_is_found(beside, monkeypatch):
    (beside / "live_shop_e.py").write_text("raise RuntimeError\n")
    monkeypatch.setitem(sys.modules, "live_shop_e", ModuleType("live_shop_e"))
    loader.check("live_shop_e:app", beside)


def test_names_of_objects():
    checker = OBJECT_NAME
    for right in ("a:b", "a.b.c:D", "_x:y1", "shöp:äpp"):
        assert checker.check(right) == right
    for wrong in ("", "a", "a:", ":b", "a:b.c", "a..b:c", "a/b:c", "1a:b", 7, None, "a:b\n"):
        assert isinstance(checker.check(wrong), Rejected)
