"""The settings about who clients are.

Owns: the tables ``[auth]``, ``[token]``, ``[callback]`` and ``[cra]``, and what fits together in
them; ``settings`` joins them to the others.
Must not import: Twisted, Autobahn, or anything of wampush but the checkers and
``settings.security``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from wampush.config.checks.common import Choice, FilePath, Flag, ListOf, Number, WholeNumber
from wampush.config.checks.identity import HttpUrl, Name, TextOrNone
from wampush.config.setting import about

Algorithm = Literal["HS256", "RS256", "ES256"]

SOURCES = ("token", "callback", "cra", "anonymous")


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """``[auth]``: how it is found out who a client is."""

    order: tuple[str, ...] = field(
        default=("anonymous",),
        metadata=about(
            "",
            "The first that finds its proof in the handshake decides; `anonymous` lets in who has "
            "none, `cra` who proves it afterwards.",
            ListOf(Choice(SOURCES), at_least=1),
        ),
    )


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """``[token]``: JSON Web Tokens (RFC 7519) that the web application signs. Times in seconds."""

    algorithm: Algorithm = field(
        default="HS256",
        metadata=about(
            "",
            "The only one accepted with `key_file`; what a token says of itself never decides.",
            Choice(("HS256", "RS256", "ES256")),
        ),
    )
    key_file: str = field(
        default="",
        metadata=about(
            "",
            "The shared secret (HS256, 32 bytes or more) or the public key in PEM (RS256, ES256).",
            FilePath(),
        ),
    )
    jwks_file: str = field(
        default="",
        metadata=about(
            "",
            "Instead of `key_file`: public keys as a JWK set (RFC 7517), chosen by `kid`.",
            FilePath(),
        ),
    )
    audience: str = field(
        default="",
        metadata=about(
            "",
            "Must be in the token's `aud`; without it, tokens that have an `aud` are refused.",
            TextOrNone(),
        ),
    )
    issuer: str = field(
        default="",
        metadata=about("", "Must be the token's `iss`; without it, any is right.", TextOrNone()),
    )
    leeway: float = field(
        default=30.0,
        metadata=about(
            "s",
            "What the clocks of two machines may differ, for `exp` and `nbf`.",
            Number(0, 3600),
        ),
    )
    require_expiry: bool = field(
        default=True,
        metadata=about(
            "", "A token without `exp` would be good for ever, also when it is stolen.", Flag()
        ),
    )
    query: str = field(
        default="token",
        metadata=about(
            "",
            "Query parameter that holds the token: all that a page can add to a WebSocket.",
            Name(or_none=True),
        ),
    )
    cookie: str = field(
        default="",
        metadata=about(
            "",
            "Cookie that holds the token; browsers send it along by themselves.",
            Name(or_none=True),
        ),
    )
    bearer: bool = field(
        default=True,
        metadata=about(
            "", "Whether `Authorization: Bearer` is read, for clients that are no browser.", Flag()
        ),
    )


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """``[callback]``: the web application says who it is. Times in seconds."""

    url: str = field(
        default="",
        metadata=about(
            "",
            "Where each handshake is POSTed as JSON; the log shows it when it fails.",
            HttpUrl(),
        ),
    )
    headers: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "",
            "Further headers of the handshake to pass on; cookies, origin and query always are.",
            ListOf(Name()),
        ),
    )
    cookies: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "",
            "Cookies to pass on, such as `PHPSESSID`; empty: all. Others would spoil the cache.",
            ListOf(Name()),
        ),
    )
    timeout: float = field(
        default=3.0,
        metadata=about(
            "s",
            "Waiting for a free place included; less than `websocket.handshake_timeout`.",
            Number(0.01, 3600),
        ),
    )
    at_once: int = field(
        default=32,
        metadata=about(
            "requests",
            "What a web application answers side by side; after a restart all clients come back.",
            WholeNumber(1, 10_000),
        ),
    )
    waiting: int = field(
        default=10_000,
        metadata=about(
            "requests",
            "Who waits for a free place beyond that is refused at once.",
            WholeNumber(0, 1_000_000),
        ),
    )
    cache_seconds: float = field(
        default=10.0,
        metadata=about(
            "s",
            "Tabs of one user ask once; who has logged out stays known for so long. 0: no cache.",
            Number(0, 86_400),
        ),
    )
    cache_entries: int = field(
        default=10_000,
        metadata=about(
            "answers",
            "About 1 KiB each; the oldest is forgotten first.",
            WholeNumber(1, 10_000_000),
        ),
    )


@dataclass(frozen=True, slots=True)
class CraSettings:
    """``[cra]``: challenge and response inside the session (WAMP-CRA). Times in seconds."""

    keys_file: str = field(
        default="",
        metadata=about(
            "",
            "TOML file with the keys; apart, because they are secret. Not needed where an app has "
            "them.",
            FilePath(),
        ),
    )
    timeout: float = field(
        default=10.0,
        metadata=about(
            "s",
            "From the challenge to its answer, and where nobody is anonymous, for the whole login.",
            Number(0.01, 3600),
        ),
    )


def conflicts(
    auth: AuthSettings,
    token: TokenSettings,
    callback: CallbackSettings,
    cra: CraSettings,
    handshake_timeout: float,
    has_apps: bool = False,
) -> Iterator[tuple[str, object, str]]:
    """What does not fit together: a key, its value, and what would be right.

    :param has_apps: whether there are apps, one of which may have the keys of WAMP-CRA.
    """
    key = token.key_file or token.jwks_file
    if token.key_file and token.jwks_file:
        yield "token.jwks_file", token.jwks_file, "must be empty where token.key_file is set"
    needed = (
        ("token", "token.key_file", key, "or token.jwks_file "),
        ("callback", "callback.url", callback.url, ""),
        ("cra", "cra.keys_file", cra.keys_file, ""),
    )
    for word, name, value, otherwise in needed:
        elsewhere = word == "cra" and has_apps
        if word in auth.order and not (value or elsewhere):
            yield name, value, f'{otherwise}must be set, because auth.order names "{word}"'
        if value and word not in auth.order:
            yield (
                "auth.order",
                list(auth.order),
                f'must name "{word}", because {name} {otherwise}is set',
            )
    last = auth.order[-1]
    before = auth.order[:-1] if last == "anonymous" else auth.order
    if "anonymous" in before:
        expected = 'must have "anonymous" last; what follows it is never reached'
        yield "auth.order", list(auth.order), expected
    elif "cra" in before[:-1]:
        expected = 'must have "cra" last, or just before "anonymous"; it opens the session at once'
        yield "auth.order", list(auth.order), expected
    if callback.url and callback.timeout >= handshake_timeout:
        expected = f"must be less than websocket.handshake_timeout ({handshake_timeout:g} s)"
        yield "callback.timeout", callback.timeout, expected
