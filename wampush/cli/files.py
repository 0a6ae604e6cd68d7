"""Reads for ``wampush check`` the files that the configuration names, as the daemon would.

Owns: which reader goes with which setting. Must not import: the reactor, the composition root; what
takes long to import is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from wampush.config.checks.common import FilePath
from wampush.config.checks.endpoints import parts_of
from wampush.config.sources import FIELDS
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from wampush.config.settings import Settings


def problems(settings: Settings) -> Iterator[str]:
    """What is wrong with the files, one line for each; nothing when the daemon could use them all.

    No line repeats anything of a file.
    """
    for check in (_tls, _endpoints, _curve, _tokens, _cra, _http, _webhooks, _redis, _others):
        yield from check(settings)


def _failure(read: Callable[[], object]) -> Iterator[str]:
    try:
        read()
    except OperatorError as error:
        yield str(error)


def _tls(settings: Settings) -> Iterator[str]:
    from wampush.net import pem_files

    found: list[str] = []
    for name in ("certificate", "chain", "client_ca", "key"):
        path = getattr(settings.tls, name)
        read = pem_files.private_key if name == "key" else pem_files.certificates
        if path:
            found += _failure(partial(read, f"tls.{name}", path))
    yield from found
    if not found and any(endpoint.startswith("ssl:") for _, endpoint in _listeners(settings)):
        from wampush.net import tls

        if any(tls.uses_settings(endpoint) for _, endpoint in _listeners(settings)):
            yield from _failure(partial(tls.make_context, settings.tls))


def _listeners(settings: Settings) -> Iterator[tuple[str, str]]:
    """The endpoints, with the setting that names each."""
    for endpoint in settings.websocket.listen:
        yield f"websocket.listen {endpoint!r}", endpoint
    yield f"http.listen {settings.http.listen!r}", settings.http.listen


def _endpoints(settings: Settings) -> Iterator[str]:
    """The keys that ssl: endpoints name themselves."""
    from wampush.net import pem_files

    for place, endpoint in _listeners(settings):
        parts = parts_of(endpoint.removeprefix("haproxy:"))
        if parts.kind != "ssl" or "privateKey" not in parts.named:
            continue
        key = parts.named["privateKey"]
        yield from _failure(partial(pem_files.private_key, f"{place}: privateKey", key))
        for name in ("certKey", "extraCertChain"):
            path = parts.named.get(name, key if name == "certKey" else "")
            if path:
                yield from _failure(partial(pem_files.certificates, f"{place}: {name}", path))


def _curve(settings: Settings) -> Iterator[str]:
    secret, clients = settings.zmq.curve_secret_key_file, settings.zmq.curve_client_keys
    if not (secret or clients):
        return
    from wampush.edges.zeromq.keys import (
        CLIENTS_SETTING,
        KEY_SETTING,
        check_key_pair,
        read_public_keys,
        read_secret_key,
    )

    yield from _failure(partial(check_key_pair, secret, clients))
    if secret:
        yield from _failure(partial(read_secret_key, KEY_SETTING, secret))
    if clients:
        yield from _failure(partial(read_public_keys, CLIENTS_SETTING, clients))


def _tokens(settings: Settings) -> Iterator[str]:
    if settings.token.key_file or settings.token.jwks_file:
        from wampush.edges.auth import token_keys

        yield from _failure(partial(token_keys.load, settings.token))


def _cra(settings: Settings) -> Iterator[str]:
    if settings.cra.keys_file:
        from wampush.edges.auth import cra_keys

        yield from _failure(partial(cra_keys.load, settings.cra.keys_file))


def _http(settings: Settings) -> Iterator[str]:
    from wampush.net import secret_files

    yield from _failure(partial(secret_files.http_token, settings.http.token_file))


def _webhooks(settings: Settings) -> Iterator[str]:
    if settings.webhooks.secret_file:
        from wampush.net import secret_files

        yield from _failure(partial(secret_files.webhook_secret, settings.webhooks.secret_file))


def _redis(settings: Settings) -> Iterator[str]:
    from wampush.net import pem_files, secret_files

    for number, entry in enumerate(settings.redis_source, 1):
        place = f"redis_source[{number}]"
        readers: dict[str, Callable[[str, str], object]] = {
            "ca": pem_files.certificates,
            "certificate": pem_files.certificates,
            "key": pem_files.private_key,
        }
        if entry.password_file:
            name = f"{place}.password_file"
            yield from _failure(partial(secret_files.password, entry.password_file, name))
        found: list[str] = []
        for name, read in readers.items():
            if path := getattr(entry, name):
                found += _failure(partial(read, f"{place}.{name}", path))
        yield from found
        if entry.url.tls and not found:
            from wampush.edges.redis import tls as redis_tls

            yield from _failure(partial(redis_tls.options, entry, place))


_READ_ABOVE = frozenset(("tls", "zmq", "token", "cra", "http", "webhooks"))


def _others(settings: Settings) -> Iterator[str]:
    """Files of which nothing is known here but that they must be readable."""
    from wampush.net import secret_files

    for key, each in FIELDS.items():
        section, _, name = key.partition(".")
        if section in _READ_ABOVE or not isinstance(each.metadata["checker"], FilePath):
            continue
        path: Any = getattr(getattr(settings, section), name)
        if path:
            yield from _failure(partial(secret_files.read, path, key))
