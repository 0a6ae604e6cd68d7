"""WAMP-CRA over a broker: right and wrong secrets, and names that have no key."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from tests.broker.world import Client, World
from wampush.broker.identity import AWAITING, Identity
from wampush.broker.requests.cra import CraProcedures
from wampush.broker.requests.cra_attempt import CraAttempt
from wampush.broker.requests.cra_key_store import CraKey, CraKeyStore
from wampush.broker.requests.procedures import CallRefused
from wampush.broker.subscriber import Subscriber
from wampush.errors import Refusal, WampushError
from wampush.wamp.cra import Salting, derive, sign
from wampush.wamp.messages import Call

AUTHREQ = "http://api.wamp.ws/procedure#authreq"
AUTH = "http://api.wamp.ws/procedure#auth"
SALTING = Salting("c2FsdC1zYWx0LXNhbHQ=", 20, 32)
ALICE = Identity(user="7", groups=frozenset({"staff"}), source="cra")
BOB = Identity(user="8", source="cra")
KEYS = {
    "alice": CraKey("alice-secret", ALICE),
    "bob": CraKey(derive("bob-secret", SALTING), BOB, SALTING),
}
PERMISSIONS = {"pubsub": [{"uri": "", "prefix": True, "pub": False, "sub": True}], "rpc": []}


class CraWorld:
    """A world whose broker answers authreq and auth, and one client in it."""

    def __init__(self, anonymous: bool = True, source: str = "anonymous") -> None:
        self.world = World()
        self.keys = CraKeyStore(KEYS, b"seed")
        self.asked: list[Identity] = []
        self.failure: WampushError | None = None
        self.procedures = CraProcedures(
            keys=lambda: self.keys,
            permissions_for=self._permissions,
            become=self.world.change,
            now=lambda: self.world.clock.now,
            timeout=5.0,
            anonymous=anonymous,
        )
        self.world.serve(self.procedures.procedures)
        self.client = self.open(source)

    def open(self, source: str = "anonymous") -> Client:
        client = self.world.client(limit=10_000)
        client.become(Identity(source=source))
        return client

    def _permissions(self, _: Subscriber, identity: Identity) -> object:
        self.asked.append(identity)
        if self.failure is not None:
            raise self.failure
        return PERMISSIONS

    def call(self, procedure: str, *arguments: Any, client: Client | None = None) -> Any:
        """The result, or the error's name."""
        client = client or self.client
        before = len(client.texts)
        self.world.says(client, json.dumps([2, "c", procedure, *arguments]))
        self.world.end_turn()
        (text,) = client.texts[before:]
        kind, call_id, value, *rest = json.loads(text)
        assert call_id == "c"
        if kind == 3:
            return value
        assert kind == 4
        assert rest
        return value.removeprefix("http://api.wamp.ws/error")

    def log_in(self, name: str, secret: str) -> Any:
        text = self.call(AUTHREQ, name, None)
        extra = json.loads(text).get("authextra")
        if extra is not None:
            salting = Salting(extra["salt"], extra["iterations"], extra["keylen"])
            secret = derive(secret, salting)
        return self.call(AUTH, sign(text, secret))


@pytest.mark.parametrize(
    ("name", "secret", "identity"),
    [("alice", "alice-secret", ALICE), ("bob", "bob-secret", BOB)],
)
def test_the_right_secret_makes_the_session_the_users(name, secret, identity):
    cra = CraWorld(source=AWAITING)
    subscriber = cra.client.subscriber
    identities = cra.client.peer.identities
    identities.clear()
    assert cra.log_in(name, secret) == PERMISSIONS
    assert subscriber.identity is identity
    assert identities == [identity]
    assert cra.asked == [identity]
    assert cra.client.subscriber.attempt is None


@pytest.mark.parametrize("name", ["alice", "bob", "nobody", "", "x" * 5000, "☃"])
def test_a_wrong_secret_and_an_unknown_key_are_answered_alike(name):
    cra = CraWorld()
    assert cra.log_in(name, "wrong") == "#invalid-signature"
    assert cra.client.subscriber.identity.source == "anonymous"
    assert cra.call(AUTH, "again") == "#no-authentication-requested"
    assert cra.log_in("alice", "alice-secret") == PERMISSIONS


def test_a_missing_signature_is_a_wrong_one():
    cra = CraWorld()
    cra.call(AUTHREQ, "alice")
    assert cra.call(AUTH) == "#invalid-signature"


def test_challenges_of_unknown_keys_have_the_shape_of_known_ones():
    cra = CraWorld()
    shapes = {}
    for name in ["alice", "bob", *(f"unknown{number}" for number in range(40))]:
        challenge = json.loads(cra.call(AUTHREQ, name, {"a": 1}))
        cra.call(AUTH, "wrong")
        extra = challenge.get("authextra", {})
        shapes[name] = (
            sorted(challenge),
            sorted(extra),
            len(extra.get("salt", "")),
            extra.get("salt", "")[-1:],
            len(challenge["authid"]),
            challenge["permissions"],
            challenge["extra"],
        )
    salts = {name: shape for name, shape in shapes.items() if shape[1]}
    plain = {name: shape for name, shape in shapes.items() if not shape[1]}
    # Both kinds among the unknown, each like the known one of its kind.
    assert len(salts) > 5
    assert len(plain) > 5
    assert all(shape == shapes["bob"] for shape in salts.values())
    assert all(shape == shapes["alice"] for shape in plain.values())


def test_without_keys_every_key_is_unknown():
    cra = CraWorld()
    cra.keys = CraKeyStore({})
    assert "authextra" not in json.loads(cra.call(AUTHREQ, "alice"))
    assert cra.call(AUTH, "x") == "#invalid-signature"


def test_anonymous_where_it_is_allowed():
    cra = CraWorld(source=AWAITING)
    assert cra.call(AUTHREQ, None, None) is None
    assert cra.call(AUTH, None) == PERMISSIONS
    assert cra.client.subscriber.identity == Identity(source="cra")
    assert cra.call(AUTHREQ, "alice") == "#already-authenticated"


def test_anonymous_where_it_is_not():
    cra = CraWorld(anonymous=False, source=AWAITING)
    assert cra.call(AUTHREQ) == "#anonymous-auth-forbidden"
    assert cra.call(AUTH, None) == "#no-authentication-requested"
    assert cra.client.subscriber.identity.source == AWAITING


def test_one_request_at_a_time():
    cra = CraWorld()
    text = cra.call(AUTHREQ, "alice")
    assert cra.call(AUTHREQ, "bob") == "#authentication-already-requested"
    assert cra.call(AUTH, sign(text, "alice-secret")) == PERMISSIONS


def test_a_request_lapses():
    cra = CraWorld()
    text = cra.call(AUTHREQ, "alice")
    cra.world.clock.advance(5.0)
    assert cra.call(AUTH, sign(text, "alice-secret")) == "#no-authentication-requested"
    cra.call(AUTHREQ, "alice")
    cra.world.clock.advance(5.0)
    assert cra.log_in("alice", "alice-secret") == PERMISSIONS


@pytest.mark.parametrize("source", ["token", "callback", "cra"])
def test_an_authenticated_session_cannot_authenticate_again(source):
    cra = CraWorld(source=source)
    assert cra.call(AUTHREQ, "alice") == "#already-authenticated"
    assert cra.call(AUTH, "x") == "#already-authenticated"


@pytest.mark.parametrize(
    "arguments",
    [(1,), ([],), ("alice", []), ("alice", "x"), ("alice", None, None), (True,), ("a", {}, 1, 2)],
)
def test_arguments_of_authreq_are_checked(arguments):
    assert CraWorld().call(AUTHREQ, *arguments) == "#invalid-argument"


@pytest.mark.parametrize("arguments", [(1,), ({},), ("a", "b")])
def test_arguments_of_auth_are_checked_and_leave_the_request(arguments):
    cra = CraWorld()
    text = cra.call(AUTHREQ, "alice")
    assert cra.call(AUTH, *arguments) == "#invalid-argument"
    assert cra.call(AUTH, sign(text, "alice-secret")) == PERMISSIONS


def test_an_extra_nested_too_deeply_is_an_invalid_argument():
    extra: Any = {}
    for _ in range(400):
        extra = {"a": extra}
    cra = CraWorld()
    assert cra.call(AUTHREQ, "alice", extra) == "#invalid-argument"
    assert cra.log_in("alice", "alice-secret") == PERMISSIONS


def test_permissions_that_cannot_be_determined_leave_the_session_as_it_was():
    cra = CraWorld()
    cra.failure = WampushError("no")
    assert cra.log_in("alice", "alice-secret") == "#auth-permissions-error"
    assert cra.client.subscriber.identity.source == "anonymous"


def test_sessions_do_not_share_challenges():
    cra = CraWorld()
    other = cra.open()
    text = cra.call(AUTHREQ, "alice")
    assert cra.call(AUTH, sign(text, "alice-secret"), client=other) == (
        "#no-authentication-requested"
    )
    cra.call(AUTHREQ, "alice", client=other)
    assert cra.call(AUTH, sign(text, "alice-secret"), client=other) == "#invalid-signature"
    assert cra.call(AUTH, sign(text, "alice-secret")) == PERMISSIONS


def test_an_attempt_goes_on_in_another_process():
    cra, other = CraWorld(), CraWorld()
    text = cra.call(AUTHREQ, "alice")
    attempt = cra.client.subscriber.attempt
    assert attempt is not None
    state = attempt.snapshot()
    other.client.subscriber.attempt = CraAttempt.resume(orjson.loads(orjson.dumps(state)))
    assert other.call(AUTH, sign(text, "alice-secret")) == PERMISSIONS
    assert other.client.subscriber.identity == ALICE


def test_an_awaiting_session_can_only_authenticate():
    cra = CraWorld(anonymous=False, source=AWAITING)
    cra.world.says(cra.client, '[5, "t"]')
    cra.world.says(cra.client, '[7, "t", 1]')
    assert cra.call("http://example.com/none") == "#not-authenticated"
    assert cra.world.subscriptions.topic_count == 0
    assert cra.world.ledger.refusals() == {Refusal.NOT_AUTHENTICATED.code: 3}
    assert cra.log_in("alice", "alice-secret") == PERMISSIONS
    cra.world.says(cra.client, '[5, "t"]')
    assert cra.world.subscriptions.topic_count == 1


def test_secrets_are_in_no_representation():
    cra = CraWorld()
    text = cra.call(AUTHREQ, "alice")
    pending = repr(cra.client.subscriber.attempt)
    assert sign(text, "alice-secret") not in pending
    assert "alice-secret" not in repr(KEYS) + repr(vars(cra.keys)["_keys"]) + pending


def test_a_challenge_that_comes_too_late_is_refused():
    """Application code may give the key after the client has asked again."""
    cra = CraWorld()
    subscriber = cra.client.subscriber
    call = Call("c", AUTHREQ, ("alice",))
    first = cra.procedures.ask(subscriber, call)
    assert first is not None
    assert cra.call(AUTH, "x") == "#no-authentication-requested"
    assert cra.call(AUTHREQ, "bob") == "#authentication-already-requested"
    cra.world.clock.advance(5.0)
    second = cra.procedures.ask(subscriber, call)
    assert second is not None
    with pytest.raises(CallRefused):
        cra.procedures.challenge(subscriber, first, None)
    cra.procedures.withdraw(subscriber, first)
    text = cra.procedures.challenge(subscriber, second, KEYS["alice"])
    cra.procedures.withdraw(subscriber, second)
    assert cra.call(AUTH, sign(text, "alice-secret")) == PERMISSIONS


def test_a_withdrawn_request_can_be_made_again():
    cra = CraWorld()
    request = cra.procedures.ask(cra.client.subscriber, Call("c", AUTHREQ, ("alice",)))
    assert request is not None
    cra.procedures.withdraw(cra.client.subscriber, request)
    assert cra.client.subscriber.attempt is None
    assert cra.log_in("alice", "alice-secret") == PERMISSIONS
