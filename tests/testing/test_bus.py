"""Servers in memory that are joined."""

from __future__ import annotations

from wampush.testing import InMemoryBus, InMemoryServer


def test_what_is_pushed_at_one_server_reaches_the_clients_of_another() -> None:
    bus = InMemoryBus()
    with InMemoryServer(bus=bus) as first, InMemoryServer(bus=bus) as second:
        assert first.clock is second.clock is bus.clock
        near, far = first.connect(), second.connect()
        near.subscribe("news")
        far.subscribe("news")
        assert first.push("news", 1) == 1
        assert [each.data for each in near.events + far.events] == [1, 1]
        bus.cut()
        second.push("news", 2)
        assert [each.data for each in near.events] == [1]
        assert [each.data for each in far.events] == [1, 2]
        bus.restore()
        first.settle()
        first.push("news", 3)
        assert [each.data for each in far.events] == [1, 2, 3]


def test_messages_take_the_time_of_the_bus() -> None:
    bus = InMemoryBus(delay=1.0)
    with InMemoryServer(bus=bus) as first, InMemoryServer(bus=bus) as second:
        first.advance(1.0)
        client = second.connect()
        client.subscribe("news")
        second.advance(1.0)
        client.publish("news", "hello")
        first.connect().subscribe("news")
        assert client.events == []
