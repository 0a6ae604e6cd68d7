"""Where a source connects to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock, StringTransport

from wampush.config.checks.redis import RedisUrl
from wampush.config.tables.redis import RedisSourceSettings
from wampush.errors import OperatorError
from wampush.net.redis.endpoints import redis_endpoint


def connected(url: RedisUrl) -> Any:
    """A reactor in which a source has tried to connect."""
    reactor: Any = MemoryReactorClock()
    entry = RedisSourceSettings(url=url, channels=("a",))
    redis_endpoint(entry, "redis_source[1]", reactor).connect(Factory())
    return reactor


def test_a_path_is_a_unix_socket() -> None:
    ((path, *_),) = connected(RedisUrl("", path="/run/redis.sock")).unixClients
    assert path == "/run/redis.sock"


def test_a_host_is_connected_to_over_tcp() -> None:
    ((host, port, *_),) = connected(RedisUrl("127.0.0.1", 6380)).tcpClients
    assert (host, port) == ("127.0.0.1", 6380)


def sentinel_entry(**more: Any) -> RedisSourceSettings:
    """A source with two sentinels."""
    sentinels = ("10.0.0.1", "10.0.0.2:7")
    url = RedisUrl("mymaster", **more.pop("url", {}))
    return RedisSourceSettings(url=url, channels=("a",), sentinels=sentinels, **more)


def test_sentinels_are_asked_first(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n", encoding="utf-8")
    password.chmod(0o600)
    reactor: Any = MemoryReactorClock()
    entry = sentinel_entry(sentinel_password_file=str(password))
    endpoint = redis_endpoint(entry, "redis_source[1]", reactor)
    endpoint.connect(Factory())
    # The resolver of this reactor knows one address only.
    ((_, port, factory, *_),) = reactor.tcpClients
    assert port == 26379
    protocol = factory.buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    assert b"AUTH\r\n$6\r\nsecret\r\n" in transport.value()
    protocol.dataReceived(b"+OK\r\n*2\r\n$8\r\n10.0.0.9\r\n$4\r\n6380\r\n")
    _, port, *_ = reactor.tcpClients[1]
    assert port == 6380
    assert endpoint.master == ("10.0.0.9", 6380)


def test_files_are_read_at_the_start() -> None:
    missing = {"sentinel_password_file": "/nowhere/password"}
    for more in (missing, {"url": {"tls": True}, "ca": "/nowhere/ca.pem"}):
        with pytest.raises(OperatorError, match=r"redis_source\[1\]\..*/nowhere"):
            redis_endpoint(sentinel_entry(**more), "redis_source[1]", MemoryReactorClock())
