"""Several nodes in one process, joined by a bus in memory, and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import orjson

from tests.broker.presence.presence_world import GRACE, RULES, PresenceWorld, person
from tests.broker.world import Client, DirectOutbox, FakeClock, FakePeer, FakeTimer, Wire
from tests.support.limits import PREFIX_LIMITS
from wampush.broker.backplane.contract import EVERY_NODE, node_channel
from wampush.broker.backplane.memory_bus import MemoryBus, MemoryLink
from wampush.broker.backplane.node_message import NodeMessage, decoded, encoded
from wampush.broker.identity import identity_from_json
from wampush.broker.nodes.questions import NodeAnswers
from wampush.broker.nodes.registry import Nodes
from wampush.broker.occupancy.over_nodes import OccupancyOverNodes
from wampush.broker.presence.over_nodes import PresenceOverNodes
from wampush.broker.presence.presence import Presence
from wampush.broker.router import Router
from wampush.broker.subscriber import Subscriber
from wampush.broker.topic_rules import TopicRule
from wampush.broker.transfer.session_transfer import (
    node_state,
    restore,
    resume_node,
    session_state,
    snapshot,
    snapshot_node,
)
from wampush.clock import Clock
from wampush.errors import PushRefused
from wampush.wamp.session import WampSession
from wampush.wamp.uris import WAMP1

TOPIC_GRACE = 5.0


class NodeClock(FakeClock):
    """The clock of one node: the time of all, and timers that wait while the node is frozen."""

    def __init__(self, time: FakeClock) -> None:
        super().__init__()
        self.time = time
        self.is_frozen = False

    @property
    def now(self) -> float:
        return self.time.now

    @now.setter
    def now(self, value: float) -> None:
        pass

    def call_later(self, seconds: float, function: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.now + seconds, function)
        self.timers.append(timer)
        return timer

    def run_due(self) -> bool:
        """Run what is due; return whether anything was."""
        due = [] if self.is_frozen else [each for each in self.pending if each.time <= self.now]
        self.timers = self.pending
        for timer in due:
            if timer.active:
                timer.active = False
                timer.function()
        return bool(due)


class TestNode(PresenceWorld):
    """One node: a broker with presence and occupancy over all nodes."""

    __test__ = False

    def __init__(
        self,
        installation: Installation,
        name: str,
        *,
        rules: Sequence[TopicRule] = RULES,
        patterns: Sequence[str] = (),
    ) -> None:
        self.installation = installation
        self.name = name
        self.own_clock = NodeClock(installation.time)
        clock = Clock(lambda: self.own_clock.now, self.own_clock.call_later)
        self.link: MemoryLink = installation.bus.link()
        self.seen: list[str] = []
        self.node_lines: list[str] = []
        installation.epochs += 1
        self.process = f"process-{name}-{installation.epochs}"
        self.nodes = Nodes(
            process=self.process,
            name=name,
            version="1.0",
            epoch=f"epoch-{installation.epochs}",
            grace=GRACE,
            clock=clock,
            send=self._send,
            report=lambda message, **fields: self.node_lines.append(message.format(**fields)),
        )
        self.node_clock = clock
        occupancy = OccupancyOverNodes(TOPIC_GRACE, clock, self.nodes)
        if patterns:
            occupancy.watch(patterns, self._note)
        super().__init__(rules=rules, occupancy=occupancy, nodes=self.nodes)
        self.occupancy = occupancy
        self.refused: list[str] = []
        self.missed: list[tuple[str, bytes]] = []

    def _note(self, topic: str, is_occupied: bool) -> None:
        self.seen.append(("+" if is_occupied else "-") + topic)

    def _presence(self, router: Router) -> Presence:
        self.presence = PresenceOverNodes(router, self.grace, self.node_clock, self.nodes)
        return self.presence

    def _send(self, kind: str, payload: bytes, to: str = "") -> None:
        message = encoded(NodeMessage(self.process, 0, payload, kind))
        self.link.publish(node_channel(to) if to else EVERY_NODE, message, lambda _: None)

    def start(self) -> None:
        """Begin to serve."""
        self.connect()
        self.nodes.start()

    def connect(self) -> None:
        """Connect to the bus."""
        self.link.follow([EVERY_NODE, node_channel(self.process)])
        self.link.start(self)

    # The link.

    def on_message(self, channel: str, message: bytes) -> None:
        """A message comes, or waits in the socket while the node is frozen."""
        if self.own_clock.is_frozen:
            self.missed.append((channel, message))
            return
        if self.installation.loses(self, channel, message):
            return
        self.take(message)

    def take(self, message: bytes) -> None:
        """A message comes."""
        read = decoded(message, 1_000_000)
        try:
            self.nodes.on_message(read.node, read.kind, read.payload)
        except PushRefused as error:
            self.refused.append(error.detail)

    def on_followed(self, channels: Collection[str]) -> None:
        """Nobody waits for that here."""

    def on_joined(self) -> None:
        self.nodes.on_joined()

    def on_left(self, problem: str) -> None:
        self.nodes.on_left(problem)

    # What tests do.

    def freeze(self) -> None:
        """Stop the process, as SIGSTOP does."""
        self.own_clock.is_frozen = True

    def wake(self, *, with_messages: bool = True) -> None:
        """Let the process go on: first its timers, then what its socket has kept.

        :param with_messages: whether the socket has kept anything.
        """
        self.own_clock.is_frozen = False
        self.own_clock.run_due()
        missed, self.missed = self.missed, []
        for _, message in missed if with_messages else ():
            self.take(message)
        self.installation.settle()

    def die(self) -> None:
        """End as SIGKILL does."""
        self.freeze()
        self.link.cut("killed")
        self.installation.nodes.remove(self)

    def stop(self) -> None:
        """End as SIGTERM does."""
        self.presence.stop()
        for client in list(self.broker.sessions.values()):
            self.clients.on_lost(client)
        self.occupancy.stop()
        self.nodes.stop()
        self.installation.settle()
        self.installation.nodes.remove(self)

    def take_over(self, old: TestNode) -> dict[str, Client]:
        """Go on with the sessions of another process, as an upgrade does; return them by id."""
        self.connect()
        self.presence.hold()
        moved = {each: self._arrive(old, each) for each in old.broker.sessions}
        old.presence.publish_pending()
        known = orjson.loads(orjson.dumps(snapshot_node(old.broker, lambda _: True)))
        old.presence.stop()
        resume_node(self.broker, node_state(known))
        self.nodes.start()
        self.installation.nodes.append(self)
        self.installation.settle()
        self.installation.nodes.remove(old)
        return moved

    def _arrive(self, old: TestNode, session_id: str) -> Client:
        state = session_state(
            orjson.loads(orjson.dumps(snapshot(old.broker, old.broker.sessions[session_id])))
        )
        session = WampSession(WAMP1, "test/1", PREFIX_LIMITS, state.session_id, state.prefixes)
        wire = Wire()
        outbox = DirectOutbox(10_000_000, self.pressure, wire, self.format(""))
        peer = FakePeer()
        subscriber = Subscriber(session, outbox, identity_from_json(state.identity), peer)
        restore(self.broker, subscriber, state)
        return Client(subscriber, outbox, wire, peer, self)

    def join(self, user: str | None, *topics: str) -> Client:
        """A session that subscribes."""
        client = super().join(user, *topics)
        self.installation.settle()
        return client

    def wait(self, seconds: float) -> None:
        self.installation.wait(seconds)

    def ask(self, name: str, **arguments: object) -> list[NodeAnswers]:
        """Ask all others; the list gets the answers when they are there."""
        found: list[NodeAnswers] = []
        self.nodes.questions.ask(name, arguments, found.append, can_ask=self.nodes.is_joined)
        return found


class Installation:
    """Several nodes and their bus.

    :param count: nodes that serve from the start.
    """

    def __init__(self, count: int = 2, **options: Any) -> None:
        self.time = FakeClock()
        self.bus = MemoryBus(self.time.call_later)
        self.options = options
        self.epochs = 0
        self.nodes: list[TestNode] = []
        self.lost: list[tuple[TestNode, Callable[[str, bytes], bool]]] = []
        for number in range(count):
            self.add("abcdefgh"[number])
        self.wait(1.1)

    def add(self, name: str, **options: Any) -> TestNode:
        """One more node."""
        node = TestNode(self, name, **{**self.options, **options})
        self.nodes.append(node)
        node.start()
        self.settle()
        return node

    def lose(self, node: TestNode, loses: Callable[[str, bytes], bool]) -> None:
        """Lose the next message to a node for which a function says so."""
        self.lost.append((node, loses))

    def loses(self, node: TestNode, channel: str, message: bytes) -> bool:
        for each in self.lost:
            if each[0] is node and each[1](channel, message):
                self.lost.remove(each)
                return True
        return False

    def settle(self) -> None:
        """Let everything happen that is due."""
        while True:
            before = self.time.now
            due = [each for each in self.time.pending if each.time <= before]
            self.time.timers = self.time.pending
            self.time.advance(0)
            ran = [each.own_clock.run_due() for each in self.nodes]
            for each in self.nodes:
                if not each.own_clock.is_frozen:
                    each.end_turn()
            if not due and not any(ran):
                return

    def wait(self, seconds: float) -> None:
        """Time passes, and every timer goes off at its time."""
        end = self.time.now + seconds
        self.settle()
        while True:
            clocks = [self.time, *(each.own_clock for each in self.nodes)]
            times = [
                timer.time
                for clock in clocks
                if not getattr(clock, "is_frozen", False)
                for timer in clock.pending
                if timer.time <= end
            ]
            if not times:
                break
            self.time.now = max(self.time.now, min(times))
            self.settle()
        self.time.now = max(end, self.time.now)
        self.settle()


__all__ = ["GRACE", "TOPIC_GRACE", "Installation", "TestNode", "person"]
