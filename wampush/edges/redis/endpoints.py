"""Where a source connects to: a host, with or without TLS, a Unix socket, or the master that
sentinels name.

Owns: the choice. Must not import: the broker; the other edges.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.endpoints import UNIXClientEndpoint

from wampush.config.checks.redis import host_and_port
from wampush.config.tables.redis import RedisSourceSettings
from wampush.edges.redis.sentinel import Sentinel, SentinelEndpoint, Server
from wampush.edges.redis.tls import CONNECT_SECONDS, client_endpoint
from wampush.net import secret_files


def source_endpoint(entry: RedisSourceSettings, place: str, reactor: Any) -> Any:
    """Return the endpoint to connect to (``IStreamClientEndpoint``).

    :param entry: the settings of the source.
    :param place: the entry's name in the configuration, for errors.
    :param reactor: makes the connection.
    :raises OperatorError: a file cannot be used.
    """
    if entry.url.path:
        return UNIXClientEndpoint(reactor, entry.url.path, timeout=CONNECT_SECONDS)
    if entry.sentinels:
        return _sentinel_endpoint(entry, place, reactor)
    return client_endpoint(entry, place, reactor)


def _sentinel_endpoint(entry: RedisSourceSettings, place: str, reactor: Any) -> SentinelEndpoint:
    def endpoint_of(server: Server) -> Any:
        # Sentinels and servers of one installation all use TLS, or none of them does.
        url = replace(entry.url, host=server.host, port=server.port)
        return client_endpoint(replace(entry, url=url), place, reactor)

    servers = [Server(*host_and_port(each)) for each in entry.sentinels]
    file = entry.sentinel_password_file
    password = secret_files.password(file, f"{place}.sentinel_password_file") if file else b""
    return SentinelEndpoint(
        [Sentinel(server, endpoint_of(server)) for server in servers],
        entry.url.host,
        password,
        endpoint_of=endpoint_of,
        clock=reactor,
    )
