"""Actions of apps: messages with a name that server code takes, and what goes back."""

# ruff: noqa: ARG001, ARG005 (handlers take what they are called with)

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed

from tests.apps.app_world import TIMEOUT, AppWorld, logging
from wampush.apps import ActionError, App, Context, Refuse, WampError
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Policy, Publishing
from wampush.broker.identity import Identity
from wampush.choices import Action, DefaultPermission, PublishPolicy
from wampush.config.tables.permissions import PermissionSettings
from wampush.errors import CloseReason

ANN = Identity("7", language="de")


@pytest.fixture
def logged():
    """The events of the log."""
    with logging() as events:
        yield events


def world_of(function: Any, **options: Any) -> AppWorld:
    """A world with one action, ``a``."""
    app = App()
    app.action("a", **options)(function)
    return AppWorld(app)


@pytest.mark.parametrize("details", [None, 0, "", [], {}, False, {"b": [1]}, 10**30])
def test_the_handler_gets_the_details_and_nobody_the_event(details):
    seen: list[Any] = []
    world = world_of(lambda ctx, details: seen.append(details))
    client, other = world.client("a"), world.client("a")
    world.says(client, [7, "a", details, False])
    assert json.dumps(seen) == json.dumps([details])
    assert world.got(client) == world.got(other) == []
    assert client.subscriber.pending is None


@pytest.mark.parametrize("value", [0, "", [], {}, False, {"b": 1}, 10**30])
@pytest.mark.parametrize("wrap", [lambda value: value, succeed])
def test_what_it_returns_goes_back_to_that_session_alone(value, wrap):
    world = world_of(lambda ctx, details: wrap(value))
    client, other = world.client(), world.client("a")
    world.says(client, [7, "a", 1])
    assert json.dumps(world.got(client)) == json.dumps([[8, "a", value]])
    assert world.got(other) == []


def raising(error: Any) -> Any:
    def function(ctx, details):
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ActionError(404, "no such article"), 404, "no such article"),
        (ActionError("gone", "no such article"), "gone", "no such article"),
        (Refuse("log in"), 403, "log in"),
        (WampError("x:y", "no"), "x:y", "no"),
    ],
)
def test_an_error_goes_back_as_code_and_text(error, code, text, logged):
    world = world_of(raising(error))
    client, other = world.client(), world.client("a", "a:error")
    world.says(client, [7, "a", 1])
    assert world.got(client) == [[8, "a:error", [code, text]]]
    assert world.got(other) == []
    assert [event for event in logged if "incident" in event] == []


def test_an_error_may_end_the_session():
    world = world_of(raising(WampError("x:y", "no", end_session=True)))
    client = world.client()
    world.says(client, [7, "a", 1])
    assert world.got(client) == [[8, "a:error", ["x:y", "no"]]]
    assert client.peer.ends == [(CloseReason.ENDED_BY_APPLICATION, "no")]


@pytest.mark.parametrize(
    "function",
    [
        raising(ValueError("secret")),
        raising(SystemExit(1)),
        lambda ctx, details: object(),
        lambda ctx, details: succeed({1, 2}),
        lambda ctx, details: raising(ActionError(details, "x"))(ctx, details),
    ],
)
def test_any_other_error_is_an_incident(function, logged):
    world = world_of(function)
    client = world.client()
    world.says(client, [7, "a", 1.5])
    (event,) = [event for event in logged if "incident" in event]
    text = f"internal error, incident {event['incident']}"
    assert world.got(client) == [[8, "a:error", [500, text]]]
    assert client.subscriber.pending is None


def test_who_takes_too_long_is_answered():
    world = world_of(lambda ctx, details: Deferred())
    client = world.client()
    world.says(client, [7, "a", 1])
    world.advance(TIMEOUT)
    assert world.got(client) == [[8, "a:error", [504, "this took too long"]]]
    assert client.subscriber.pending is None


def test_actions_of_a_vanished_session_are_cancelled():
    cancelled: list[bool] = []
    world = world_of(lambda ctx, details: Deferred(lambda _: cancelled.append(True)))
    client = world.client()
    world.says(client, [7, "a", 1])
    world.lose(client)
    assert cancelled == [True]
    assert world.got(client) == []


def test_a_threaded_action():
    world = world_of(lambda ctx, details: [ctx.session.user, details], threaded=True)
    client = world.client(identity=ANN)
    world.says(client, [7, "a", 1])
    world.run_thread()
    assert world.got(client) == [[8, "a", ["7", 1]]]


def test_too_many_that_are_not_done_are_refused():
    world = world_of(lambda ctx, details: Deferred())
    client = world.client()
    world.says(client, *[[7, "a", number] for number in range(7)])
    assert [reason for reason, _ in world.refusals()] == ["too-many-pending"] * 2


def test_nobody_can_publish_the_errors_of_an_action():
    world = world_of(lambda ctx, details: None)
    client, other = world.client(), world.client("a:error")
    world.says(client, [7, "a:error", [500, "forged"]])
    assert world.got(other) == []
    assert [reason for reason, _ in world.refusals()] == ["client-topic-reserved"]


def test_an_action_takes_the_permission_to_call_and_not_to_publish():
    world = world_of(lambda ctx, details: "done")
    entry = PermissionSettings("a", (Action.CALL,), ("authenticated",), allow=True)
    defaults = default_decisions(publish=PublishPolicy.NEVER, call=DefaultPermission.DENY)
    permissions = Permissions([entry], defaults, lambda: 0.0)
    world.world.broker.policy = Policy(Publishing.NOBODY, permissions)
    nobody, ann = world.client(), world.client(identity=ANN)
    for client in (nobody, ann):
        world.says(client, [7, "a", 1])
    assert world.got(nobody) == []
    assert world.got(ann) == [[8, "a", "done"]]
    assert [reason for reason, _ in world.refusals()] == ["call-forbidden"]


def test_who_comes_and_goes_runs_the_actions_of_the_server():
    app = App()
    seen: list[Any] = []

    @app.action("Client/authentication")
    def came(ctx: Context, details: None) -> object:
        seen.append(("came", ctx.session.user, details))
        return {"language": ctx.session.identity.language}

    @app.action("Client/disconnection")
    def left(ctx: Context, details: None) -> object:
        seen.append(("left", ctx.session.user, details))
        return "nobody gets this"

    world = AppWorld(app)
    client = world.client()
    assert world.got(client) == []
    client.become(ANN)
    assert world.got(client) == [[8, "Client/authentication", {"language": "de"}]]
    world.lose(client)
    assert seen == [("came", "7", None), ("left", "7", None)]
    assert world.got(world.client(identity=ANN)) == [
        [8, "Client/authentication", {"language": "de"}]
    ]


@pytest.mark.parametrize("name", ["Client/authentication", "Client/disconnection"])
def test_clients_cannot_send_the_actions_of_the_server(name):
    app = App()
    seen: list[Any] = []
    app.action(name)(lambda ctx, details: seen.append(details))
    world = AppWorld(app)
    client, other = world.client(), world.client(name)
    world.says(client, [7, name, "forged"], [7, f"{name}:error", "forged"])
    assert seen == []
    assert world.got(other) == []
    assert [reason for reason, _ in world.refusals()] == ["client-topic-reserved"] * 2


def test_an_error_in_the_action_of_authentication_goes_back():
    app = App()
    app.action("Client/authentication")(raising(ActionError(401, "expired")))
    client = (world := AppWorld(app)).client(identity=ANN)
    assert world.got(client) == [[8, "Client/authentication:error", [401, "expired"]]]


def test_an_error_in_the_action_of_the_end_is_logged(logged):
    app = App()
    app.action("Client/disconnection")(raising(ValueError("secret")))
    world = AppWorld(app)
    world.lose(world.client())
    assert len([event for event in logged if "incident" in event]) == 1


def test_an_action_that_ends_late_for_a_lost_session_sends_nothing():
    app = App()

    @app.action("a")
    async def stubborn(ctx: Context, details: object) -> str:
        try:
            await Deferred()
        except CancelledError:
            return "late"
        return ""

    world = AppWorld(app)
    client = world.client()
    world.says(client, [7, "a", 1])
    world.lose(client)
    assert world.got(client) == []
