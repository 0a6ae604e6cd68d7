"""WAMP-CRA over a broker: who gets in, who does not, and that the two look alike from outside."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest

from tests.broker.world import Client, World
from wampush.broker.identity import AWAITING, Identity
from wampush.broker.requests.cra import CraKey, CraKeys, CraProcedures
from wampush.broker.subscriber import Subscriber
from wampush.errors import Refusal, WampushError
from wampush.wamp.cra import Salting, derive, sign

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


class Desk:
    """A world whose broker answers authreq and auth, and one client in it."""

    def __init__(self, anonymous: bool = True, source: str = "anonymous") -> None:
        self.world = World()
        self.keys = CraKeys(KEYS, b"seed")
        self.asked: list[Identity] = []
        self.failure: WampushError | None = None
        self.desk = CraProcedures(
            lambda: self.keys,
            self._permissions,
            self.world.clients.become,
            lambda: self.world.clock.now,
            5.0,
            anonymous,
        )
        self.world.clients.procedures = self.desk.procedures
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
    desk = Desk(source=AWAITING)
    subscriber = desk.client.subscriber
    told = desk.client.peer.identities
    told.clear()
    assert desk.log_in(name, secret) == PERMISSIONS
    assert subscriber.identity is identity
    assert told == [identity]
    assert desk.asked == [identity]
    assert desk.desk.pending == 0


@pytest.mark.parametrize("name", ["alice", "bob", "nobody", "", "x" * 5000, "☃"])
def test_a_wrong_secret_and_an_unknown_key_are_answered_alike(name):
    desk = Desk()
    assert desk.log_in(name, "wrong") == "#invalid-signature"
    assert desk.client.subscriber.identity.source == "anonymous"
    assert desk.call(AUTH, "again") == "#no-authentication-requested"
    assert desk.log_in("alice", "alice-secret") == PERMISSIONS


def test_a_missing_signature_is_a_wrong_one():
    desk = Desk()
    desk.call(AUTHREQ, "alice")
    assert desk.call(AUTH) == "#invalid-signature"


def test_challenges_of_unknown_keys_have_the_shape_of_known_ones():
    desk = Desk()
    shapes = {}
    for name in ["alice", "bob", *(f"unknown{number}" for number in range(40))]:
        challenge = json.loads(desk.call(AUTHREQ, name, {"a": 1}))
        desk.call(AUTH, "wrong")
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


def test_an_unknown_key_always_has_the_same_salt_and_its_own():
    bob = {"bob": KEYS["bob"]}
    decoys = [CraKeys(bob).decoy(name) for name in ("x", "y", "x")]
    assert decoys[0] == decoys[2] == CraKeys(bob).decoy("x")
    assert decoys[0] != decoys[1]
    assert CraKeys(bob, b"other").decoy("x") != CraKeys(bob, b"seed").decoy("x")


def test_a_salt_that_keys_share_is_shared_by_decoys():
    keys = {name: CraKey("s", ALICE, SALTING) for name in ("a", "b")}
    assert CraKeys(keys).decoy("unknown") == SALTING


@pytest.mark.parametrize("salt", ["0123", "9f", "salz", "Zm9v+/8=", "a-_b", "é ü", "q" * 300])
def test_decoy_salts_are_made_of_the_characters_of_real_ones(salt):
    keys = CraKeys({"a": CraKey("s", ALICE, Salting(salt, 20, 32))})
    decoy = keys.decoy("unknown")
    assert decoy is not None
    assert len(decoy.salt) == len(salt)
    assert decoy.salt.isascii() or set(decoy.salt) <= set(salt)


def test_without_keys_every_key_is_unknown():
    desk = Desk()
    desk.keys = CraKeys({})
    assert "authextra" not in json.loads(desk.call(AUTHREQ, "alice"))
    assert desk.call(AUTH, "x") == "#invalid-signature"


def test_anonymous_where_it_is_allowed():
    desk = Desk(source=AWAITING)
    assert desk.call(AUTHREQ, None, None) is None
    assert desk.call(AUTH, None) == PERMISSIONS
    assert desk.client.subscriber.identity == Identity(source="cra")
    assert desk.call(AUTHREQ, "alice") == "#already-authenticated"


def test_anonymous_where_it_is_not():
    desk = Desk(anonymous=False, source=AWAITING)
    assert desk.call(AUTHREQ) == "#anonymous-auth-forbidden"
    assert desk.call(AUTH, None) == "#no-authentication-requested"
    assert desk.client.subscriber.identity.source == AWAITING


def test_one_request_at_a_time():
    desk = Desk()
    text = desk.call(AUTHREQ, "alice")
    assert desk.call(AUTHREQ, "bob") == "#authentication-already-requested"
    assert desk.call(AUTH, sign(text, "alice-secret")) == PERMISSIONS


def test_a_request_lapses():
    desk = Desk()
    text = desk.call(AUTHREQ, "alice")
    desk.world.clock.advance(5.0)
    assert desk.call(AUTH, sign(text, "alice-secret")) == "#no-authentication-requested"
    desk.call(AUTHREQ, "alice")
    desk.world.clock.advance(5.0)
    assert desk.log_in("alice", "alice-secret") == PERMISSIONS


@pytest.mark.parametrize("source", ["token", "callback", "cra"])
def test_who_is_known_already_is_not_asked(source):
    desk = Desk(source=source)
    assert desk.call(AUTHREQ, "alice") == "#already-authenticated"
    assert desk.call(AUTH, "x") == "#already-authenticated"


@pytest.mark.parametrize(
    "arguments",
    [(1,), ([],), ("alice", []), ("alice", "x"), ("alice", None, None), (True,), ("a", {}, 1, 2)],
)
def test_arguments_of_authreq_are_checked(arguments):
    assert Desk().call(AUTHREQ, *arguments) == "#invalid-argument"


@pytest.mark.parametrize("arguments", [(1,), ({},), ("a", "b")])
def test_arguments_of_auth_are_checked_and_leave_the_request(arguments):
    desk = Desk()
    text = desk.call(AUTHREQ, "alice")
    assert desk.call(AUTH, *arguments) == "#invalid-argument"
    assert desk.call(AUTH, sign(text, "alice-secret")) == PERMISSIONS


def test_an_extra_nested_too_deeply_is_an_invalid_argument():
    extra: Any = {}
    for _ in range(400):
        extra = {"a": extra}
    desk = Desk()
    assert desk.call(AUTHREQ, "alice", extra) == "#invalid-argument"
    assert desk.log_in("alice", "alice-secret") == PERMISSIONS


def test_permissions_that_can_not_be_told_leave_the_session_as_it_was():
    desk = Desk()
    desk.failure = WampushError("no")
    assert desk.log_in("alice", "alice-secret") == "#auth-permissions-error"
    assert desk.client.subscriber.identity.source == "anonymous"


def test_sessions_do_not_share_challenges():
    desk = Desk()
    other = desk.open()
    text = desk.call(AUTHREQ, "alice")
    assert desk.call(AUTH, sign(text, "alice-secret"), client=other) == (
        "#no-authentication-requested"
    )
    desk.call(AUTHREQ, "alice", client=other)
    assert desk.call(AUTH, sign(text, "alice-secret"), client=other) == "#invalid-signature"
    assert desk.call(AUTH, sign(text, "alice-secret")) == PERMISSIONS


def test_what_was_asked_ends_with_the_session():
    desk = Desk()
    client = desk.open()
    desk.call(AUTHREQ, "alice", client=client)
    assert desk.desk.pending == 1
    desk.world.broker.on_lost(client.subscriber)
    del client
    gc.collect()
    assert desk.desk.pending == 0


def test_before_it_has_proved_whose_it_is_a_session_can_do_nothing_else():
    desk = Desk(anonymous=False, source=AWAITING)
    desk.world.says(desk.client, '[5, "t"]')
    desk.world.says(desk.client, '[7, "t", 1]')
    assert desk.call("http://example.com/none") == "#not-authenticated"
    assert desk.world.hub.topic_count == 0
    assert desk.world.ledger.refusals() == {Refusal.NOT_AUTHENTICATED.code: 3}
    assert desk.log_in("alice", "alice-secret") == PERMISSIONS
    desk.world.says(desk.client, '[5, "t"]')
    assert desk.world.hub.topic_count == 1


def test_secrets_are_in_no_representation():
    desk = Desk()
    text = desk.call(AUTHREQ, "alice")
    pending = repr(list(desk.desk._pending.values()))
    assert sign(text, "alice-secret") not in pending
    assert "alice-secret" not in repr(KEYS) + repr(vars(desk.keys)["_keys"]) + pending
