"""Keys of WAMP-CRA, and decoys that look like them."""

from __future__ import annotations

import pytest

from wampush.broker.identity import Identity
from wampush.broker.requests.cra_key_store import CraKey, CraKeyStore
from wampush.wamp.cra import Salting

SALTING = Salting("c2FsdC1zYWx0LXNhbHQ=", 20, 32)
ALICE = Identity(user="7", source="cra")


def test_keys_are_found_by_name():
    key = CraKey("s", ALICE)
    store = CraKeyStore({"alice": key})
    assert store.count == 1
    assert store.find("alice") is key
    assert store.find("bob") is None


def test_without_keys_there_is_no_salting():
    assert CraKeyStore({}).count == 0
    assert CraKeyStore({}).decoy("x") is None


def test_without_salted_keys_decoys_have_no_salting():
    assert CraKeyStore({"alice": CraKey("s", ALICE)}).decoy("x") is None


def test_secrets_are_in_no_representation():
    assert "very-secret" not in repr(CraKey("very-secret", ALICE))


def test_an_unknown_key_always_has_the_same_salt_and_its_own():
    bob = {"bob": CraKey("s", ALICE, SALTING)}
    decoys = [CraKeyStore(bob).decoy(name) for name in ("x", "y", "x")]
    assert decoys[0] == decoys[2] == CraKeyStore(bob).decoy("x")
    assert decoys[0] != decoys[1]
    assert CraKeyStore(bob, b"other").decoy("x") != CraKeyStore(bob, b"seed").decoy("x")


def test_a_salt_that_keys_share_is_shared_by_decoys():
    keys = {name: CraKey("s", ALICE, SALTING) for name in ("a", "b")}
    assert CraKeyStore(keys).decoy("unknown") == SALTING


@pytest.mark.parametrize("salt", ["0123", "9f", "salz", "Zm9v+/8=", "a-_b", "é ü", "q" * 300])
def test_decoy_salts_are_made_of_the_characters_of_real_ones(salt):
    keys = CraKeyStore({"a": CraKey("s", ALICE, Salting(salt, 20, 32))})
    decoy = keys.decoy("unknown")
    assert decoy is not None
    assert len(decoy.salt) == len(salt)
    assert decoy.salt.isascii() or set(decoy.salt) <= set(salt)
