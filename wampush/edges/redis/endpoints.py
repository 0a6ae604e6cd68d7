"""Where a source connects to: a host, with or without TLS, or a Unix socket.

Owns: the choice. Must not import: the broker; the other edges.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import UNIXClientEndpoint

from wampush.config.tables.redis import RedisSourceSettings
from wampush.edges.redis.tls import CONNECT_SECONDS, client_endpoint


def source_endpoint(entry: RedisSourceSettings, place: str, reactor: Any) -> Any:
    """Return the endpoint to connect to (``IStreamClientEndpoint``).

    :param entry: the settings of the source.
    :param place: the entry's name in the configuration, for errors.
    :param reactor: makes the connection.
    :raises OperatorError: a file cannot be used.
    """
    if entry.url.path:
        return UNIXClientEndpoint(reactor, entry.url.path, timeout=CONNECT_SECONDS)
    return client_endpoint(entry, place, reactor)
