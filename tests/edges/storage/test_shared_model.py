"""Nodes that share a store, against a plain model: what each subscriber gets, whatever happens.

Runs on each variant of the store. Publications come from several nodes, messages get lost, links
are cut, the store is emptied and goes back in time; sessions come, go, and return to other nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.broker.mirrors.mirror_world import Node, SharedWorld
from tests.broker.world import Client
from tests.edges.storage.shared_store import RedisStore
from tests.support.redis_server import RedisServer, running_redis
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.broker.mirrors.contract import Entry
from wampush.broker.publication import Position, Publication
from wampush.wamp.uris import PROCEDURE_SUBSCRIBE

KEPT = 6
TOPICS = ("log", "state", "table")
RULES: list[tuple[str, HistoryRule | None]] = [
    ("log", HistoryRule(events=KEPT)),
    ("state", HistoryRule(last=True, events=1)),
    ("table", HistoryRule(last_by="id", events=KEPT, version_by="rev")),
]
NODES = 2


@dataclass
class Session:
    """A client that sees positions, and what it knows."""

    client: Client
    node: int
    topic: str
    #: Payloads in the order in which they came.
    got: list[int] = field(default_factory=list)
    read: int = 0
    #: The newest position that it knows.
    since: dict[str, object] = field(default_factory=dict)

    @property
    def has_gap(self) -> bool:
        """Whether it has learned that events are missing."""
        answers = [orjson.loads(text) for text in self.client.texts if text.startswith(b"[3,")]
        is_told = any(not answer[2]["recovered"] for answer in answers)
        return is_told or bool(self.client.peer.gaps)


class _Model(RuleBasedStateMachine):
    """No subscriber misses an event without notice, or gets one in the wrong order."""

    server: ClassVar[RedisServer | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.shared = SharedWorld(RULES)
        self.redis: RedisStore | None = None
        if self.server is not None:
            shared: Any = self.shared
            self.redis = RedisStore(
                self.server, self.shared.bus, HistoryRules(RULES), self.shared.clock.call_later
            )
            shared.store = self.redis
        self.nodes: list[Node] = [self.shared.node() for _ in range(NODES)]
        self.number = 0
        #: What was published, in the order of the store.
        self.published: dict[str, list[int]] = {topic: [] for topic in TOPICS}
        self.sessions: list[Session] = []
        self.copy: Any = None
        self.published_then: dict[str, list[int]] = {}
        #: Comparisons that could have failed.
        self.compared = 0
        for node in range(NODES):
            for topic in TOPICS:
                self.subscribe(node, topic)

    def teardown(self) -> None:
        self.settle_and_compare()
        if self.redis is not None:
            self.redis.close()

    # What happens.

    @rule(topic=st.sampled_from(["log", *TOPICS]), count=st.integers(1, 3))
    def publish_some(self, topic: str, count: int) -> None:
        self.publish(count % NODES, topic, count)

    @rule(topic=st.sampled_from(TOPICS))
    def publish_many(self, topic: str) -> None:
        """More than the topic keeps."""
        self.publish(0, topic, KEPT + 3)

    @rule(count=st.integers(1, KEPT - 1), is_cut=st.booleans(), node=st.integers(0, NODES - 1))
    def publish_unheard(self, count: int, is_cut: bool, node: int) -> None:
        """A node gets nothing of some events that it can read later."""
        if is_cut:
            self.cut(node)
        else:
            self.deafen(node)
        self.publish(node, "log", count)
        self.hear()
        self.join()

    def publish(self, node: int, topic: str, count: int) -> None:
        for _ in range(count):
            self.number += 1
            payload = orjson.dumps({"id": self.number % 3, "rev": self.number, "n": self.number})
            entry = Entry(self.number, Publication(topic, payload))
            self.shared.store.publish(f"publisher{node}", entry)
            self.published[topic].append(self.number)
        self.shared.settle(0.005)

    @rule(number=st.integers(1, 50), topic=st.sampled_from(["table"]))
    def publish_something_stale(self, number: int, topic: str) -> None:
        payload = orjson.dumps({"id": number % 3, "rev": 0, "n": -1})
        if any(each % 3 == number % 3 for each in self.published[topic]):
            self.number += 1
            outcome = self.shared.store.publish(
                "stale", Entry(self.number, Publication(topic, payload))
            )
            assert not hasattr(outcome, "places")

    @rule(node=st.integers(0, NODES - 1))
    def deafen(self, node: int) -> None:
        self.nodes[node].is_deaf = True

    @rule()
    def hear(self) -> None:
        for node in self.nodes:
            node.is_deaf = False

    @rule(node=st.integers(0, NODES - 1))
    def cut(self, node: int) -> None:
        self.nodes[node].link.cut("a test")

    @rule()
    def join(self) -> None:
        for node in self.nodes:
            node.link.restore()
        self.shared.settle(0.02)

    @rule(node=st.integers(0, NODES - 1), topic=st.sampled_from(TOPICS))
    def subscribe(self, node: int, topic: str) -> None:
        client = self.nodes[node].client(topic)
        self.sessions.append(Session(client, node, topic))

    @precondition(lambda self: self.sessions)
    @rule(index=st.integers(0, 20), node=st.integers(0, NODES - 1))
    def return_elsewhere(self, index: int, node: int) -> None:
        """A session ends, and its client goes on at another node where it was."""
        session = self.sessions.pop(index % len(self.sessions))
        self.look(session)
        world = self.nodes[session.node].world
        world.clients.on_lost(session.client.subscriber)
        if not session.since or session.has_gap:
            return
        client = self.nodes[node].world.client(wire_format="positions", limit=1_000_000)
        options = {"since": session.since}
        call = orjson.dumps([2, "c", PROCEDURE_SUBSCRIBE, session.topic, options])
        self.nodes[node].world.says(client, call)
        again = Session(client, node, session.topic, list(session.got), 0, session.since)
        self.sessions.append(again)
        self.shared.settle(0.02)

    @rule()
    def remember(self) -> None:
        self.copy = self.shared.store.remember()
        self.published_then = {topic: list(each) for topic, each in self.published.items()}

    @precondition(lambda self: self.copy is not None)
    @rule(chance=st.integers(0, 2))
    def fail_over(self, chance: int) -> None:
        """Another server takes over, which has what was stored when it was remembered."""
        if chance:
            return
        self.shared.bus.cut()
        self.shared.store.go_back(self.copy)
        self.published = {topic: list(each) for topic, each in self.published_then.items()}
        self.shared.bus.restore()
        self.shared.settle(0.02)

    @rule(chance=st.integers(0, 3))
    def empty(self, chance: int) -> None:
        if chance:
            return
        self.shared.bus.cut()
        self.shared.store.empty()
        self.published = {topic: [] for topic in TOPICS}
        self.copy = None
        self.shared.bus.restore()
        self.shared.settle(0.02)

    @rule()
    def check_tops(self) -> None:
        for node in self.nodes:
            topics = node.mirrors.topics
            node.mirrors.check(list(zip(topics, self.shared.store.tops(topics), strict=True)))
        self.shared.settle(0.02)

    # What must be so.

    def look(self, session: Session) -> None:
        """Read what has come since the last look, and check it."""
        head = b'[8,"%b",' % session.topic.encode()
        texts = [text for text in session.client.texts if text.startswith(head)]
        for text in texts[session.read :]:
            _, _, data, epoch, offset = orjson.loads(text)
            session.got.append(data["n"])
            session.since = {"epoch": epoch, "offset": offset}
        session.read = len(texts)
        assert not session.client.peer.ends

    @invariant()
    def nothing_comes_twice_or_in_the_wrong_order_unless_a_gap_was_announced(self) -> None:
        for session in self.sessions:
            self.look(session)
            if session.has_gap or session.topic != "log":
                # The present values come again.
                continue
            assert session.got == sorted(set(session.got)), session

    @rule()
    def settle_and_compare(self) -> None:
        """Once everything is joined and checked, nobody lacks anything without notice."""
        self.hear()
        self.join()
        self.check_tops()
        self.shared.settle(0.05)
        for session in self.sessions:
            self.look(session)
            published = self.published[session.topic]
            world = self.nodes[session.node].world
            position = world.history.position(session.topic)
            assert position is not None
            if session.topic == "log":
                self.compare_log(session, published)
            elif published and session.got and session.topic == "state":
                assert session.got[-1] == published[-1]
        for topic in TOPICS:
            self.compare_mirrors(topic)

    def compare_log(self, session: Session, published: list[int]) -> None:
        if not session.got or not published or session.has_gap:
            return
        # From the first event that it has got of those that exist, all have come.
        known = [each for each in published if each >= session.got[0]]
        if session.got[0] in published:
            self.compared += 1
            assert session.got == known, (session.got, published)

    def compare_mirrors(self, topic: str) -> None:
        logs = [node.world.history.log(topic) for node in self.nodes]
        kept = [[orjson.loads(each.payload)["n"] for each in log.events] for log in logs if log]
        for each in kept:
            tail = self.published[topic][len(self.published[topic]) - len(each) :]
            assert each == tail
        positions: set[Position] = {log.position for log in logs if log}
        assert len(positions) <= 1


class _InMemory(_Model):
    """The store in memory."""


class _InRedis(_Model):
    """Redis."""


@pytest.fixture(scope="module", autouse=True)
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        _InRedis.server = server
        yield
    _InRedis.server = None


TestInMemory = _InMemory.TestCase
TestInRedis = _InRedis.TestCase
TestInMemory.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestInRedis.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
