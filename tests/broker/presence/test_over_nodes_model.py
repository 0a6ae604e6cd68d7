"""Presence over nodes against a plain model: whatever happens, all nodes agree in the end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from tests.broker.nodes.node_world import GRACE, Installation, TestNode
from tests.broker.presence.presence_world import changes
from tests.broker.world import Client

ROOMS = ("room.1", "room.2")
USERS = ("1", "2", "3", "4", None)
STEPS = 120
SEEDS = range(12)


class Model:
    """An installation, what its clients do, and what watchers have been told.

    :param seed: of all that happens.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = Installation(3)
        #: Sessions by client, with node, user and rooms.
        self.clients: dict[str, tuple[TestNode, Client, str | None, set[str]]] = {}
        self.watchers = {
            (node.name, room): node.join(None, changes(room))
            for node in self.world.nodes
            for room in ROOMS
        }
        #: Who is on a room, as its watcher knows.
        self.known: dict[tuple[str, str], set[str]] = {each: set() for each in self.watchers}
        self.names = iter("defghijklmnopqrstuvwxyz" * 9)
        self.steps: list[str] = []

    # What happens.

    def step(self) -> None:
        """Let something happen."""
        deeds: list[tuple[int, Callable[[], None]]] = [
            (8, self.open),
            (6, self.subscribe),
            (4, self.unsubscribe),
            (6, self.lose),
            (2, self.become),
            (4, self.pass_time),
            (1, self.freeze_for_a_while),
            (1, self.cut_for_a_while),
            (2, self.lose_a_message),
            (1, self.upgrade),
            (1, self.die),
        ]
        (deed,) = self.random.choices([each for _, each in deeds], [each for each, _ in deeds])
        self.steps.append(deed.__name__)
        deed()
        self.read()

    def open(self) -> None:
        node, user = self.random.choice(self.world.nodes), self.random.choice(USERS)
        rooms = {room for room in ROOMS if self.random.random() < 0.5}
        client = node.join(user, *rooms)
        self.clients[client.id] = node, client, user, rooms

    def subscribe(self) -> None:
        for node, client, _, rooms in self.some():
            room = self.random.choice(ROOMS)
            node.say(client, [5, room])
            rooms.add(room)

    def unsubscribe(self) -> None:
        for node, client, _, rooms in self.some():
            for room in rooms:
                node.say(client, [6, room])
            rooms.clear()

    def lose(self) -> None:
        for node, client, _, _ in self.some():
            del self.clients[client.id]
            node.lose(client)

    def become(self) -> None:
        for node, client, _, rooms in self.some():
            user = self.random.choice(USERS)
            node.become(client, user)
            self.clients[client.id] = node, client, user, rooms

    def pass_time(self) -> None:
        self.world.wait(self.random.choice([0.05, 0.5, GRACE, 12.0]))

    def freeze_for_a_while(self) -> None:
        node = self.random.choice(self.world.nodes)
        node.freeze()
        self.world.wait(self.random.choice([1.0, 9.0, 60.0]))
        node.wake(with_messages=self.random.random() < 0.5)

    def cut_for_a_while(self) -> None:
        self.world.bus.cut()
        self.world.wait(self.random.choice([0.5, 20.0]))
        self.world.bus.restore()

    def lose_a_message(self) -> None:
        self.world.lose(self.random.choice(self.world.nodes), lambda *_: True)

    def upgrade(self) -> None:
        old = self.random.choice(self.world.nodes)
        successor = TestNode(self.world, old.name)
        moved = successor.take_over(old)
        self.clients = {
            key: (successor, moved[key], user, rooms)
            if node is old
            else (node, client, user, rooms)
            for key, (node, client, user, rooms) in self.clients.items()
        }
        for room in ROOMS:
            watcher = self.watchers[old.name, room]
            self.hear(old, (old.name, room), watcher)
            self.watchers[old.name, room] = moved[watcher.id]

    def die(self) -> None:
        """A node dies, and another one comes."""
        dead = self.random.choice(self.world.nodes)
        dead.die()
        self.clients = {key: each for key, each in self.clients.items() if each[0] is not dead}
        for room in ROOMS:
            del self.watchers[dead.name, room], self.known[dead.name, room]
        name = next(self.names)
        while any(each.name == name for each in self.world.nodes):
            name = next(self.names)
        node = self.world.add(name)
        self.world.wait(0.2)
        for room in ROOMS:
            watcher = node.join(None, changes(room))
            self.watchers[name, room] = watcher
            self.known[name, room] = set(node.listed(watcher, room))

    def some(self) -> list[tuple[TestNode, Client, str | None, set[str]]]:
        """One client, if there are any."""
        return [self.random.choice(list(self.clients.values()))] if self.clients else []

    # What is seen.

    def read(self) -> None:
        """Take what watchers have got; a join and a leave of a user take turns."""
        for node in self.world.nodes:
            for room in ROOMS:
                self.hear(node, (node.name, room), self.watchers[node.name, room])

    def hear(self, node: TestNode, key: tuple[str, str], watcher: Client) -> None:
        known = self.known[key]
        for word in node.announced(watcher):
            sign, user = word[0], word[1:]
            assert (user in known) == (sign == "-"), (word, self.steps)
            (known.add if sign == "+" else known.discard)(user)

    def check(self) -> None:
        """After a while, everybody knows what is true."""
        self.world.wait(30)
        self.read()
        users = {user for _, _, user, _ in self.clients.values() if user}
        for node in self.world.nodes:
            presence = node.presence
            assert presence.num_online == len(users), self.steps
            assert presence.num_clients == len(self.clients) + len(self.watchers), self.steps
            assert all(presence.is_online(each) == (each in users) for each in "1234")
            for room in ROOMS:
                on = [user for _, _, user, rooms in self.clients.values() if room in rooms]
                truth = Counter(each for each in on if each)
                assert presence.users(room) == truth, self.steps
                assert presence.count_anonymous(room) == on.count(None), self.steps
                assert self.known[node.name, room] == set(truth), self.steps
                listed = node.listed(self.watchers[node.name, room], room)
                assert listed == truth


@pytest.mark.parametrize("seed", SEEDS)
def test_all_nodes_agree_in_the_end(seed: int) -> None:
    model = Model(seed)
    for _ in range(STEPS):
        model.step()
    model.check()
