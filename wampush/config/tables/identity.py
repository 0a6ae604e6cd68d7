"""The tables ``[auth]``, ``[token]``, ``[callback]`` and ``[cra]``: authentication.

Owns: the sources of identities, and their order. Must not import: the other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from wampush.config.checks.check import OptionalText, number, whole
from wampush.config.checks.files import CraKeysFile, TokenKeyFile
from wampush.config.checks.names import HttpUrl, Name, OptionalName
from wampush.config.rules import rule
from wampush.config.setting import DAY, OptionalSeconds, Seconds, Some

Algorithm = Literal["HS256", "RS256", "ES256"]
AuthMethod = Literal["token", "callback", "cra", "anonymous"]


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """``[auth]``: which methods authenticate clients.

    :param order: The first method that finds its credentials in the handshake decides;
        ``anonymous`` admits clients without any, ``cra`` clients that log in afterwards.
    """

    order: Some[AuthMethod] = ("anonymous",)


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """``[token]``: JSON Web Tokens (RFC 7519) that the web application signs.

    :param algorithm: The only one accepted with ``key_file``; the header of a token never decides.
    :param key_file: The shared secret (HS256, 32 bytes or more) or the public key in PEM (RS256,
        ES256).
    :param jwks_file: Instead of ``key_file``: public keys as a JWK set (RFC 7517), selected by
        ``kid``.
    :param audience: Must be in the token's ``aud``; without it, tokens that have an ``aud`` are
        refused.
    :param issuer: Must be the token's ``iss``; without it, any is accepted.
    :param leeway: The tolerated difference of two clocks, for ``exp`` and ``nbf``.
    :param require_expiry: A token without ``exp`` never expires, even if it is stolen.
    :param query: Query parameter that holds the token: all that a page can add to a WebSocket.
    :param cookie: Cookie that holds the token; browsers send cookies by themselves.
    :param bearer: Whether ``Authorization: Bearer`` is read, for clients that are not browsers.
    """

    algorithm: Algorithm = "HS256"
    key_file: TokenKeyFile = ""
    jwks_file: TokenKeyFile = ""
    audience: OptionalText = ""
    issuer: OptionalText = ""
    leeway: OptionalSeconds = 30.0
    require_expiry: bool = True
    query: OptionalName = "token"
    cookie: OptionalName = ""
    bearer: bool = True


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """``[callback]``: the web application identifies clients.

    :param url: Each handshake is POSTed there as JSON; the log shows the URL when it fails.
    :param headers: Further headers of the handshake to pass on; cookies, origin and query always
        are.
    :param cookies: Cookies to pass on, such as ``PHPSESSID``; empty: all. Unrelated cookies spoil
        the cache.
    :param timeout: Includes waiting for a free slot; less than ``websocket.handshake_timeout``.
    :param at_once: A web application answers about as many in parallel; after a restart all clients
        come back at once.
    :param waiting: Clients that wait for a free slot; any more are refused at once.
    :param cache_seconds: Tabs of one user cause one request; a user who has logged out stays known
        for this long. 0: no cache.
    :param cache_entries: About 1 KiB each; the oldest is dropped first.
    """

    url: HttpUrl = ""
    headers: tuple[Name, ...] = ()
    cookies: tuple[Name, ...] = ()
    timeout: Seconds = 3.0
    at_once: Annotated[int, whole(1, 10_000, "requests")] = 32
    waiting: Annotated[int, whole(0, 1_000_000, "requests")] = 10_000
    cache_seconds: Annotated[float, number(0, DAY, "s")] = 10.0
    cache_entries: Annotated[int, whole(1, 10_000_000, "answers")] = 10_000


@dataclass(frozen=True, slots=True)
class CraSettings:
    """``[cra]``: challenge and response inside the session (WAMP-CRA).

    :param keys_file: TOML file with the keys; a separate file, because they are secret. Not needed
        if an app has them.
    :param timeout: From the challenge to its answer and, where no client is anonymous, for the
        whole login.
    """

    keys_file: CraKeysFile = ""
    timeout: Seconds = 10.0


@rule("token.jwks_file", "token.key_file")
def token_keys_come_from_one_file(jwks: str, key: str) -> Iterator[str]:
    """The two files with keys for tokens are alternatives."""
    if jwks and key:
        yield "token.jwks_file and token.key_file must not both be set"


@rule("token.key_file", "token.jwks_file", "auth.order")
def tokens_have_a_key(key: str, jwks: str, order: Sequence[str]) -> Iterator[str]:
    """``auth.order`` includes tokens exactly when there is a key."""
    name = "token.jwks_file" if jwks else "token.key_file"
    return _together("token", name, key or jwks, order, "token.key_file or token.jwks_file")


@rule("callback.url", "auth.order")
def the_callback_has_a_url(url: str, order: Sequence[str]) -> Iterator[str]:
    """``auth.order`` includes the callback exactly when it has a URL."""
    return _together("callback", "callback.url", url, order)


@rule("cra.keys_file", "auth.order", "apps")
def cra_has_keys(keys: str, order: Sequence[str], apps: Sequence[str]) -> Iterator[str]:
    """``auth.order`` includes WAMP-CRA exactly when there are keys, which apps may have, too."""
    if keys or not apps:
        yield from _together("cra", "cra.keys_file", keys, order)


def _together(
    method: str, name: str, value: str, order: Sequence[str], either: str | None = None
) -> Iterator[str]:
    if method in order and not value:
        yield f'{either or name} must be set, because auth.order includes "{method}"'
    if value and method not in order:
        yield f'auth.order must include "{method}", because {name} is set'


@rule("auth.order")
def methods_are_in_order(order: Sequence[str]) -> Iterator[str]:
    """Methods that open the session at once come last."""
    before = order[:-1] if order[-1] == "anonymous" else order
    if "anonymous" in before:
        yield 'auth.order must have "anonymous" last; the methods after it would never be used'
    elif "cra" in before[:-1]:
        yield (
            'auth.order must have "cra" last, or just before "anonymous"; it opens the session '
            "before the login"
        )
