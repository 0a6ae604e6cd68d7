"""A hand-over that is cut everywhere: whatever happens meanwhile, in whatever order.

The model knows what each client has to get: of each topic, all events published since it has
subscribed, once and in order; and an answer to each call. Once the old node has sent everything,
what still comes to it is forwarded, and the new one publishes, too. Each of the two keeps its
order. Between them there is none, because no publisher of the model goes from one to the other.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.edges.websocket.in_memory import masked
from tests.node.handover import an_app
from tests.support.two_nodes import CATCH_UP, DEFLATE, Client, PumpedReactor, TwoNodes
from tests.support.two_nodes import settings as node_settings
from wampush.config.tables.topics import TopicSettings
from wampush.node.handover import HandedOver, HandOverFailed, TakenOver, slices

TOPICS = ("plain", "kept", "values")
#: Bytes of a socket, so that few events fill it.
SMALL = 4608
APP = f"{an_app.__name__}:app"


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices.Slices.__init__, "__defaults__", (2,))


class HandOverMachine(RuleBasedStateMachine):
    """Clients, publications, stalls and turns of both nodes in any order."""

    clients: list[Client]

    @initialize(count=st.integers(1, 6), compressed=st.integers(0, 63))
    def start(self, count: int, compressed: int) -> None:
        an_app.waiting.clear()
        topics = (CATCH_UP, TopicSettings(match="values", last=True))
        self.nodes = TwoNodes(node_settings(*topics, apps=(APP,)), buffer=SMALL)
        self.clients = []
        self.sent: dict[str, list[int]] = {topic: [] for topic in TOPICS}
        #: By topic: what the new node has published, and what the old one has forwarded.
        self.new: dict[str, set[int]] = {topic: set() for topic in TOPICS}
        self.late: dict[str, set[int]] = {topic: set() for topic in TOPICS}
        #: By client and topic: how many events had been published when it subscribed.
        self.since: dict[tuple[int, str], int] = {}
        self.calls: list[tuple[int, str]] = []
        self.echoes = 0
        self.halves: dict[int, bytes] = {}
        for number in range(count):
            more = (DEFLATE,) if compressed >> number & 1 else ()
            self.clients.append(self.nodes.client(*more, topics=TOPICS, buffer=SMALL))
            for topic in TOPICS:
                self.since[number, topic] = len(self.sent[topic])

    def which(self, number: int) -> int:
        return number % len(self.clients)

    # What happens to the nodes.

    @rule(
        topic=st.sampled_from(TOPICS),
        count=st.integers(1, 5),
        size=st.sampled_from((1, 40, 3000)),
        at_new=st.booleans(),
    )
    def publish(self, topic: str, count: int, size: int, at_new: bool) -> None:
        node = self.nodes.new if at_new and self.is_over else self.nodes.old
        for _ in range(count):
            number = len(self.sent[topic])
            self.sent[topic].append(number)
            if node is self.nodes.new:
                self.new[topic].add(number)
            elif self.nodes.has_sent_all:
                self.late[topic].add(number)
            node.publish(topic, [number, "x" * size])

    @precondition(lambda self: self.nodes.giving is None)
    @rule()
    def begin(self) -> None:
        self.nodes.begin()

    @rule(count=st.integers(1, 4))
    def turn_old(self, count: int) -> None:
        for _ in range(count):
            self.nodes.old.turn()

    @rule(count=st.integers(1, 4))
    def turn_new(self, count: int) -> None:
        for _ in range(count):
            self.nodes.new.turn()

    @rule(seconds=st.sampled_from((0.01, 0.1, 0.5)))
    def wait(self, seconds: float) -> None:
        self.nodes.old.reactor.advance(seconds)
        self.nodes.new.reactor.advance(seconds)

    @property
    def is_over(self) -> bool:
        """Whether the new node publishes."""
        return isinstance(self.nodes.outcomes.get("new"), TakenOver)

    # What clients do.

    @rule(number=st.integers(0, 5), most=st.sampled_from((1, 100, 5000, 1 << 20)))
    def read(self, number: int, most: int) -> None:
        self.clients[self.which(number)].read(most)

    @rule(number=st.integers(0, 5))
    def call(self, number: int) -> None:
        which = self.which(number)
        call_id = f"c{len(self.calls)}"
        self.calls.append((which, call_id))
        self._send(which, masked(f'[2,"{call_id}","slow",{len(self.calls)}]'.encode()))

    @rule()
    def answer(self) -> None:
        while an_app.waiting:
            an_app.waiting.pop().callback(None)

    @rule(number=st.integers(0, 5), part=st.integers(1, 30), fragment=st.booleans())
    def send_half(self, number: int, part: int, fragment: bool) -> None:
        which = self.which(number)
        if which in self.halves:
            return
        text = f'[2,"e{self.echoes}","wampush.time"]'.encode()
        self.echoes += 1
        self.calls.append((which, f"e{self.echoes - 1}"))
        data = masked(text)
        if fragment:
            data = (
                masked(text[:5], first=1) + masked(b"p", first=0x89) + masked(text[5:], first=0x80)
            )
        part = min(part, len(data) - 1)
        self.clients[which].send(data[:part])
        self.halves[which] = data[part:]

    @rule(number=st.integers(0, 5))
    def send_rest(self, number: int) -> None:
        which = self.which(number)
        self.clients[which].send(self.halves.pop(which, b""))

    def _send(self, which: int, data: bytes) -> None:
        self.clients[which].send(self.halves.pop(which, b"") + data)

    # The end.

    def assert_complete(self, number: int, client: Client, topic: str) -> None:
        found = [each[0] for each in client.events(topic)]
        expected = self.sent[topic][self.since[number, topic] :]
        assert sorted(found) == expected, (number, topic)
        for others in (self.late[topic], self.new[topic]):
            in_order = [each for each in expected if each not in others]
            assert [each for each in found if each not in others] == in_order, (number, topic)

    def teardown(self) -> None:
        if not hasattr(self, "nodes"):
            return
        try:
            self.check()
        finally:
            self.nodes.close()

    def check(self) -> None:
        nodes = self.nodes
        for which in list(self.halves):
            self._send(which, b"")
        if nodes.giving is None:
            nodes.begin()
        for _ in range(400):
            nodes.settle(nodes.old, nodes.new, *self.clients)
            self.answer()
            if len(nodes.outcomes) == 2 and not nodes.old.node.backpressure.paused:
                break
            self.wait(0.01)
        assert isinstance(nodes.outcomes.get("old"), HandedOver), nodes.outcomes
        assert isinstance(nodes.outcomes.get("new"), TakenOver), nodes.outcomes
        for topic in TOPICS:
            self.publish(topic, 1, 1, at_new=True)
        for _ in range(3):
            self.answer()
            nodes.settle(nodes.old, nodes.new, *self.clients)
        assert not nodes.old.node.websocket.connections
        for number, client in enumerate(self.clients):
            assert not client.is_ended, (number, nodes.new.broker.ledger.ends())
            for topic in TOPICS:
                self.assert_complete(number, client, topic)
            answered = [each[1] for each in client.messages if each[0] == 3]
            asked = [call_id for which, call_id in self.calls if which == number]
            assert sorted(answered) == sorted(asked), (number, answered, asked, client.messages)


class BrokenMachine(HandOverMachine):
    """The new node ends at any time before it has everything: nothing happens to the others."""

    def check(self) -> None:
        nodes = self.nodes
        for which in list(self.halves):
            self._send(which, b"")
        if nodes.giving is None:
            nodes.begin()
        nodes.new.turn()
        if self.is_over or nodes.giving is None or nodes.taking is None or nodes.outcomes:
            return
        moved = len(nodes.new.broker.sessions)
        # A process that ends closes its descriptors.
        nodes.taking.close()
        for connection in list(nodes.new.node.websocket.connections):
            connection.transport.socket.close()
        nodes.new.reactor = PumpedReactor()
        for _ in range(4):
            nodes.settle(nodes.old, *self.clients)
            self.answer()
            nodes.old.reactor.advance(0.01)
        failed = nodes.outcomes["old"].value
        assert isinstance(failed, HandOverFailed)
        if not failed.goes_on:
            return
        assert failed.lost >= moved
        for topic in TOPICS:
            self.publish(topic, 1, 1, at_new=False)
        nodes.settle(nodes.old, *self.clients)
        here = [each for each in self.clients if not each.is_ended]
        assert len(here) == len(self.clients) - failed.lost == len(nodes.old.broker.sessions)
        assert nodes.old.broker.ledger.ends().get("move-failed", 0) == failed.lost
        assert not nodes.old.node.backpressure.paused
        for client in here:
            number = self.clients.index(client)
            for topic in TOPICS:
                self.assert_complete(number, client, topic)


HandOverMachine.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class TestHandOver(HandOverMachine.TestCase):  # type: ignore[misc, valid-type]
    """The machine, with slices of two sessions."""


BrokenMachine.TestCase.settings = HandOverMachine.TestCase.settings


class TestBroken(BrokenMachine.TestCase):  # type: ignore[misc, valid-type]
    """The same, with a new node that ends."""
