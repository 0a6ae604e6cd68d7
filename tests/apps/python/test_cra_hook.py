"""WAMP-CRA with keys that an app gives, at once or later."""

# ruff: noqa: ARG001, ARG005 (handlers take what they are called with)

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from tests.apps.app_world import TIMEOUT, AppWorld, logging
from tests.broker.world import Client
from wampush.apps import App, Context, CraSecret, Identity, Salting
from wampush.config.settings import Settings
from wampush.config.tables.apps import ApplicationSettings
from wampush.config.tables.identity import AuthSettings, CraSettings
from wampush.wamp import cra

ANN = CraSecret("ann's secret", Identity(user="7", groups=frozenset({"staff"})))
SALTING = Salting("0123456789abcdef", 1000, 32)
AUTHREQ, AUTH = cra.PROCEDURE_AUTHREQ, cra.PROCEDURE_AUTH


@pytest.fixture
def logged():
    """The events of the log."""
    with logging() as events:
        yield events


def world_of(function: Any, *, keys_file: str = "", **options: Any) -> AppWorld:
    """A world whose app gives keys; nobody may stay anonymous."""
    app = App()
    app.cra_key(**options)(function)
    settings = Settings(
        auth=AuthSettings(order=("cra",)),
        cra=CraSettings(keys_file=keys_file),
        application=ApplicationSettings(threads=1),
    )
    return AppWorld(app, settings=settings)


def awaiting(world: AppWorld) -> Client:
    """A client that has to prove who it is."""
    return world.client(identity=Identity(source="awaiting-cra"))


def find(ctx: Context, name: str) -> CraSecret | None:
    return ANN if name == "ann" else None


async def find_later(ctx: Context, name: str) -> CraSecret | None:
    return await succeed(find(ctx, name))


def error(answer: Any) -> str:
    """The end of an error's URI."""
    uri, *_ = answer
    return str(uri).partition("#")[2]


@pytest.mark.parametrize("function", [find, find_later, lambda ctx, name: succeed(find(ctx, name))])
def test_a_client_with_the_secret_has_the_identity_of_the_key(function):
    world = world_of(function)
    client = awaiting(world)
    (challenge,) = world.call(client, AUTHREQ, "ann", {"from": "here"})
    assert json.loads(challenge)["extra"] == {"from": "here"}
    (permissions,) = world.call(client, AUTH, cra.sign(challenge, "ann's secret"))
    assert permissions.keys() == {"pubsub", "rpc"}
    identity = client.subscriber.identity
    assert identity == Identity("7", frozenset({"staff"}), source="cra")


def test_a_threaded_function_is_waited_for():
    world = world_of(find, threaded=True)
    client = awaiting(world)
    assert world.call(client, AUTHREQ, "ann") is None
    world.run_thread()
    ((_, _, challenge),) = world.got(client)
    assert world.call(client, AUTH, cra.sign(challenge, "ann's secret")) is not None
    assert client.subscriber.identity.user == "7"


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_a_wrong_secret_and_an_unknown_key_look_the_same(name):
    world = world_of(find)
    client = awaiting(world)
    (challenge,) = world.call(client, AUTHREQ, name)
    told = json.loads(challenge)
    assert told["authkey"] == name
    assert "salt" not in (told.get("authextra") or {})
    assert error(world.call(client, AUTH, cra.sign(challenge, "wrong"))) == "invalid-signature"
    assert client.subscriber.identity.user is None


def test_a_salted_key():
    derived = cra.derive("what ann types", SALTING)
    secret = CraSecret(derived, Identity(user="7"), SALTING)
    world = world_of(lambda ctx, name: secret if name == "ann" else None, salting=SALTING)
    client = awaiting(world)
    (challenge,) = world.call(client, AUTHREQ, "ann")
    assert json.loads(challenge)["authextra"] == {
        "salt": "0123456789abcdef",
        "iterations": 1000,
        "keylen": 32,
    }
    assert world.call(client, AUTH, cra.sign(challenge, derived)) is not None
    assert client.subscriber.identity.user == "7"


def salts(seed: bytes | None, *names: str) -> list[str]:
    """The salts told for names without a key."""
    world = world_of(lambda ctx, name: None, salting=SALTING, seed=seed)
    told = []
    for name in names:
        (challenge,) = world.call(awaiting(world), AUTHREQ, name)
        extra = json.loads(challenge)["authextra"]
        assert (extra["iterations"], extra["keylen"]) == (1000, 32)
        told.append(extra["salt"])
    return told


def test_names_without_a_key_are_salted_like_those_with_one():
    told = salts(b"seed", "x", "y", "x")
    assert told[0] == told[2] != told[1]
    for salt in told:
        assert len(salt) == 16
        assert set(salt) <= set("0123456789abcdef")
    assert salts(b"seed", "x", "y", "x") == told
    assert salts(b"other", "x") != told[:1]
    assert salts(None, "x") != salts(None, "x")


def test_one_request_of_a_session_at_a_time():
    promises: list[Deferred[Any]] = []

    def wait(ctx: Context, name: str) -> Deferred[Any]:
        promises.append(Deferred())
        return promises[-1]

    world = world_of(wait)
    client, other = awaiting(world), awaiting(world)
    world.call(client, AUTHREQ, "ann")
    assert error(world.call(client, AUTHREQ, "bob")) == "authentication-already-requested"
    assert error(world.call(client, AUTH, "early")) == "no-authentication-requested"
    assert world.call(other, AUTHREQ, "ann") is None
    promises[0].callback(ANN)
    ((_, _, challenge),) = world.got(client)
    assert error(world.call(client, AUTHREQ, "bob")) == "authentication-already-requested"
    assert world.call(client, AUTH, cra.sign(challenge, "ann's secret")) is not None
    assert client.subscriber.identity.user == "7"


def test_a_key_that_comes_after_another_request_began_is_dropped():
    promises: list[Deferred[Any]] = []

    def wait(ctx: Context, name: str) -> Deferred[Any]:
        promises.append(Deferred())
        return promises[-1]

    world = world_of(wait, timeout=60)
    client = awaiting(world)
    world.call(client, AUTHREQ, "ann")
    world.advance(world.settings.cra.timeout)
    world.call(client, AUTHREQ, "bob")
    promises[0].callback(ANN)
    ((_, _, uri, _),) = world.got(client)
    assert uri.endswith("#no-authentication-requested")
    promises[1].callback(CraSecret("bob's", Identity(user="8")))
    ((_, _, challenge),) = world.got(client)
    assert json.loads(challenge)["authkey"] == "bob"
    assert world.call(client, AUTH, cra.sign(challenge, "bob's")) is not None
    assert client.subscriber.identity.user == "8"


def failing(ctx: Context, name: str) -> CraSecret:
    raise ValueError("secret")


def test_a_function_that_fails_is_an_incident_and_the_client_may_try_again(logged):
    world = world_of(failing)
    client = awaiting(world)
    for _ in range(2):
        assert error(world.call(client, AUTHREQ, "ann")) == "internal"
    assert "secret" not in str(client.texts)
    assert len([event for event in logged if "incident" in event]) == 1


@pytest.mark.parametrize("value", ["secret", True, {"secret": "x"}, ("x",)])
def test_what_is_no_key_is_an_incident(value, logged):
    world = world_of(lambda ctx, name: value)
    assert error(world.call(awaiting(world), AUTHREQ, "ann")) == "internal"
    assert len([event for event in logged if "incident" in event]) == 1


@pytest.mark.parametrize(
    "arguments", [(5,), ("x", {"user": "7"}), ("x", Identity(), "salt"), (None,)]
)
def test_a_key_of_the_wrong_types_cannot_be_made(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        CraSecret(*arguments)


def test_a_function_that_takes_too_long_is_given_up():
    world = world_of(lambda ctx, name: Deferred())
    client = awaiting(world)
    world.call(client, AUTHREQ, "ann")
    world.advance(TIMEOUT)
    ((_, _, uri, _),) = world.got(client)
    assert uri.endswith("#timeout")
    assert world.call(client, AUTHREQ, "ann") is None


def test_nothing_else_may_be_called_before():
    app = App()
    app.cra_key(find)
    app.procedure("p")(lambda ctx: 1)
    settings = Settings(auth=AuthSettings(order=("cra",)))
    world = AppWorld(app, settings=settings)
    client = awaiting(world)
    for procedure in ("p", "wampush.session", "wampush.time"):
        assert error(world.call(client, procedure)) == "not-authenticated"


def test_nobody_is_asked_for_who_stays_anonymous():
    asked: list[str] = []
    app = App()
    app.cra_key(lambda ctx, name: asked.append(name))
    settings = Settings(auth=AuthSettings(order=("cra", "anonymous")))
    world = AppWorld(app, settings=settings)
    client = world.client()
    assert world.call(client, AUTHREQ) == [None]
    assert world.call(client, AUTH) is not None
    assert asked == []
    for arguments in ((5,), ("a", 5), ("a", None, 1)):
        assert error(world.call(world.client(), AUTHREQ, *arguments)) == "invalid-argument"
    assert asked == []


def test_keys_of_a_file_come_first_and_the_app_is_asked_all_the_same(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text('[keys.ann]\nsecret = "of the file"\nuser = "1"\n', encoding="utf-8")
    asked: list[str] = []

    def look(ctx: Context, name: str) -> CraSecret | None:
        asked.append(name)
        return find(ctx, name) or (CraSecret("bob's", Identity("8")) if name == "bob" else None)

    world = world_of(look, keys_file=str(path))
    for name, secret, user in (("ann", "of the file", "1"), ("bob", "bob's", "8")):
        client = awaiting(world)
        (challenge,) = world.call(client, AUTHREQ, name)
        assert world.call(client, AUTH, cra.sign(challenge, secret)) is not None
        assert client.subscriber.identity.user == user
    assert asked == ["ann", "bob"]


def test_names_without_a_key_look_like_those_of_the_file_and_of_the_app(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text('[keys.ann]\nsecret = "of the file"\nuser = "1"\n', encoding="utf-8")
    world = world_of(lambda ctx, name: None, keys_file=str(path), salting=SALTING, seed=b"x")
    shapes = set()
    for number in range(20):
        (challenge,) = world.call(awaiting(world), AUTHREQ, f"nobody {number}")
        shapes.add("salt" in (json.loads(challenge).get("authextra") or {}))
    assert shapes == {True, False}
