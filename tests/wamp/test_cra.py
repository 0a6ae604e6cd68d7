"""WAMP-CRA: test vectors, the text of challenges, and signatures."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.wire_vectors import wire_vectors
from wampush.wamp.cra import Challenge, Salting, derive, sign, signatures_match

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize("vector", wire_vectors("keys"))
def test_keys_are_derived_as_other_implementations_do(vector):
    salting = Salting(vector["salt"], vector["iterations"], vector["keylen"])
    assert derive(vector["secret"], salting) == vector["key"]


def test_the_default_salting_is_the_one_that_clients_assume():
    assert derive("secret", Salting("SALT99")) == derive("secret", Salting("SALT99", 10_000, 32))


@pytest.mark.parametrize("vector", wire_vectors("signatures"))
def test_signatures_are_as_other_implementations_make_them(vector):
    assert sign(vector["challenge"], vector["key"]) == vector["signature"]


def test_a_challenge_has_the_members_of_the_specification():
    challenge = Challenge("a1", "alice", 1_700_000_000.1234, "s1", {"x": [1]})
    assert json.loads(challenge.text()) == {
        "authid": "a1",
        "authkey": "alice",
        "timestamp": "2023-11-14T22:13:20.123Z",
        "sessionid": "s1",
        "extra": {"x": [1]},
        "permissions": {"pubsub": [], "rpc": []},
    }


def test_the_timestamp_always_has_milliseconds():
    text = Challenge("a", "k", 1_700_000_000.0, "s").text()
    assert json.loads(text)["timestamp"] == "2023-11-14T22:13:20.000Z"


def test_a_salted_challenge_says_how_to_derive():
    text = Challenge("a", "k", 0.0, "s", {}, Salting("pepper", 50, 16)).text()
    assert json.loads(text)["authextra"] == {"salt": "pepper", "keylen": 16, "iterations": 50}


@given(TEXT, TEXT)
def test_only_the_signed_challenge_and_key_verify(challenge, secret):
    signature = sign(challenge, secret)
    assert signatures_match(signature, sign(challenge, secret))
    assert not signatures_match(signature, sign(challenge + "x", secret))
    assert not signatures_match(signature, sign(challenge, secret + "x"))


@given(st.text(), TEXT)
def test_any_text_may_be_sent_as_a_signature(offered, secret):
    expected = sign("challenge", secret)
    assert signatures_match(offered, expected) is (offered == expected)
