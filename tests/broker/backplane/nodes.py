"""Several brokers that a bus in memory joins, with clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wampush.broker.backplane.contract import Accepted
from wampush.broker.backplane.memory_bus import MemoryLink
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.errors import PublicationRefused
from wampush.node.backplane import NodeBackplane
from wampush.node.core import Core
from wampush.testing import InMemoryBus, InMemoryClient, InMemoryServer

OPEN = {"clients.publish": "always"}


class Node(InMemoryServer):
    """A server in memory, with its parts."""

    def __init__(self, bus: InMemoryBus, settings: Mapping[str, object] = OPEN) -> None:
        super().__init__(settings=settings, bus=bus)
        self.outcomes: list[int | Accepted | PublicationRefused] = []

    @property
    def core(self) -> Core:
        return self._core

    @property
    def backplane(self) -> NodeBackplane:
        assert self._core.backplane is not None
        return self._core.backplane

    @property
    def link(self) -> MemoryLink:
        link = self.backplane.bus
        assert isinstance(link, MemoryLink)
        return link

    def accept(self, topic: str, payload: bytes = b"1", **more: Any) -> None:
        """Take a push, without waiting for what becomes of it."""
        publication = Publication(topic, payload, **more)
        assert self._core.broker.push(Source.HTTP, publication, self.outcomes.append) is None


class World:
    """Nodes that a bus joins.

    :param count: how many.
    :param delay: seconds for one way to or from the bus.
    """

    def __init__(self, count: int = 2, delay: float = 0.001) -> None:
        self.bus = InMemoryBus(delay)
        self.nodes = [Node(self.bus) for _ in range(count)]
        self.settle()

    def settle(self) -> None:
        """Let everything arrive that is on its way."""
        for _ in range(8):
            self.bus.clock.advance(self.bus.delay)

    def client(self, node: int, *topics: str, **more: Any) -> InMemoryClient:
        """A client of a node, with topics that the node follows."""
        client = self.nodes[node].connect(**more)
        for topic in topics:
            client.subscribe(topic)
        self.settle()
        return client


def data(client: InMemoryClient) -> list[Any]:
    """What a client has received since the last time."""
    return [each.data for each in client.take_events()]
