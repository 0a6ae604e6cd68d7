"""The apps of a node."""

# ruff: noqa: ARG005 (handlers take what they are given)

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.apps.app_world import AppWorld
from wampush.apps import App
from wampush.config.settings import Settings
from wampush.config.tables.apps import ApplicationSettings
from wampush.config.tables.identity import AuthSettings
from wampush.errors import OperatorError
from wampush.wamp import cra, uris


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    AppWorld.close_all()


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
