"""The tables ``[auth]``, ``[token]``, ``[callback]`` and ``[cra]``: authentication.

Must not import: Twisted, other tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wampush.config.checks.common import OptionalText
from wampush.config.checks.files import CraKeysFile, TokenKeyFile
from wampush.config.checks.identity import HttpUrl, Name, OptionalName
from wampush.config.setting import DAY, Count, Seconds, rule, setting

Algorithm = Literal["HS256", "RS256", "ES256"]
AuthMethod = Literal["token", "callback", "cra", "anonymous"]


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """``[auth]``: which methods authenticate clients."""

    order: tuple[AuthMethod, ...] = setting(
        ("anonymous",),
        "The first method that finds its credentials in the handshake decides; `anonymous` admits "
        "clients without any, `cra` clients that log in afterwards.",
        at_least=1,
    )


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """``[token]``: JSON Web Tokens (RFC 7519) that the web application signs."""

    algorithm: Algorithm = setting(
        "HS256",
        "The only one accepted with `key_file`; the header of a token never decides.",
    )
    key_file: TokenKeyFile = setting(
        "", "The shared secret (HS256, 32 bytes or more) or the public key in PEM (RS256, ES256)."
    )
    jwks_file: TokenKeyFile = setting(
        "", "Instead of `key_file`: public keys as a JWK set (RFC 7517), selected by `kid`."
    )
    audience: OptionalText = setting(
        "", "Must be in the token's `aud`; without it, tokens that have an `aud` are refused."
    )
    issuer: OptionalText = setting("", "Must be the token's `iss`; without it, any is accepted.")
    leeway: Seconds = setting(
        30.0, "The tolerated difference of two clocks, for `exp` and `nbf`.", least=0
    )
    require_expiry: bool = setting(
        True, "A token without `exp` never expires, even if it is stolen."
    )
    query: OptionalName = setting(
        "token",
        "Query parameter that holds the token: all that a page can add to a WebSocket.",
    )
    cookie: OptionalName = setting(
        "", "Cookie that holds the token; browsers send cookies by themselves."
    )
    bearer: bool = setting(
        True, "Whether `Authorization: Bearer` is read, for clients that are not browsers."
    )


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """``[callback]``: the web application identifies clients."""

    url: HttpUrl = setting(
        "", "Each handshake is POSTed there as JSON; the log shows the URL when it fails."
    )
    headers: tuple[Name, ...] = setting(
        (), "Further headers of the handshake to pass on; cookies, origin and query always are."
    )
    cookies: tuple[Name, ...] = setting(
        (),
        "Cookies to pass on, such as `PHPSESSID`; empty: all. Unrelated cookies spoil the cache.",
    )
    timeout: Seconds = setting(
        3.0, "Includes waiting for a free slot; less than `websocket.handshake_timeout`."
    )
    at_once: Count = setting(
        32,
        "A web application answers about as many in parallel; after a restart all clients come "
        "back at once.",
        unit="requests",
        most=10_000,
    )
    waiting: Count = setting(
        10_000,
        "Clients that wait for a free slot; any more are refused at once.",
        unit="requests",
        least=0,
        most=1_000_000,
    )
    cache_seconds: Seconds = setting(
        10.0,
        "Tabs of one user cause one request; a user who has logged out stays known for this "
        "long. 0: no cache.",
        least=0,
        most=DAY,
    )
    cache_entries: Count = setting(
        10_000, "About 1 KiB each; the oldest is dropped first.", unit="answers"
    )


@dataclass(frozen=True, slots=True)
class CraSettings:
    """``[cra]``: challenge and response inside the session (WAMP-CRA)."""

    keys_file: CraKeysFile = setting(
        "",
        "TOML file with the keys; a separate file, because they are secret. Not needed if an app "
        "has them.",
    )
    timeout: Seconds = setting(
        10.0,
        "From the challenge to its answer and, where no client is anonymous, for the whole login.",
    )


@rule("token.jwks_file", "token.key_file")
def token_keys_come_from_one_file(jwks: str, key: str) -> str:
    """The two files with keys for tokens are alternatives."""
    return "token.jwks_file and token.key_file must not both be set" if jwks and key else ""


@rule("token.key_file", "token.jwks_file", "auth.order")
def tokens_have_a_key(key: str, jwks: str, order: Sequence[str]) -> str:
    """``auth.order`` includes tokens exactly when there is a key."""
    name = "token.jwks_file" if jwks else "token.key_file"
    return _together("token", name, key or jwks, order, "token.key_file or token.jwks_file")


@rule("callback.url", "auth.order")
def the_callback_has_a_url(url: str, order: Sequence[str]) -> str:
    """``auth.order`` includes the callback exactly when it has a URL."""
    return _together("callback", "callback.url", url, order)


@rule("cra.keys_file", "auth.order", "apps")
def cra_has_keys(keys: str, order: Sequence[str], apps: Sequence[str]) -> str:
    """``auth.order`` includes WAMP-CRA exactly when there are keys, which apps may have, too."""
    if "cra" in order and not keys and apps:
        return ""
    return _together("cra", "cra.keys_file", keys, order)


def _together(
    method: str, name: str, value: str, order: Sequence[str], either: str | None = None
) -> str:
    if method in order and not value:
        return f'{either or name} must be set, because auth.order includes "{method}"'
    if value and method not in order:
        return f'auth.order must include "{method}", because {name} is set'
    return ""


@rule("auth.order")
def methods_are_in_order(order: Sequence[str]) -> str:
    """Methods that open the session at once come last."""
    before = order[:-1] if order[-1] == "anonymous" else order
    if "anonymous" in before:
        return 'auth.order must have "anonymous" last; the methods after it would never be used'
    if "cra" in before[:-1]:
        return (
            'auth.order must have "cra" last, or just before "anonymous"; it opens the session '
            "before the login"
        )
    return ""


@rule("callback.timeout", "websocket.handshake_timeout", "callback.url")
def the_callback_answers_within_the_handshake(timeout: float, handshake: float, url: str) -> str:
    """The callback must answer before the handshake times out."""
    if not url or timeout < handshake:
        return ""
    return (
        f"callback.timeout ({timeout:g} s) must be less than websocket.handshake_timeout "
        f"({handshake:g} s)"
    )
