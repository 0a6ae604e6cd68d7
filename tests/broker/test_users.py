"""Users and groups to sessions, and which subscribers are meant, against a plain model."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.broker.world import Client, World
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.publication import Audience, Publication, Targets
from wampush.broker.receiver_selection import select
from wampush.broker.subscriber import Subscriber
from wampush.broker.users import UserIndex

USERS = ("7", "8", "staff", "")
GROUPS = ("staff", "red", "7")
TOPICS = ("t", "u")

identities = st.builds(
    Identity,
    user=st.none() | st.sampled_from(USERS),
    groups=st.frozensets(st.sampled_from(GROUPS)),
    source=st.just("token"),
) | st.just(ANONYMOUS)
user_ids = st.frozensets(st.sampled_from((*USERS, "nobody")))
group_ids = st.frozensets(st.sampled_from((*GROUPS, "nowhere")))


class PeopleAgainstModel(RuleBasedStateMachine):
    clients: Any = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.model: dict[Subscriber, tuple[Identity, set[str]]] = {}

    @rule(target=clients, identity=identities, topics=st.sets(st.sampled_from(TOPICS)))
    def opens(self, identity, topics):
        client = self.world.client(*topics, limit=100_000, identity=identity)
        self.model[client.subscriber] = identity, set(topics)
        return client

    @rule(client=clients, identity=identities)
    def becomes(self, client, identity):
        client.become(identity)
        self.model[client.subscriber] = identity, self.model[client.subscriber][1]

    @rule(client=consumes(clients), identity=identities)
    def becomes_somebody_who_may_not_be_here(self, client, identity):
        """The connection is dropped before the broker hears of the new identity."""
        client.subscriber.identity = identity
        self.world.clients.on_lost(client.subscriber)
        del self.model[client.subscriber]

    @rule(client=consumes(clients))
    def is_lost(self, client):
        self.world.clients.on_lost(client.subscriber)
        del self.model[client.subscriber]

    @rule(client=clients, topic=st.sampled_from(TOPICS))
    def subscribes(self, client, topic):
        self.world.broker.subscribe(client.subscriber, topic)
        self.model[client.subscriber][1].add(topic)

    @rule(
        data=st.data(),
        topic=st.sampled_from(TOPICS),
        users=st.none() | user_ids,
        groups=st.none() | group_ids,
        registered=st.booleans(),
        without_users=user_ids,
        without_groups=group_ids,
    )
    def is_published_to(
        self, data, topic, users, groups, registered, without_users, without_groups
    ):
        ids = st.frozensets(st.sampled_from([*self.world.broker.sessions, "gone"]))
        few: Any = st.just(frozenset()) | ids
        targets = Targets(
            users,
            groups,
            data.draw(st.none() | ids),
            registered,
            data.draw(st.just(frozenset()) | st.just(without_users)),
            data.draw(st.just(frozenset()) | st.just(without_groups)),
            data.draw(few),
        )
        audience = Audience(
            data.draw(few), data.draw(st.none() | ids), data.draw(st.none() | st.just(targets))
        )
        expected = {
            subscriber
            for subscriber, (identity, topics) in self.model.items()
            if topic in topics and is_meant(audience, subscriber.session_id, identity)
        }
        broker = self.world.broker
        subscribers = self.world.subscriptions.subscribers(topic)
        assert set(select(audience, subscribers, broker.users, broker.sessions)) == expected
        assert broker.publish(Publication(topic, b"1", audience)) == len(expected)

    @invariant()
    def they_agree(self):
        index = self.world.broker.users
        known = {subscriber: identity for subscriber, (identity, _) in self.model.items()}
        for user in (*USERS, "nobody"):
            sessions = {each for each, identity in known.items() if user and identity.user == user}
            assert index.of_user(user) == sessions
        for group in (*GROUPS, "nowhere"):
            sessions = {each for each, identity in known.items() if group in identity.groups}
            assert index.of_group(group) == sessions
        assert index.registered == {each for each, identity in known.items() if identity.user}
        for subscriber, identity in known.items():
            assert index.user_of(subscriber) == (identity.user or None)
        assert index.user_count == len({each.user for each in known.values() if each.user})

    def teardown(self):
        for subscriber in self.model:
            self.world.clients.on_lost(subscriber)
        assert vars(self.world.broker.users) == vars(UserIndex())


def is_meant(audience: Audience, session: str, identity: Identity) -> bool:
    """What the document says, word for word."""
    if session in audience.exclude:
        return False
    if audience.eligible is not None and session not in audience.eligible:
        return False
    to = audience.to
    if to is None:
        return True
    if identity.user and identity.user in to.exclude_users:
        return False
    if identity.groups & to.exclude_groups or session in to.exclude_sessions:
        return False
    if to.users is None and to.groups is None and to.sessions is None and not to.registered:
        return True
    return bool(
        (identity.user and (to.registered or identity.user in (to.users or ())))
        or identity.groups & (to.groups or frozenset())
        or session in (to.sessions or ())
    )


PeopleAgainstModel.TestCase.settings = settings(
    database=None, deadline=None, max_examples=30, stateful_step_count=40
)
TestPeople = PeopleAgainstModel.TestCase


def test_a_session_of_nobody_is_not_kept():
    world = World()
    client = world.client("t")
    client.become(Identity(language="de", source="callback"))
    assert vars(world.broker.users) == vars(UserIndex())


def test_nothing_keeps_a_session_that_is_gone():
    world = World()
    client: Client | None = world.client(identity=Identity("7", frozenset({"staff"})))
    assert client is not None
    reference = weakref.ref(client.subscriber)
    world.clients.on_lost(client.subscriber)
    client = None
    gc.collect()
    assert reference() is None


def test_fresh_credentials_of_the_same_user_change_no_index():
    world = World()
    client = world.client(identity=Identity("7", frozenset("a"), expires=1.0))
    before = world.broker.users._indexed[client.subscriber]
    client.become(Identity("7", frozenset("a"), expires=2.0))
    assert world.broker.users._indexed[client.subscriber] is before
    assert set(world.broker.users.of_user("7")) == {client.subscriber}
