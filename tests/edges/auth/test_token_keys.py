"""Which files are keys for tokens, and which algorithm goes with each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import RSAAlgorithm

from tests.edges.auth.key_material import (
    EC_KEY,
    LONG_EC_KEY,
    RSA_KEY,
    SECRET,
    SMALL_RSA_KEY,
    ec_jwk,
    private,
    public,
    rsa_jwk,
)
from wampush.config.tables.identity import TokenSettings
from wampush.edges.auth.token_keys import TokenKey, load, load_signing_key
from wampush.errors import OperatorError


@pytest.fixture
def make(tmp_path: Path):
    """The keys in a key file of that content."""

    def with_key(content: bytes = SECRET, **more: Any) -> Sequence[TokenKey]:
        path = tmp_path / "key"
        path.write_bytes(content)
        return load(TokenSettings(key_file=str(path), **more))

    return with_key


@pytest.fixture
def make_set(tmp_path: Path):
    """The keys in a JWK set of those entries."""

    def with_set(*entries: object) -> Sequence[TokenKey]:
        path = tmp_path / "keys.json"
        path.write_text(json.dumps({"keys": entries}), encoding="utf-8")
        return load(TokenSettings(jwks_file=str(path)))

    return with_set


@pytest.mark.parametrize(
    ("algorithm", "content"),
    [("HS256", SECRET + b"\n"), ("RS256", public(RSA_KEY)), ("ES256", public(EC_KEY))],
)
def test_a_key_file_holds_one_key_for_one_algorithm(make, algorithm, content):
    (key,) = make(content, algorithm=algorithm)
    assert (key.algorithm, key.kid) == (algorithm, None)
    assert SECRET.decode() not in repr(key)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([{"kty": "oct", "k": "AAAA"}], "public keys only"),
        ([RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True)], "public keys only"),
        ([{"kty": "RSA"}], "malformed"),
        ([{"kty": "RSA", "n": 1, "e": []}], "malformed"),
        ([{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}], "malformed"),
        ([rsa_jwk(SMALL_RSA_KEY)], "1024 bits"),
        ([rsa_jwk(kid="a"), ec_jwk(kid="a")], "same kid"),
        ([rsa_jwk(), ec_jwk()], "same kid, or two without"),
        ([rsa_jwk(kid=1)], "not a string"),
        (["x"], "not a JWK set"),
        ([], "no key for"),
    ],
)
def test_sets_that_cannot_be_used_stop_the_start(make_set, entries, words):
    with pytest.raises(OperatorError, match=words):
        make_set(*entries)


@pytest.mark.parametrize(
    ("algorithm", "content", "words"),
    [
        ("HS256", b"short", "contains 5 bytes"),
        ("HS256", public(RSA_KEY), "needs a shared secret"),
        ("RS256", SECRET, "no public key in PEM"),
        ("RS256", private(RSA_KEY), "only the public key"),
        ("RS256", public(EC_KEY), "no RSA key"),
        ("RS256", public(SMALL_RSA_KEY), "1024 bits"),
        ("ES256", public(RSA_KEY), "no P-256 key"),
        ("ES256", public(LONG_EC_KEY), "no P-256 key"),
        ("ES256", public(ed25519.Ed25519PrivateKey.generate()), "no P-256 key"),
    ],
)
def test_key_files_that_cannot_be_used_stop_the_start(make, algorithm, content, words):
    with pytest.raises(OperatorError, match=words) as error:
        make(content, algorithm=algorithm)
    assert SECRET.decode() not in str(error.value)
    assert "BEGIN" not in str(error.value)


def test_files_that_cannot_be_read_stop_the_start(tmp_path):
    for path in (str(tmp_path / "none"), str(tmp_path), "a\0b"):
        with pytest.raises(OperatorError, match=r"token\.key_file .* cannot be read"):
            load(TokenSettings(key_file=path))
    (tmp_path / "large").write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(OperatorError, match="larger than"):
        load(TokenSettings(key_file=str(tmp_path / "large")))
    (tmp_path / "text").write_text("{", encoding="utf-8")
    with pytest.raises(OperatorError, match="is not JSON"):
        load(TokenSettings(jwks_file=str(tmp_path / "text")))


@pytest.mark.parametrize("content", [public(RSA_KEY), SECRET, b""])
def test_what_does_not_sign(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(OperatorError, match="no private key"):
        load_signing_key(str(tmp_path / "key"), "RS256", "--key-file")


def test_entries_of_a_set_for_other_uses_are_skipped(make_set):
    skipped = [
        rsa_jwk(kid="1", use="enc"),
        rsa_jwk(kid="2", alg="RS512"),
        ec_jwk(LONG_EC_KEY, kid="3"),
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": ["RSA"]},
    ]
    keys = make_set(*skipped, rsa_jwk(kid="r"), ec_jwk(kid="e"))
    assert [(key.algorithm, key.kid) for key in keys] == [("RS256", "r"), ("ES256", "e")]
    with pytest.raises(OperatorError, match="contains no key for RS256 or ES256"):
        make_set(*skipped)


@pytest.mark.parametrize(
    ("algorithm", "content"),
    [("HS256", SECRET), ("RS256", private(RSA_KEY)), ("ES256", private(EC_KEY))],
)
def test_signing_keys(tmp_path, algorithm, content):
    path = tmp_path / "signing"
    path.write_bytes(content)
    assert load_signing_key(str(path), algorithm, "--key-file").algorithm == algorithm
