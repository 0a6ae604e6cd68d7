"""The world of a simulation: nodes, a Redis server, a network, clients, and what goes wrong.

Owns: the actions, the time, and the state of rest. Must not import: Twisted's reactor.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import orjson

from tests.simulation.client import SimulatedClient
from tests.simulation.network import MOST_DELAY, Network, SimulatedReactor
from tests.simulation.node import SimulatedNode
from tests.simulation.redis_data import RedisData
from tests.simulation.redis_server import FakeRedis
from tests.simulation.truth import Breach, PlainWatch, Taken, Truth
from wampush.broker.backplane.contract import Accepted
from wampush.broker.backplane.node_message import NodeMessage, decoded
from wampush.broker.publication import EVERYONE, Audience, Publication, PushKey, Targets
from wampush.errors import PublicationRefused

START: Final = 1_767_225_600.0
NODES: Final = 3
#: Topics with a history, with values by key, and without either.
KEPT: Final = ("h/0", "h/1", "v/0")
PLAIN: Final = ("p/0", "p/1")
USERS: Final = ("", "ann", "bob")
#: Seconds without anything going wrong after which everything must have come to rest.
REST: Final = 45.0
_MOST_CLIENTS: Final = 24
_CHANNEL: Final = "t:"
#: Seconds after which a push is sent to another node at the latest: many while the first node has
#: no answer, some when that has given it up.
_MOST_AGAIN: Final = 25.0
#: What a server answers that cannot run a script now.
_REFUSALS: Final = (
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
)
#: Seconds after which a plain event must have arrived if nothing goes wrong.
_SOON: Final = 2.0


@dataclass(slots=True)
class _Expected:
    """A publication on a topic without history that everybody there must get.

    :ivar due: when it must have arrived.
    :ivar topic: its topic.
    :ivar number: what it carries.
    :ivar clients: who was there.
    """

    due: float
    topic: str
    number: int
    clients: list[SimulatedClient]


@dataclass(slots=True)
class World:
    """Everything, driven by one seed.

    :param seed: two worlds with the same seed do the same.
    """

    seed: int
    random: Random = field(init=False)
    now: float = 0.0
    truth: Truth = field(default_factory=Truth)
    nodes: list[SimulatedNode | None] = field(default_factory=list)
    clients: list[tuple[int, SimulatedClient]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    network: Network = field(init=False)
    redis: FakeRedis = field(init=False)
    #: Where the replica is, and the newest offsets then.
    _replica: tuple[RedisData, dict[str, int]] = field(init=False)
    _redis_is_paused: bool = False
    _frozen: dict[int, float] = field(default_factory=dict)
    _wrong_until: float = 0.0
    _number: int = 0
    _outcomes: dict[int, int] = field(default_factory=dict)
    _expected: list[_Expected] = field(default_factory=list)
    _returning: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    #: What clients of the node that has acknowledged it must have in the end.
    _owed: list[tuple[SimulatedClient, PlainWatch, int]] = field(default_factory=list)
    #: Pushes with an id that are sent to another node as well: when, and what.
    _again: list[tuple[float, Publication, int]] = field(default_factory=list)
    _sends: int = 0
    _faulty_channels: bool = True
    _actions: tuple[list[Callable[[], None]], list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.redis = FakeRedis(
            lambda: START + self.now, self._on_published, self._on_message, self._on_refused
        )
        self.network = Network(self.random, self.redis.accept)
        self._replica = (self.redis.data.copy(), {})
        self.nodes = [None] * NODES
        for index in range(NODES):
            self._start_node(index)
        weights: list[tuple[Callable[[], None], int]] = [
            (self._tick, 400),
            (self._push, 250),
            (self._client_publishes, 40),
            (self._connect, 40),
            (self._subscribe, 60),
            (self._unsubscribe, 15),
            (self._disconnect, 20),
            (self._stall, 12),
            (self._read_again, 16),
            (self._replicate, 20),
            (self._wait, 3),
            (self._cut, 2),
            (self._mute, 1),
            (self._slow_network, 1),
            (self._pause_redis, 1),
            (self._restart_redis, 1),
            (self._fail_over, 1),
            (self._crash_node, 1),
            (self._replace_node, 1),
            (self._freeze_node, 1),
            (self._refuse_scripts, 4),
            (self._forget_scripts, 2),
        ]
        self._actions = ([each for each, _ in weights], [each for _, each in weights])

    # Running.

    def run(self, steps: int) -> None:
        """Do random things.

        :raises Breach: a node has not kept its word.
        """
        actions, weights = self._actions
        for action in self.random.choices(actions, weights, k=steps):
            self.counts[action.__name__.strip("_")] += 1
            action()

    def come_to_rest(self) -> None:
        """Let nothing go wrong any more, and check that nothing is missing.

        :raises Breach: something is.
        """
        self._redis_is_paused = self._faulty_channels = False
        self.redis.refusals = 0
        self._frozen.clear()
        self.network.most_delay = MOST_DELAY
        if not self.redis.is_up:
            self._promote_replica()
        for wire in self.network.wires:
            wire.is_mute = False
        for index, node in enumerate(self.nodes):
            if node is None:
                self._start_node(index)
        end = self.now + REST
        while self.now < end:
            self._pass(0.1)
            self._look_after_clients()
        for _, client in self.clients:
            if client.outbox.is_stalled:
                client.outbox.read_again()
        for _ in range(50):
            self._pass(0.1)
            self._look_after_clients()
        self._check_rest()

    def _check_rest(self) -> None:
        for number, count in self._outcomes.items():
            if count != 1:
                raise Breach(f"push {number} has {count} outcomes")
        for _, client in self.clients:
            client.check_end()
        for client, watch, number in self._owed:
            is_there = not client.is_lost and not client.is_gone
            if is_there and client.plain.get(watch.topic) is watch and number not in watch.numbers:
                raise Breach(f"{watch.topic}: {number} is acknowledged and misses its own node")
        for node in self.nodes:
            if node is not None:
                node.check_rest([client for _, client in self.clients])

    # Time.

    def _tick(self) -> None:
        self._pass(self.random.random() * 0.01)

    def _wait(self) -> None:
        for _ in range(20):
            self._pass(0.1)
        self._look_after_clients()

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        for index, until in list(self._frozen.items()):
            if self.now >= until:
                del self._frozen[index]
                self._note_wrong()
        for index, node in enumerate(self.nodes):
            if node is not None and index not in self._frozen:
                node.advance_to(self.now)
        self.network.pump(self.now, self._runs, self.redis.is_up and not self._redis_is_paused)
        for index, node in enumerate(self.nodes):
            if node is not None and index not in self._frozen:
                node.advance_to(self.now)
        self._check_expected()
        while self._again and self._again[0][0] < self.now:
            _, publication, number = self._again.pop(0)
            running = self._running()
            if running:
                self._send(self.random.choice(running), publication, number)

    def _runs(self, reactor: SimulatedReactor) -> bool:
        for index, node in enumerate(self.nodes):
            if node is not None and node.reactor is reactor:
                return index not in self._frozen
        return False

    def _note_wrong(self) -> None:
        """Note that something goes wrong, so that events of topics without history may be lost."""
        self._wrong_until = self.now + 15.0
        self._expected.clear()

    @property
    def _is_calm(self) -> bool:
        return self.now > self._wrong_until and not self._redis_is_paused and self.redis.is_up

    def _check_expected(self) -> None:
        while self._expected and self._expected[0].due < self.now:
            expected = self._expected.pop(0)
            for client in expected.clients:
                watch = client.plain.get(expected.topic)
                if client.is_lost or client.is_gone or client.outbox.is_stalled or watch is None:
                    continue
                if watch.begun < expected.due - 2 * _SOON and expected.number not in watch.numbers:
                    raise Breach(f"{expected.topic}: event {expected.number} did not arrive")

    # Redis, as the model sees it.

    def _on_message(self, channel: bytes, message: bytes) -> int:  # noqa: ARG002
        if not self._faulty_channels or not channel.partition(b"}:")[2].startswith(b"t:"):
            return 1
        topic = channel.partition(b"}:")[2].decode().removeprefix(_CHANNEL)
        if topic not in KEPT:
            return 1
        # What a node misses or gets twice of a topic with a history does not matter.
        chance = self.random.random()
        return 0 if chance < 0.01 else 2 if chance < 0.02 else 1

    def _on_published(self, channel: bytes, message: bytes) -> None:
        """Note what the store has taken."""
        name = channel.partition(b"}:")[2].decode()
        topic = name.removeprefix(_CHANNEL)
        if name == topic:
            return
        known: NodeMessage = decoded(message, 1_000_000)
        if topic in PLAIN:
            self.truth.add_plain(topic, orjson.loads(known.payload)["n"])
            return
        if known.kind or known.position is None:
            return
        number = orjson.loads(known.payload)["n"]
        self.truth.add(topic, Taken(known.position, number, known.audience))

    def _on_refused(self, arguments: Sequence[bytes]) -> None:
        """Note what the store could not carry out, if it is a publication."""
        for each in arguments:
            if each.startswith(b'{"n": '):
                self.truth.add_refused(orjson.loads(each)["n"])

    # Publishing.

    def _running(self) -> list[int]:
        return [
            index
            for index, node in enumerate(self.nodes)
            if node is not None and index not in self._frozen
        ]

    def _payload(self, publisher: str) -> dict[str, Any]:
        self._number += 1
        return {"n": self._number, "by": publisher, "id": self.random.randrange(5)}

    def _audience(self) -> Audience:
        chance = self.random.random()
        if chance < 0.8 or not self.clients:
            return EVERYONE
        session = self.random.choice(self.clients)[1].viewer.session
        if chance < 0.87:
            return Audience(exclude=frozenset({session}))
        if chance < 0.93:
            return Audience(eligible=frozenset({session}))
        return Audience(to=Targets(users=frozenset({"ann"})))

    def _push(self) -> None:
        running = self._running()
        if not running:
            return
        index = self.random.choice(running)
        node = self.nodes[index]
        assert node is not None
        topic = self.random.choice(KEPT + PLAIN)
        audience = self._audience()
        payload = self._payload(node.name)
        number = payload["n"]
        push = None
        if topic in PLAIN and self.random.random() < 0.6:
            push = PushKey(f"push{number}", "digest")
            self.truth.add_push(number)
            is_again = self.random.random() < 0.3
            # What is sent to two nodes has two places in the order of its publisher.
            payload["by"] = "" if is_again else f"{node.name} with ids"
        text = json.dumps(payload).encode()
        publication = Publication(topic, text, audience, push=push)
        if push is not None and not payload["by"]:
            self._again.append(
                (self.now + _MOST_AGAIN * self.random.random() ** 4, publication, number)
            )
            self._again.sort(key=lambda each: each[0])
        if topic in PLAIN and self._is_calm and audience is EVERYONE:
            clients = [client for _, client in self.clients if topic in client.plain]
            self._expected.append(_Expected(self.now + _SOON, topic, number, clients))
        self._send(index, publication, number)

    def _send(self, index: int, publication: Publication, number: int) -> None:
        """Push to a node."""
        node = self.nodes[index]
        assert node is not None
        topic = publication.topic
        self._sends += 1
        send = self._sends
        self._outcomes[send] = 0
        watches = [
            (client, client.plain[topic], number)
            for at, client in self.clients
            if at == index and topic in client.plain and node.has_subscribed(client, topic)
        ]
        if publication.audience is not EVERYONE:
            watches.clear()

        def on_done(outcome: int | Accepted | PublicationRefused) -> None:
            self._outcomes[send] += 1
            if isinstance(outcome, PublicationRefused):
                self.counts[f"refused: {outcome.refusal.code}"] += 1
            elif topic in KEPT and not self.truth.has_taken(number):
                raise Breach(f"{topic}: push {number} is acknowledged and not stored")
            elif not isinstance(outcome, Accepted) or not outcome.is_repeated:
                self._owed.extend(watches)

        node.push(send, publication, on_done)

    def _client_publishes(self) -> None:
        _, client = self._any_client()
        if client is None:
            return
        client.publish(self.random.choice(KEPT + PLAIN), self._payload(client.viewer.session))

    # Clients.

    def _any_client(self) -> tuple[int, SimulatedClient | None]:
        running = self._running()
        there = [each for each in self.clients if each[0] in running and not each[1].is_gone]
        return self.random.choice(there) if there else (0, None)

    def _connect(self) -> None:
        running = self._running()
        if len(self.clients) >= _MOST_CLIENTS or not running:
            return
        index = self.random.choice(running)
        if self._returning and self.random.random() < 0.8:
            user, since = self._returning.pop(self.random.randrange(len(self._returning)))
        else:
            user, since = self.random.choice(USERS), {}
        node = self.nodes[index]
        assert node is not None
        client = node.connect(self.truth, user, lambda: self.now, since)
        self.clients.append((index, client))
        for topic in list(since):
            client.subscribe(topic)

    def _subscribe(self) -> None:
        _, client = self._any_client()
        if client is None:
            return
        topic = self.random.choice(KEPT + PLAIN)
        if topic in PLAIN and topic not in client.plain:
            client.subscribe_plain(topic)
        elif topic in KEPT and topic not in client.watches:
            client.subscribe(topic)

    def _unsubscribe(self) -> None:
        _, client = self._any_client()
        if client is not None and (client.watches or client.plain):
            client.unsubscribe(self.random.choice([*client.watches, *client.plain]))

    def _disconnect(self) -> None:
        index, client = self._any_client()
        if client is not None:
            self._let_go(index, client)

    def _let_go(self, index: int, client: SimulatedClient) -> None:
        self.clients.remove((index, client))
        since = client.lose()
        if len(self._returning) < _MOST_CLIENTS:
            self._returning.append((client.user, since))

    def _stall(self) -> None:
        _, client = self._any_client()
        if client is not None:
            client.outbox.is_stalled = True

    def _read_again(self) -> None:
        _, client = self._any_client()
        if client is not None and client.outbox.is_stalled:
            client.outbox.read_again()

    def _look_after_clients(self) -> None:
        """Have clients do what real ones do on each message."""
        running = self._running()
        for index, client in list(self.clients):
            if index not in running:
                continue
            if client.is_gone:
                self.counts[f"ended: {client.ended}"] += 1
                self._let_go(index, client)
                continue
            client.renew_told()
            for topic in list(client.since):
                if topic not in client.watches:
                    client.subscribe(topic)

    # What goes wrong.

    def _replicate(self) -> None:
        self._replica = (self.redis.data.copy(), self.truth.offsets)

    def _cut(self) -> None:
        if self.network.wires:
            self._note_wrong()
            self.random.choice(self.network.wires).cut()

    def _mute(self) -> None:
        """Let the bytes of a connection stand still until it is given up."""
        if self.network.wires:
            self._note_wrong()
            wire = self.random.choice(self.network.wires)
            wire.is_mute = not wire.is_mute

    def _slow_network(self) -> None:
        self._note_wrong()
        self.network.most_delay = 0.3 if self.network.most_delay == MOST_DELAY else MOST_DELAY

    def _pause_redis(self) -> None:
        self._note_wrong()
        self._redis_is_paused = not self._redis_is_paused

    def _restart_redis(self) -> None:
        """End Redis, or start it: with everything, or with nothing."""
        self._note_wrong()
        if self.redis.is_up:
            self.redis.is_up = False
            for wire in self.network.wires:
                wire.cut()
            if self.random.random() < 0.3:
                self.redis.data = RedisData(lambda: START + self.now)
                self.truth.forget_all()
                self.truth.forget_pushes()
            return
        self.redis.start(self.redis.data)

    def _fail_over(self) -> None:
        """Replace Redis with its replica, which lacks what came after the last replication."""
        self._note_wrong()
        if not self.redis.is_up:
            return
        for wire in self.network.wires:
            wire.cut()
        self._promote_replica()

    def _promote_replica(self) -> None:
        data, offsets = self._replica
        self.truth.forget_pushes()
        for topic in KEPT:
            self.truth.cut(topic, offsets.get(topic, 0))
        self.redis.start(data.copy())

    def _refuse_scripts(self) -> None:
        """Have Redis answer some scripts with an error; often just when a node comes back."""
        self._note_wrong()
        self.redis.refusal = self.random.choice(_REFUSALS)
        self.redis.refusals = self.random.choice((1, 1, 2, 3, 8, 40))
        if self.network.wires and self.random.random() < 0.5:
            self.random.choice(self.network.wires).cut()

    def _forget_scripts(self) -> None:
        self.redis.forget_scripts()

    def _start_node(self, index: int) -> None:
        self.nodes[index] = SimulatedNode(index, self.network, self.now, START)

    def _crash_node(self) -> None:
        self._end_node(is_clean=False)

    def _replace_node(self) -> None:
        self._end_node(is_clean=True)

    def _end_node(self, *, is_clean: bool) -> None:
        running = self._running()
        if len(running) < NODES:
            # One node is away already.
            for index, node in enumerate(self.nodes):
                if node is None:
                    self._start_node(index)
            return
        self._note_wrong()
        index = self.random.choice(running)
        node = self.nodes[index]
        assert node is not None
        for each in [each for each in self.clients if each[0] == index]:
            self._let_go(*each)
        if is_clean:
            node.stop()
        else:
            for number in node.unanswered:
                # Nobody is left to answer.
                self._outcomes[number] = 1
        for wire in self.network.wires_of(node.reactor):
            wire.cut()
        self.nodes[index] = None

    def _freeze_node(self) -> None:
        running = self._running()
        if len(running) == NODES:
            self._note_wrong()
            self._frozen[self.random.choice(running)] = self.now + self.random.choice((1, 12, 60))
