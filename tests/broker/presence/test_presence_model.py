"""Presence against a plain model, under random joins, drops, reconnects, logins and time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from tests.broker.presence.presence_world import CLIENTS, ONLINE, PresenceWorld, changes
from tests.broker.world import Client
from wampush.broker.presence.presence import INTERVAL
from wampush.choices import Action
from wampush.config.tables.permissions import PermissionSettings

USERS = st.sampled_from(["1", "2", "3", None])
TOPICS = ("room.1", "room.2", "room.3", "news")
WATCHED = TOPICS[:3]
#: Operations happen at multiples of this. A grace period ends a little after a multiple, and what
#: follows from that is published by the next one.
STEP = 0.25
GRACE = 2.01

Place = tuple[str, str]


@dataclass
class Watcher:
    """A client that has asked who is on a topic, and follows the events."""

    client: Client
    #: By topic.
    known: dict[str, set[str]] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)


class Model(RuleBasedStateMachine):
    """The model looks at all sessions after each step; what is new follows from the last look."""

    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        rules = [PermissionSettings("room.2", (Action.SUBSCRIBE,), ("user:3",), allow=False)]
        self.world = PresenceWorld(grace=GRACE, permissions=rules, auto_subscribe=["room.{user}"])
        self.users: dict[str, str | None] = {}
        self.clients: dict[str, Client] = {}
        self.counts: Counter[Place] = Counter()
        self.online: Counter[str] = Counter()
        self.away: dict[Place, float] = {}
        self.offline: dict[str, float] = {}
        self.watchers: list[Watcher] = []

    @initialize()
    def first_watcher(self) -> None:
        self.watch()

    # Steps.

    @rule(target=sessions, user=USERS, topics=st.lists(st.sampled_from(TOPICS), max_size=3))
    def connect(self, user: str | None, topics: list[str]) -> Client:
        client = self.world.join(user, *topics)
        self.users[client.id], self.clients[client.id] = user, client
        self.look()
        return client

    @rule(client=consumes(sessions))
    def lose(self, client: Client) -> None:
        if client.id not in self.clients:
            return
        self.world.lose(client)
        del self.users[client.id], self.clients[client.id]
        self.look(lost=True)

    @rule(target=sessions, client=consumes(sessions), topics=st.lists(st.sampled_from(TOPICS)))
    def reload(self, client: Client, topics: list[str]) -> Client:
        user = self.users.get(client.id)
        self.lose(client)
        again: Client = self.connect(user, topics)  # type: ignore[assignment]
        return again

    @rule(client=sessions, topic=st.sampled_from(TOPICS))
    def subscribe(self, client: Client, topic: str) -> None:
        if client.id not in self.clients:
            return
        self.world.say(client, [5, topic])
        self.look()

    @rule(client=sessions, topic=st.sampled_from(TOPICS))
    def unsubscribe(self, client: Client, topic: str) -> None:
        if client.id not in self.clients:
            return
        self.world.say(client, [6, topic])
        self.look()

    @rule(client=sessions, user=USERS)
    def become(self, client: Client, user: str | None) -> None:
        if client.id not in self.clients:
            return
        self.users[client.id] = user
        self.world.become(client, user)
        self.look()

    @rule(steps=st.integers(1, 12))
    def wait(self, steps: int) -> None:
        self.world.wait(steps * STEP)
        self.look()

    @rule()
    def drop_all(self) -> None:
        """A mass disconnect."""
        for client in list(self.clients.values()):
            self.world.clients.on_lost(client.subscriber)
        self.world.end_turn()
        self.users.clear()
        self.clients.clear()
        self.look(lost=True)

    @rule()
    def watch(self) -> None:
        client = self.world.join(None, *map(changes, WATCHED), ONLINE, CLIENTS)
        # Its own coming is a change that may be published later.
        watcher = Watcher(client)
        self.read(watcher)
        for topic in WATCHED:
            watcher.known[topic] = set(self.world.listed(client, topic))
        self.watchers.append(watcher)
        self.look()

    # The model.

    def look(self, *, lost: bool = False) -> None:
        """Work out what the last step has changed."""
        now = self.world.clock.now
        subscriptions = self.world.subscriptions
        counts: Counter[Place] = Counter()
        for name, user in self.users.items():
            if user is not None:
                for topic in subscriptions.topics(self.clients[name].subscriber):
                    counts[(topic, user)] += 1
        online = Counter(user for user in self.users.values() if user is not None)
        if lost:
            self.away |= {place: now + GRACE for place in self.counts if not counts[place]}
            self.offline |= {user: now + GRACE for user in self.online if not online[user]}
        self.away = {
            place: until for place, until in self.away.items() if until > now and not counts[place]
        }
        self.offline = {
            user: until for user, until in self.offline.items() if until > now and not online[user]
        }
        self.counts, self.online = +counts, online

    def here(self, topic: str) -> dict[str, int]:
        """Who is on a topic."""
        counted = {user: count for (name, user), count in self.counts.items() if name == topic}
        return counted | {user: 0 for name, user in self.away if name == topic}

    def read(self, watcher: Watcher) -> None:
        """Follow the events: only unknown users join, and only known ones leave."""
        for topic, value in self.world.events(watcher.client):
            if topic in (ONLINE, CLIENTS):
                watcher.counters[topic] = value
                continue
            known = watcher.known.setdefault(value["topic"], set())
            single = value.get("user")
            joined = value.get("joined", [single] if value["event"] == "join" else [])
            left = value.get("left", [single] if value["event"] == "leave" else [])
            assert known.isdisjoint(joined)
            assert known.issuperset(left)
            known.update(joined)
            known.difference_update(left)

    # What holds at any time.

    @invariant()
    def users_are_those_of_the_model(self) -> None:
        for topic in WATCHED:
            assert self.world.presence.users(topic) == self.here(topic)
        present = {user: count for (name, user), count in self.counts.items() if name == "news"}
        assert self.world.presence.users("news") == present

    @invariant()
    def counters_are_those_of_the_model(self) -> None:
        presence = self.world.presence
        assert presence.num_online == len(self.online.keys() | self.offline.keys())
        assert presence.num_clients == len(self.users) + len(self.watchers)
        for user in "123":
            assert presence.is_online(user) == (user in self.online or user in self.offline)

    @invariant()
    def anonymous_sessions_are_counted(self) -> None:
        for topic in WATCHED:
            subscribers = self.world.subscriptions.subscribers(topic)
            anonymous = sum(each.identity.user is None for each in subscribers)
            assert self.world.presence.count_anonymous(topic) == anonymous

    @rule()
    def after_an_interval_everybody_knows(self) -> None:
        self.world.wait(STEP)
        assert STEP > INTERVAL
        self.look()
        for watcher in self.watchers:
            self.read(watcher)
            for topic in WATCHED:
                assert watcher.known[topic] == self.here(topic).keys()
            assert watcher.counters == {
                ONLINE: self.world.presence.num_online,
                CLIENTS: self.world.presence.num_clients,
            }

    def teardown(self) -> None:
        self.after_an_interval_everybody_knows()
        self.drop_all()
        for watcher in self.watchers:
            self.world.clients.on_lost(watcher.client.subscriber)
        self.world.end_turn()
        self.world.wait(10)
        presence = self.world.presence
        assert (presence.num_online, presence.num_clients) == (0, 0)
        assert presence._members == {}
        assert presence._changes == {}
        assert self.world.clock.pending == []


TestPresence = Model.TestCase
TestPresence.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
