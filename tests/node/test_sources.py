"""What brings pushes and the publications of other nodes, as the settings say."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock

from wampush.config.checks.redis import RedisUrl
from wampush.config.settings import Settings
from wampush.config.tables.backplane import BackplaneSettings
from wampush.config.tables.redis import RedisSourceSettings
from wampush.config.tables.topics import TopicSettings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.node.build import build


def node_of(**tables: Any) -> tuple[Any, Any]:
    """A node and its reactor."""
    reactor: Any = MemoryReactorClock()
    return build(Settings(zmq=ZmqSettings(pull=()), **tables), reactor, 10), reactor


def test_a_single_node_has_no_link() -> None:
    node, _ = node_of()
    assert node.backplane is None
    assert node.redis_bus is None
    assert node.inspection.status()["backplane"] is None
    assert node.redis.status() == []
    assert node.pull.connections == 0
    assert node.acknowledged_pushes.held == 0


def test_a_backplane_is_joined_over_redis_once_the_node_serves() -> None:
    topics = (TopicSettings("kept", last=True),)
    url = RedisUrl("127.0.0.1", 6380, database=3)
    node, reactor = node_of(backplane=BackplaneSettings(url, prefix="shop"), topics=topics)
    bus = node.redis_bus
    assert bus.status()["state"] == "new"
    assert node.backplane.problems() == [("redis://127.0.0.1:6380", "it is not connected yet")]
    assert bus._options.database == 3
    assert bus._options.keeps_history
    assert bus._options.max_message_bytes > 1_048_576
    assert node.backplane.status()["topics"] == 0
    node.backplane.start()
    ((host, port, *_),) = reactor.tcpClients
    assert (host, port) == ("127.0.0.1", 6380)
    assert node.inspection.status()["backplane"]["state"] == "connecting"
    node.backplane.stop()
    bus.stop()


def test_sources_are_those_of_the_settings() -> None:
    entry = RedisSourceSettings(url=RedisUrl("h"), channels=("a",))
    node, _ = node_of(redis_source=(entry,))
    assert [each["redis"] for each in node.redis.status()] == ["redis://h:6379"]
