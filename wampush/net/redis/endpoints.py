"""Where a connection leads: to a host, with or without TLS, a Unix socket, or the master
that sentinels name.

Owns: the choice. Must not import: the broker, the edges.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.endpoints import UNIXClientEndpoint

from wampush.config.checks.redis import host_and_port
from wampush.config.checks.redis_access import RedisAccess
from wampush.net import secret_files
from wampush.net.redis.sentinel import Sentinel, SentinelEndpoint, Server
from wampush.net.redis.tls import CONNECT_SECONDS, client_endpoint


def redis_endpoint(access: RedisAccess, place: str, reactor: Any) -> Any:
    """Return the endpoint to connect to (``IStreamClientEndpoint``).

    :param access: the settings of the server.
    :param place: the name of the settings in the configuration, for errors.
    :param reactor: makes the connection.
    :raises OperatorError: a file cannot be used.
    """
    if access.url.path:
        return UNIXClientEndpoint(reactor, access.url.path, timeout=CONNECT_SECONDS)
    if access.sentinels:
        return _sentinel_endpoint(access, place, reactor)
    return client_endpoint(access, access.url, place, reactor)


def _sentinel_endpoint(access: RedisAccess, place: str, reactor: Any) -> SentinelEndpoint:
    def endpoint_of(server: Server) -> Any:
        # Sentinels and servers of one installation all use TLS, or none of them does.
        url = replace(access.url, host=server.host, port=server.port)
        return client_endpoint(access, url, place, reactor)

    servers = [Server(*host_and_port(each)) for each in access.sentinels]
    file = access.sentinel_password_file
    password = secret_files.password(file, f"{place}.sentinel_password_file") if file else b""
    return SentinelEndpoint(
        [Sentinel(server, endpoint_of(server)) for server in servers],
        access.url.host,
        password,
        endpoint_of=endpoint_of,
        clock=reactor,
    )
