"""Loading of Python apps: what is an app, and which names apps must not share."""

# ruff: noqa: ARG005 (handlers take what they are called with)

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wampush.apps import App
from wampush.apps.python.loading import check_apps, load_apps
from wampush.errors import OperatorError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for modules that no other test has."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def write(folder: Path, name: str, *lines: str) -> None:
    head = "from wampush.apps import App\napp = App()\n"
    (folder / f"{name}.py").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")


def test_apps_are_loaded_in_their_order(folder):
    write(folder, "one")
    write(folder, "two")
    apps = load_apps(["two:app", "one:app"], folder)
    assert list(apps) == ["two:app", "one:app"]
    assert all(isinstance(app, App) for app in apps.values())


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["app = 5"], r"it must be an App, such as app = App\(\), not 5"),
        (["app = App"], r"such as app = App\(\), not <class .*App'>"),
        (["app.procedure('wampush.x')"], "ValueError: procedure 'wampush.x': .* reserved"),
        # The line is the app's, not one of what it is written against.
        (["app.action('a')(lambda ctx: 1)"], r"TypeError: .*must take .*\(.*/second\.py:3\)$"),
        (
            ["app.procedure('p')(lambda ctx: 1)"],
            "first:app has registered the procedure 'p' already",
        ),
        (["app.action('a')(lambda ctx, d: 1)"], "first:app has registered the action 'a' already"),
        (
            ["app.cra_key(lambda ctx, n: None)"],
            "first:app has registered a cra_key handler already",
        ),
        (["from first import app"], "this is the same app as first:app"),
    ],
)
def test_what_stops_the_start(folder, lines, words):
    write(
        folder,
        "first",
        "app.procedure('p')(lambda ctx: 1)",
        "app.action('a')(lambda ctx, d: 1)",
        "app.cra_key(lambda ctx, n: None)",
    )
    write(folder, "second", *lines)
    with pytest.raises(OperatorError, match=f'apps = "second:app": .*{words}'):
        load_apps(["first:app", "second:app"], folder)


def test_apps_that_were_not_loaded_by_name_are_checked_the_same_way():
    one, other = App(), App()
    one.procedure("p")(lambda ctx: 1)
    check_apps({"one": one, "other": other})
    with pytest.raises(OperatorError, match="two: this is the same app as one; name it once"):
        check_apps({"one": one, "two": one})
    other.procedure("p")(lambda ctx: 1)
    with pytest.raises(OperatorError, match="other: one has registered the procedure 'p' already"):
        check_apps({"one": one, "other": other})
