"""The procedures about the session itself and the server."""

from __future__ import annotations

import json

import pytest

from tests.broker.world import World
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Policy, Publishing
from wampush.broker.identity import Identity
from wampush.broker.requests.meta import SessionProcedures
from wampush.choices import Action, DefaultPermission, PublishPolicy
from wampush.config.tables.permissions import PermissionSettings


@pytest.fixture
def world():
    world = World(clients_publish=False)
    world.serve(SessionProcedures(world.broker.permissions_for, lambda: world.clock.now).procedures)
    return world


def ask(world, client, *call):
    world.says(client, json.dumps([2, "id", *call]))
    world.end_turn()
    return json.loads(client.texts[-1])


def test_the_time(world):
    world.clock.advance(0.25)
    assert ask(world, world.client(limit=4000), "wampush.time") == [3, "id", 1000.25]


def test_an_anonymous_session(world):
    client = world.client(limit=4000)
    assert ask(world, client, "wampush.session") == [
        3,
        "id",
        {
            "session": client.id,
            "user": None,
            "groups": [],
            "language": None,
            "expires": None,
            "permissions": {
                "pubsub": [{"uri": "", "prefix": True, "pub": False, "sub": True}],
                "rpc": [{"uri": "", "call": True, "prefix": True}],
            },
        },
    ]


def test_a_session_with_a_user_and_its_permissions(world):
    entry = PermissionSettings("user.{user}", (Action.PUBLISH,), ("authenticated",), allow=True)
    permissions = Permissions([entry], default_decisions(publish=PublishPolicy.NEVER), lambda: 0.0)
    world.broker.policy = Policy(Publishing.NOBODY, permissions)
    identity = Identity(
        "7", frozenset({"b", "a"}), "web", "pt-BR", {"name": "Ann"}, 2000.5, "token"
    )
    found = ask(world, world.client(limit=4000, identity=identity), "wampush.session")[2]
    assert (found["user"], found["groups"], found["language"]) == ("7", ["a", "b"], "pt-BR")
    assert found["expires"] == 2000.5
    assert found["permissions"]["pubsub"][0] == {
        "uri": "user.7",
        "prefix": False,
        "pub": True,
        "sub": True,
    }
    # Neither is for pages.
    assert "web" not in json.dumps(found)
    assert "Ann" not in json.dumps(found)


@pytest.mark.parametrize("procedure", ["wampush.session", "wampush.time"])
def test_arguments_are_refused(world, procedure):
    answer = ask(world, world.client(limit=4000), procedure, None)
    assert answer[2:] == [
        "http://api.wamp.ws/error#invalid-argument",
        f"{procedure} takes no arguments",
    ]


@pytest.mark.parametrize("procedure", ["wampush.session", "wampush.time"])
def test_a_session_that_may_call_nothing_may_ask_for_its_permissions(world, procedure):
    world.broker.policy = Policy(
        Publishing.NOBODY,
        Permissions((), default_decisions(call=DefaultPermission.DENY), lambda: 0.0),
    )
    assert ask(world, world.client(limit=4000), procedure)[0] == 3
