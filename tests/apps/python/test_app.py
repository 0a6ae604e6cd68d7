"""App itself: what its decorators take and give, and what stops the start."""

# ruff: noqa: ARG005 (handlers take what they are called with)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wampush.apps import App, Context

ROOT = Path(__file__).parents[3]


def test_a_decorator_gives_the_function_back():
    app = App()

    def function(ctx: Any, *arguments: Any) -> None:
        """Takes anything."""

    for decorate in (
        app.procedure("p"),
        app.action("a"),
        app.on_connect,
        app.on_connect(timeout=1),
        app.on_authenticated,
        app.on_disconnect(threaded=True),
        app.on_subscribe,
        app.on_subscribe("a.*", timeout=2),
        app.on_publish,
        app.on_publish("a.*"),
        app.on_occupied,
        app.on_occupied("a.*", threaded=True),
        app.on_vacated,
        app.on_vacated("a.*"),
        app.cra_key(seed=b"x"),
    ):
        assert decorate(function) is function
    assert [each.match for each in app.registered.occupied] == ["*", "a.*"]
    assert [each.match for each in app.registered.vacated] == ["*", "a.*"]
    assert [each.match for each in app.registered.subscribe] == ["*", "a.*"]
    assert [each.timeout for each in app.registered.connect] == [None, 1]


async def coroutine(ctx: Context) -> None:
    """An async def."""


@pytest.mark.parametrize(
    ("register", "error", "words"),
    [
        (lambda app: app.procedure("wampush.x"), ValueError, "reserved for the server"),
        (lambda app: app.procedure(""), ValueError, "must not be empty"),
        (lambda app: app.procedure(coroutine), TypeError, r'write @app\.procedure\("NAME"\)'),
        (
            lambda app: app.action(7),
            TypeError,
            r'write @app\.action\("NAME"\) with a string as name, not 7',
        ),
        (
            lambda app: app.procedure("http://api.wamp.ws/procedure#auth"),
            ValueError,
            "reserved for the server",
        ),
        (lambda app: app.action("wampush.x"), ValueError, "reserved for the server"),
        (lambda app: app.procedure("p")(lambda: 1), TypeError, "a context first"),
        (
            lambda app: app.procedure("p")(lambda ctx, *, a: 1),
            TypeError,
            "keyword argument a is never passed; give it a default",
        ),
        (lambda app: app.procedure("p")(5), TypeError, "5 is not a function"),
        (lambda app: app.on_connect("chat.*"), TypeError, r"'chat\.\*' is not a function"),
        (lambda app: app.procedure("p", timeout=0)(lambda ctx: 1), ValueError, "timeout"),
        (lambda app: app.procedure("p", timeout=-1)(lambda ctx: 1), ValueError, "timeout"),
        (lambda app: app.procedure("p", timeout="3")(lambda ctx: 1), TypeError, "seconds, not '3'"),
        (lambda app: app.procedure("p", threaded=True)(coroutine), TypeError, "thread"),
        (lambda app: app.action("a")(lambda ctx: 1), TypeError, r"must take \(ctx, details\)"),
        (lambda app: app.on_connect(lambda: 1), TypeError, "a context first"),
        (lambda app: app.on_connect(lambda ctx, more: 1), TypeError, r"must take \(ctx\)"),
        (lambda app: app.on_disconnect(lambda ctx: 1), TypeError, r"must take \(ctx, reason\)"),
        (lambda app: app.on_subscribe(lambda ctx: 1), TypeError, r"must take \(ctx, topic\)"),
        (lambda app: app.on_subscribe("a*b")(lambda ctx, topic: 1), ValueError, "ends in"),
        (lambda app: app.on_subscribe("")(lambda ctx, topic: 1), ValueError, "ends in"),
        (
            lambda app: app.on_publish(lambda ctx, topic: 1),
            TypeError,
            r"must take \(ctx, topic, data\)",
        ),
        (lambda app: app.cra_key(lambda ctx: 1), TypeError, r"must take \(ctx, name\)"),
    ],
)
def test_handlers_that_cannot_work_are_refused_when_they_are_registered(register, error, words):
    with pytest.raises(error, match=words):
        register(App())


@pytest.mark.parametrize("kind", ["procedure", "action"])
def test_a_name_twice_in_an_app(kind):
    app = App()
    decorate = getattr(app, kind)("name")
    decorate(lambda ctx, details: 1)
    with pytest.raises(ValueError, match=f'{kind} "name" .* is registered already'):
        decorate(lambda ctx, details: 2)


@pytest.mark.parametrize("name", ["on_connect", "on_disconnect", "on_publish", "cra_key"])
def test_an_option_that_does_not_exist(name):
    decorate: Any = getattr(App(), name)
    with pytest.raises(TypeError, match="unexpected keyword argument 'timout'"):
        decorate(timout=1)(lambda ctx, *_: None)


def test_two_hooks_for_keys_in_an_app():
    app = App()
    app.cra_key(lambda ctx, name: None)
    with pytest.raises(ValueError, match="has a cra_key handler already"):
        app.cra_key(lambda ctx, name: None)
