"""Where a source connects to."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from wampush.config.checks.redis import RedisUrl
from wampush.config.tables.redis import RedisSourceSettings
from wampush.edges.redis.endpoints import source_endpoint


def connected(url: RedisUrl) -> Any:
    """A reactor in which a source has tried to connect."""
    reactor: Any = MemoryReactorClock()
    entry = RedisSourceSettings(url=url, channels=("a",))
    source_endpoint(entry, "redis_source[1]", reactor).connect(Factory())
    return reactor


def test_a_path_is_a_unix_socket() -> None:
    ((path, *_),) = connected(RedisUrl("", path="/run/redis.sock")).unixClients
    assert path == "/run/redis.sock"


def test_a_host_is_connected_to_over_tcp() -> None:
    ((host, port, *_),) = connected(RedisUrl("127.0.0.1", 6380)).tcpClients
    assert (host, port) == ("127.0.0.1", 6380)
