"""Nodes in one process that share a store in memory, with time that a test moves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from tests.broker.world import Client, FakeClock, World
from wampush.broker.backplane.contract import TOPIC_CHANNEL
from wampush.broker.backplane.interest import Interest
from wampush.broker.backplane.memory_bus import MemoryBus, MemoryLink
from wampush.broker.backplane.node_message import decoded
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.broker.mirrors.announcements import Announcements
from wampush.broker.mirrors.contract import Entry, NotCarriedOut, Stored
from wampush.broker.mirrors.memory_store import MemoryStore, MemoryStoreLink
from wampush.broker.mirrors.mirror import Arrival
from wampush.broker.mirrors.mirrors import Mirrors
from wampush.broker.publication import EVERYONE, Audience, Publication
from wampush.clock import Clock
from wampush.errors import PublicationRefused

RULES: Sequence[tuple[str, HistoryRule | None]] = (
    ("log", HistoryRule(events=5)),
    ("long*", HistoryRule(events=1000)),
    ("state", HistoryRule(last=True, events=1)),
    ("table", HistoryRule(last_by="id", tombstone="gone", version_by="rev", events=5)),
    ("rows", HistoryRule(last_by="id")),
    ("news", HistoryRule(events=5, replay=2)),
    ("plain*", None),
)


class SharedWorld:
    """Several nodes, the bus and the store that join them."""

    def __init__(self, rules: Sequence[tuple[str, HistoryRule | None]] = RULES) -> None:
        self.rules = rules
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock.call_later, 0.001)
        self.store = MemoryStore(
            self.bus, HistoryRules(rules), lambda: self.clock.now, self.clock.call_later
        )
        self.nodes: list[Node] = []

    def node(self) -> Node:
        node = Node(self, f"node{len(self.nodes)}")
        self.nodes.append(node)
        return node

    def settle(self, seconds: float = 0.05) -> None:
        """Let everything that is on its way arrive."""
        steps = round(seconds / 0.001)
        for _ in range(steps):
            self.clock.advance(0.001)
            for node in self.nodes:
                node.world.end_turn()


class Node:
    """One node, as the bus sees it (``BusListener``)."""

    def __init__(self, shared: SharedWorld, name: str) -> None:
        self.shared = shared
        self.link: MemoryLink = shared.bus.link()
        self.store: MemoryStoreLink = shared.store.link(name, self.link)
        self.clock = Clock(lambda: shared.clock.now, shared.clock.call_later)
        self.interest = Interest(self.link, self.clock)
        self.number = 0
        self.outcomes: list[Stored | PublicationRefused | NotCarriedOut | None] = []
        self.world = World(history=shared.rules, clock=shared.clock, mirrors=partial(self._mirrors))
        assert self.world.mirrors is not None
        self.mirrors: Mirrors = self.world.mirrors
        #: Messages that do not arrive are dropped by this.
        self.is_deaf = False
        self.link.start(self)
        shared.settle()

    def _mirrors(self, world: World) -> Mirrors:
        return Mirrors(
            self.store,
            self.interest,
            history=world.history,
            router=world.router,
            announcements=Announcements(world.replays, world.gaps, world.ledger),
            ledger=world.ledger,
            clock=self.clock,
        )

    # For the bus.

    def on_message(self, channel: str, message: bytes) -> None:
        if self.is_deaf:
            return
        found = decoded(message, 1_000_000)
        topic = channel.removeprefix(TOPIC_CHANNEL)
        if found.position is None or found.time is None:
            return
        publication = Publication(topic, found.payload, found.audience, found.position)
        self.mirrors.on_arrival(Arrival(publication, found.position, found.time, found.run))

    def on_followed(self, channels: Collection[str]) -> None:
        self.interest.on_followed(channels)

    def on_joined(self) -> None:
        pass

    def on_left(self, problem: str) -> None:
        self.interest.on_left()
        self.mirrors.on_left(problem)

    # For tests.

    def publish(self, topic: str, *payloads: bytes, audience: Audience = EVERYONE) -> None:
        for payload in payloads:
            self.number += 1
            entry = Entry(self.number, Publication(topic, payload, audience))
            self.store.publish(entry, self.outcomes.append)
        self.shared.settle(0.01)

    def client(self, *topics: str) -> Client:
        client = self.world.client(wire_format="positions", limit=100_000)
        self.subscribe(client, *topics)
        return client

    def subscribe(self, client: Client, *topics: str) -> None:
        for topic in topics:
            self.world.says(client, f'[5,"{topic}"]')
        self.shared.settle(0.01)


def events(client: Client, topic: str) -> list[tuple[int, bytes]]:
    """Offset and payload of the events that a client has got of a topic."""
    found = []
    head = b'[8,"%b",' % topic.encode()
    for text in client.texts:
        if text.startswith(head):
            payload, _, rest = text[len(head) : -1].rpartition(b',"')
            found.append((int(rest.rpartition(b",")[2]), payload))
    return found
