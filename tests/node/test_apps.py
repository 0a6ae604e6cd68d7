"""The apps of a node: how they are loaded, and their part in the node."""

# ruff: noqa: ARG005 (handlers take what they are given)

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apps.app_world import AppWorld
from wampush.apps import App
from wampush.config.settings import Settings
from wampush.config.tables.apps import ApplicationSettings
from wampush.config.tables.identity import AuthSettings
from wampush.errors import OperatorError
from wampush.node.apps import load
from wampush.wamp import cra, uris


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    AppWorld.close_all()


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
    apps = load(["two:app", "one:app"], folder)
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
        load(["first:app", "second:app"], folder)


def test_keys_of_wamp_cra_come_from_somewhere():
    settings = Settings(
        auth=AuthSettings(order=("cra",)),
        apps=("shop:app",),
        application=ApplicationSettings(threads=1),
    )
    with pytest.raises(OperatorError, match=r"set cra\.keys_file, or register a cra_key handler"):
        AppWorld(App(), settings=settings)
    app = App()
    app.cra_key(lambda ctx, name: None)
    with pytest.raises(OperatorError, match=r'so auth\.order must contain "cra"'):
        AppWorld(app)


def test_what_an_app_has_is_logged(log: list[str]) -> None:
    app, empty = App(), App()
    app.procedure("add")(lambda ctx, a, b: a + b)
    app.action("room/send")(lambda ctx, details: 1)
    app.on_connect(lambda ctx: None)
    app.on_publish("*")(lambda ctx, topic, event: None)
    log.clear()
    AppWorld(app, empty)
    assert log == [
        "app shop:app: procedures add; actions room/send; handlers on_connect, on_publish",
        "app shop1:app: registers no handlers",
    ]


def test_an_app_serves_its_procedures_and_the_node_its_own() -> None:
    app = App()
    app.procedure("add")(lambda ctx, a, b: a + b)
    world = AppWorld(app)
    assert world.call(world.client(), "add", 1, 2) == [3]
    assert uris.PROCEDURE_REFRESH not in world.node.procedures
    assert "add" not in world.node.procedures


def test_only_apps_publish_to_the_topics_of_actions() -> None:
    app = App()
    app.action("room/send")(lambda ctx, details: 1)
    assert AppWorld(app).node.reserved == {"room/send:error"}


def test_an_app_with_keys_answers_the_calls_of_wamp_cra() -> None:
    settings = Settings(
        auth=AuthSettings(order=("cra",)), application=ApplicationSettings(threads=1)
    )
    app = App()
    app.cra_key(lambda ctx, name: None)
    world = AppWorld(app, settings=settings)
    assert world.joined.has_procedure(cra.PROCEDURE_AUTHREQ)
    assert cra.PROCEDURE_AUTHREQ not in world.node.procedures


def test_the_end_waits_for_nothing_when_nothing_runs() -> None:
    world = AppWorld(App())
    ended: list[object] = []
    world.node.stop(5.0).addCallback(ended.append)
    assert ended == [None]
    world.made.remove(world)
