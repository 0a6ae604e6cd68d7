"""Tokens: whose keys and claims count, and that nothing an attacker sends gets further."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.edges.auth.key_material import (
    EC_KEY,
    LONG_EC_KEY,
    OTHER_RSA_KEY,
    RSA_KEY,
    SECRET,
    ec_jwk,
    private,
    public,
    rsa_jwk,
)
from wampush.broker.identity import Identity
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.config.tables.identity import TokenSettings
from wampush.edges.auth.token_keys import load_signing_key
from wampush.edges.auth.tokens import Tokens, issue
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.edges.websocket.http_upgrade import parse as parse_handshake
from wampush.errors import AuthenticationRefused, CloseReason, OperatorError

SOON = 600


def claims(**more: object) -> dict[str, object]:
    return {"sub": "7", "exp": int(time.time()) + SOON, **more}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: Mapping[str, object], payload: bytes, secret: bytes = SECRET) -> str:
    """A token that is right in nothing but its HS256 signature."""
    text = f"{b64(json.dumps(header).encode())}.{b64(payload)}"
    return f"{text}.{b64(hmac.digest(secret, text.encode(), hashlib.sha256))}"


@pytest.fixture
def make(tmp_path: Path):
    """Tokens with a key file of that content."""

    def with_key(content: bytes = SECRET, **more: Any) -> Tokens:
        path = tmp_path / "key"
        path.write_bytes(content)
        return Tokens(TokenSettings(key_file=str(path), **more))

    return with_key


@pytest.fixture
def make_set(tmp_path: Path):
    """Tokens with a JWK set of those entries."""

    def with_set(*entries: object, **more: Any) -> Tokens:
        path = tmp_path / "keys.json"
        path.write_text(json.dumps({"keys": entries}), encoding="utf-8")
        return Tokens(TokenSettings(jwks_file=str(path), **more))

    return with_set


def refused(tokens: Tokens, token: str) -> str:
    """The detail of the refusal, which must not repeat anything of the token."""
    with pytest.raises(AuthenticationRefused) as error:
        tokens.identify(token)
    assert error.value.reason is CloseReason.TOKEN_REFUSED
    assert error.value.__cause__ is None
    assert all(part not in str(error.value) for part in token.split(".") if len(part) > 8)
    return error.value.detail


def test_all_claims_become_an_identity(make):
    token = jwt.encode(
        claims(groups=["staff", 3], lang="pt-BR", sid="s1", theme="dark", iat=1, jti="x"), SECRET
    )
    identity = make().identify(token)
    payload = jwt.decode(token, SECRET, ["HS256"])
    assert identity == Identity(
        user="7",
        groups=frozenset({"staff", "3"}),
        web_session="s1",
        language="pt-BR",
        data={"theme": "dark"},
        expires=payload["exp"] + 30.0,
        source="token",
    )


def test_an_expiry_in_milliseconds_is_refused(make):
    token = jwt.encode({**claims(), "exp": int(time.time() * 1000)}, SECRET)
    assert refused(make(), token) == (
        "exp is after the year 5000; it must be in seconds since the epoch, not in milliseconds."
    )


@pytest.mark.parametrize("sub", [7, "7"])
def test_a_user_may_be_a_number(make, sub):
    assert make().identify(jwt.encode({**claims(), "sub": sub}, SECRET)).user == "7"


def test_a_token_without_a_user_speaks_of_nobody(make):
    token = jwt.encode({"exp": int(time.time()) + SOON, "groups": ["guests"]}, SECRET)
    identity = make().identify(token)
    assert identity.user is None
    assert identity.groups == {"guests"}


@pytest.mark.parametrize(
    ("algorithm", "key"), [("HS256", None), ("RS256", RSA_KEY), ("ES256", EC_KEY)]
)
def test_each_algorithm_with_its_key(make, algorithm, key):
    tokens = make(SECRET if key is None else public(key), algorithm=algorithm)
    token = jwt.encode(claims(), key or SECRET, algorithm=algorithm)
    assert tokens.identify(token).user == "7"
    end = token[-1]
    changed = token[:-6] + "AAAAA" + end
    assert refused(tokens, changed) == "Its signature is not valid."


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "RS512", "ES256", "none", "PS256", ""])
def test_another_algorithm_is_refused_whatever_the_token_says(make, algorithm):
    tokens = make(public(RSA_KEY), algorithm="RS256")
    # The classic attack: the public key, which everybody knows, used as a shared secret.
    payload = json.dumps(claims()).encode()
    token = signed({"alg": algorithm, "typ": "JWT"}, payload, public(RSA_KEY))
    assert "algorithm" in refused(tokens, token)


@pytest.mark.parametrize("algorithm", ["none", "NONE", "HS384", "RS256", None, 1, ["HS256"]])
def test_a_shared_secret_is_good_for_one_algorithm(make, algorithm):
    token = signed({"alg": algorithm}, json.dumps(claims()).encode())
    assert refused(make(), token)
    assert refused(make(), token.rpartition(".")[0] + ".")


@pytest.mark.parametrize(
    "header",
    [{"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"kid": 1}, {"jku": 1, "crit": ["jku"]}],
)
def test_extensions_of_the_header_are_refused(make, header):
    assert refused(make(), signed({"alg": "HS256", **header}, json.dumps(claims()).encode()))


def test_keys_inside_the_token_are_not_believed(make):
    tokens = make(public(RSA_KEY), algorithm="RS256")
    token = jwt.encode(
        claims(), OTHER_RSA_KEY, algorithm="RS256", headers={"jwk": rsa_jwk(OTHER_RSA_KEY)}
    )
    assert refused(tokens, token) == "Its signature is not valid."


@pytest.mark.parametrize(
    ("seconds", "good"), [(-29, True), (-31, False), (-1e9, False), (1e9, True)]
)
def test_expiry_with_leeway(make, seconds, good):
    token = jwt.encode(claims(exp=int(time.time() + seconds)), SECRET)
    if good:
        assert make().identify(token).user == "7"
    else:
        assert refused(make(), token) == "The token has expired."


@pytest.mark.parametrize(("seconds", "good"), [(25, True), (60, False)])
def test_not_before_with_leeway(make, seconds, good):
    token = jwt.encode(claims(nbf=int(time.time()) + seconds), SECRET)
    if good:
        assert make().identify(token).user == "7"
    else:
        assert "clocks" in refused(make(), token)


def test_a_token_without_end_is_refused_unless_it_is_allowed(make):
    token = jwt.encode({"sub": "7"}, SECRET)
    assert "exp" in refused(make(), token)
    assert make(require_expiry=False).identify(token).expires is None


@pytest.mark.parametrize(
    ("configured", "audience", "good"),
    [
        ("push", "push", True),
        ("push", ["other", "push"], True),
        ("push", "other", False),
        ("push", None, False),
        ("", "push", False),
        ("", None, True),
        ("push", 3, False),
    ],
)
def test_audience(make, configured, audience, good):
    more = {} if audience is None else {"aud": audience}
    token = jwt.encode(claims(**more), SECRET)
    tokens = make(audience=configured)
    if good:
        assert tokens.identify(token).user == "7"
    else:
        assert "aud" in refused(tokens, token)


@pytest.mark.parametrize(("issuer", "good"), [("web", True), ("other", False), (None, False)])
def test_issuer(make, issuer, good):
    more = {} if issuer is None else {"iss": issuer}
    token = jwt.encode(claims(**more), SECRET)
    if good:
        assert make(issuer="web").identify(token).user == "7"
    else:
        assert "iss" in refused(make(issuer="web"), token)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sub": ""},
        {"sub": True},
        {"sub": ["7"]},
        {"sub": 1.5},
        {"sub": "a\nb"},
        {"sub": "\ud800"},
        {"sub": 10**30},
        {"groups": "staff"},
        {"groups": {"a": 1}},
        {"groups": [[]]},
        {"groups": [None, {}]},
        {"lang": 1},
        {"lang": "x" * 65},
        {"sid": []},
        {"exp": "soon"},
        {"exp": None},
        {"exp": []},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**400},
        {"nbf": float("inf")},
        {"nbf": {}},
        {"iat": float("-inf")},
        {"iss": 3},
    ],
)
def test_claims_of_the_wrong_kind_are_refused(make, wrong):
    token = signed({"alg": "HS256"}, json.dumps({**claims(), **wrong}).encode())
    assert refused(make(issuer="web" if "iss" in wrong else ""), token)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'"x"',
        b"[" * 10000,
        b'{"a":' * 2000,
        b"\xff",
        b'{"exp":1e999}',
        b'{"exp":' + b"9" * 5000 + b"}",
    ],
)
def test_payloads_that_are_no_claims_are_refused(make, payload):
    assert refused(make(), signed({"alg": "HS256"}, payload))


def test_a_token_that_is_too_long_is_not_looked_at(make):
    token = jwt.encode(claims(x="x" * 20_000), SECRET)
    assert "16384" in refused(make(), token)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_nothing_but_the_refusal_is_ever_raised(make, data):
    tokens = make()
    json_value = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
    names = st.sampled_from(["exp", "nbf", "iat", "sub", "aud", "iss", "groups", "lang", "sid"])
    any_claims = st.dictionaries(names | st.text(), json_value)
    headers = st.fixed_dictionaries(
        {"alg": st.just("HS256") | json_value}, optional={"kid": json_value, "crit": json_value}
    )
    token = data.draw(
        st.text()
        | st.binary().map(lambda raw: raw.decode("latin-1"))
        | st.lists(st.binary().map(b64), max_size=4).map(".".join)
        | st.builds(signed, headers, st.binary())
        | st.builds(signed, headers, any_claims.map(lambda each: json.dumps(each).encode()))
    )
    try:
        identity = tokens.identify(token)
    except AuthenticationRefused:
        return
    assert isinstance(identity, Identity)


# Where a handshake holds the token.


def request(target: str = "/", **headers: str) -> ConnectRequest:
    return ConnectRequest(target, headers, "192.0.2.1")


@pytest.mark.parametrize(
    ("target", "headers", "found"),
    [
        ("/ws?token=abc", {}, "abc"),
        ("/?a=1&token=a%2Eb&c", {}, "a.b"),
        ("/?token=", {}, ""),
        ("/?Token=abc", {}, ""),
        ("/", {}, ""),
        ("//[?token=abc", {}, "abc"),
        ("/", {"authorization": "Bearer abc"}, "abc"),
        ("/", {"authorization": "bearer  abc "}, "abc"),
        ("/", {"authorization": "Basic abc"}, ""),
        ("/", {"authorization": "Bearer"}, ""),
        ("/", {"cookie": "a=1; jwt=abc; jwt=other"}, "abc"),
        ("/", {"cookie": 'jwt="abc"'}, "abc"),
        ("/", {"cookie": "jwt"}, ""),
        ("/?token=b", {"authorization": "Bearer a", "cookie": "jwt=c"}, "a"),
        ("/?token=b", {"cookie": "jwt=c"}, "b"),
        ("/?token=%ff%00", {}, "\ufffd\0"),
    ],
)
def test_where_the_token_is_found(make, target, headers, found):
    assert make(cookie="jwt").find(request(target, **headers)) == found


def test_places_that_are_switched_off_are_not_looked_at(make):
    tokens = make(query="", bearer=False)
    full = request("/?token=a", authorization="Bearer a", cookie="token=a; jwt=a")
    assert tokens.find(full) == ""
    assert make(query="t").find(request("/?token=a&t=b")) == "b"


@pytest.mark.parametrize("target", ["/?token=a&token=b", "/?" + "a=1&" * 101 + "token=a"])
def test_a_query_that_leaves_doubt_is_refused(make, target):
    with pytest.raises(AuthenticationRefused):
        make().find(request(target))


def test_the_representation_of_a_request_holds_no_secret():
    shown = repr(request("/?token=abc", authorization="Bearer def", cookie="jwt=ghi"))
    assert "192.0.2.1" in shown
    assert all(secret not in shown for secret in ("abc", "def", "ghi"))


# Keys.


def test_a_key_of_a_set_is_chosen_by_its_kid(make_set):
    tokens = make_set(rsa_jwk(kid="r"), ec_jwk(kid="e", alg="ES256", use="sig"))
    for kid, key, algorithm in (("r", RSA_KEY, "RS256"), ("e", EC_KEY, "ES256")):
        token = jwt.encode(claims(), key, algorithm=algorithm, headers={"kid": kid})
        assert tokens.identify(token).user == "7"
    crossed = jwt.encode(claims(), RSA_KEY, algorithm="RS256", headers={"kid": "e"})
    assert "algorithm" in refused(tokens, crossed)
    for headers in ({}, {"kid": "x"}):
        unnamed = jwt.encode(claims(), RSA_KEY, algorithm="RS256", headers=headers)
        assert refused(tokens, unnamed) == "Its kid is not in token.jwks_file."


def test_the_only_key_of_a_set_needs_no_kid(make_set):
    tokens = make_set(rsa_jwk(kid="r"))
    assert tokens.identify(jwt.encode(claims(), RSA_KEY, algorithm="RS256")).user == "7"
    other = jwt.encode(claims(), RSA_KEY, algorithm="RS256", headers={"kid": "x"})
    assert "kid" in refused(tokens, other)


def test_entries_of_a_set_for_other_uses_are_passed_over(make_set):
    skipped = [
        rsa_jwk(kid="1", use="enc"),
        rsa_jwk(kid="2", alg="RS512"),
        ec_jwk(LONG_EC_KEY, kid="3"),
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": ["RSA"]},
    ]
    tokens = make_set(*skipped, rsa_jwk(kid="r"))
    assert tokens.identify(jwt.encode(claims(), RSA_KEY, algorithm="RS256")).user == "7"
    with pytest.raises(OperatorError, match="no key for RS256 or ES256"):
        make_set(*skipped)


def test_keys_are_read_again_and_bad_ones_leave_the_present(make, tmp_path):
    tokens = make()
    (tmp_path / "key").write_bytes(b"z" * 32)
    assert tokens.identify(jwt.encode(claims(), SECRET)).user == "7"
    tokens.reload()
    assert "signature" in refused(tokens, jwt.encode(claims(), SECRET))
    (tmp_path / "key").write_bytes(b"")
    with pytest.raises(OperatorError):
        tokens.reload()
    assert tokens.identify(jwt.encode(claims(), b"z" * 32)).user == "7"


@pytest.mark.parametrize(
    ("algorithm", "key"), [("HS256", None), ("RS256", RSA_KEY), ("ES256", EC_KEY)]
)
def test_tokens_made_for_trials_are_good(make, tmp_path, algorithm, key):
    path = tmp_path / "signing"
    path.write_bytes(SECRET if key is None else private(key))
    signing = load_signing_key(str(path), algorithm, "--key-file")
    assert SECRET.decode() not in repr(signing)
    tokens = make(SECRET if key is None else public(key), algorithm=algorithm)
    assert tokens.identify(issue(signing, claims())).user == "7"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /?token=abc.def HTTP/1.1 abc.def",
        b"GET /?token=abc.def HTTP/1.1\nCookie: a=abc.def",
        b"GET / HTTP/1.1\r\nAuthorization : Bearer abc.def",
        b"GET / HTTP/1.1\r\nCookie: a=1;\r\n b=abc.def",
    ],
)
def test_a_malformed_request_does_not_tell_its_token(head):
    with pytest.raises(HandshakeRefused) as error:
        parse_handshake(head)
    assert "abc" not in str(error.value)
