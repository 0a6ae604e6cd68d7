"""The files pass of ``wampush check``: reads the files that the configuration names.

Owns: the reader for each kind of file, and the checks of files that belong together.
Must not import: the reactor, the composition root; imports that take long are made when a file is
to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, partial
from operator import attrgetter
from typing import TYPE_CHECKING

from wampush.config.checks.endpoints import parts_of
from wampush.config.checks.files import FileKind
from wampush.config.settings import FIELDS, LIST_FIELDS
from wampush.errors import OperatorError

if TYPE_CHECKING:
    from wampush.config.checks.redis_access import RedisAccess
    from wampush.config.settings import Settings

    #: Takes the key and the path that it names; raises OperatorError for an unusable file.
    Reader = Callable[[str, str, Settings], object]


def problems(settings: Settings) -> Iterator[str]:
    """Yield one line for each problem that the daemon would have with the files.

    No line repeats anything of a file.
    """
    unusable: set[str] = set()
    for key, kind, path in _named_files(settings):
        for line in _failure(partial(_readers()[kind], key, path, settings)):
            unusable.add(key)
            yield line
    for check in (_tls, _endpoints, _curve, _redis):
        yield from check(settings, unusable)


def notes(settings: Settings) -> Iterator[str]:
    """Yield one line for each table that is filled in and has no effect; the server starts."""
    endpoints = [endpoint for _, endpoint in _listeners(settings)]
    if not any(endpoint.startswith("ssl:") for endpoint in endpoints) and (
        settings.tls.certificate or settings.tls.key
    ):
        yield (
            "note: [tls] is filled in, but no listener uses it; listen on an ssl: endpoint such "
            "as ssl:8443"
        )


def _named_files(settings: Settings) -> Iterator[tuple[str, FileKind, str]]:
    """Yield the settings that name a file, with its kind and path."""
    for key, each in FIELDS.items():
        path = attrgetter(key)(settings)
        if each.file is not None and path:
            yield key, each.file, path
    for table, known in LIST_FIELDS.items():
        for number, entry in enumerate(getattr(settings, table), 1):
            for name, each in known.items():
                if each.file is not None and getattr(entry, name):
                    yield f"{table}[{number}].{name}", each.file, getattr(entry, name)


@cache
def _readers() -> Mapping[FileKind, Reader]:
    from wampush.edges.auth import cra_key_file, token_keys
    from wampush.edges.storage import sqlite_database
    from wampush.edges.zeromq.keys import read_public_keys, read_secret_key
    from wampush.net import pem_files, secret_files

    return {
        FileKind.CERTIFICATES: lambda key, path, _: pem_files.certificates(key, path),
        FileKind.PRIVATE_KEY: lambda key, path, _: pem_files.private_key(key, path),
        FileKind.TOKEN_KEY: lambda _key, _path, settings: token_keys.load(settings.token),
        FileKind.CRA_KEYS: lambda _key, path, _: cra_key_file.load(path),
        FileKind.HTTP_TOKEN: lambda _key, path, _: secret_files.http_token(path),
        FileKind.WEBHOOK_SECRET: lambda _key, path, _: secret_files.webhook_secret(path),
        FileKind.PASSWORD: lambda key, path, _: secret_files.password(path, key),
        FileKind.CURVE_SECRET_KEY: lambda key, path, _: read_secret_key(key, path),
        FileKind.CURVE_CLIENT_KEYS: lambda key, path, _: read_public_keys(key, path),
        FileKind.DATABASE: lambda _key, path, _: sqlite_database.check_file(path),
    }


def _failure(read: Callable[[], object]) -> Iterator[str]:
    try:
        read()
    except OperatorError as error:
        yield str(error)


def _listeners(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the endpoints, with the setting that names each."""
    for endpoint in settings.websocket.listen:
        yield f"websocket.listen {endpoint!r}", endpoint
    yield f"http.listen {settings.http.listen!r}", settings.http.listen


def _tls(settings: Settings, unusable: Collection[str]) -> Iterator[str]:
    """Check that the files of ``[tls]`` belong together, if a listener uses them."""
    endpoints = [endpoint for _, endpoint in _listeners(settings) if endpoint.startswith("ssl:")]
    if not endpoints or any(key.startswith("tls.") for key in unusable):
        return
    from wampush.net import tls

    if any(map(tls.uses_tls_table, endpoints)):
        yield from _failure(partial(tls.make_context, settings.tls))


def _endpoints(settings: Settings, _: Collection[str]) -> Iterator[str]:
    """Read the keys that ``ssl:`` endpoints name themselves."""
    for place, endpoint in _listeners(settings):
        parts = parts_of(endpoint.removeprefix("haproxy:"))
        if parts.kind != "ssl" or "privateKey" not in parts.named:
            continue
        key = parts.named["privateKey"]
        read = _readers()[FileKind.PRIVATE_KEY]
        yield from _failure(partial(read, f"{place}: privateKey", key, settings))
        read = _readers()[FileKind.CERTIFICATES]
        for name in ("certKey", "extraCertChain"):
            path = parts.named.get(name, key if name == "certKey" else "")
            if path:
                yield from _failure(partial(read, f"{place}: {name}", path, settings))


def _curve(settings: Settings, _: Collection[str]) -> Iterator[str]:
    """Check that both files of CURVE are named, or neither."""
    secret, clients = settings.zmq.curve_secret_key_file, settings.zmq.curve_client_keys
    if bool(secret) != bool(clients):
        from wampush.edges.zeromq.keys import check_key_pair

        yield from _failure(partial(check_key_pair, secret, clients))


def _redis(settings: Settings, unusable: Collection[str]) -> Iterator[str]:
    """Check that the files of each Redis server belong together."""
    servers: dict[str, RedisAccess] = {
        f"redis_source[{number}]": entry for number, entry in enumerate(settings.redis_source, 1)
    }
    servers["backplane"] = settings.backplane
    for place, access in servers.items():
        pem = {f"{place}.{name}" for name in ("ca", "certificate", "key")}
        if access.url.tls and not pem.intersection(unusable):
            from wampush.net.redis.tls import client_tls_options

            yield from _failure(partial(client_tls_options, access, access.url.host, place))
