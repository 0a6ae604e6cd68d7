"""What changes with the identity of a session, and in which order."""

from __future__ import annotations

import pytest

from tests.broker.world import World
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Policy, Publishing
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.identity_change import change_identity
from wampush.choices import Action, DefaultPermission
from wampush.config.tables.permissions import PermissionSettings


@pytest.fixture
def world():
    return World()


def test_a_session_becomes_somebody_only_if_its_connection_goes_on(world):
    client = world.client()
    alice = Identity("alice", source="cra")
    client.peer.accepts = False
    assert not change_identity(world.broker, client.subscriber, alice)
    assert client.subscriber.identity is ANONYMOUS
    assert world.broker.users.user_count == 0
    client.peer.accepts = True
    assert change_identity(world.broker, client.subscriber, alice)
    assert client.subscriber.identity is alice
    assert set(world.broker.users.of_user("alice")) == {client.subscriber}
    assert client.peer.identities == [alice, alice]


def test_a_session_that_is_not_open_yet_opens_as_what_it_has_become(world):
    client = world.client()
    world.broker.on_lost(client.subscriber)
    assert not change_identity(world.broker, client.subscriber, Identity("7"))
    assert client.subscriber.identity.user == "7"
    assert world.broker.users.user_count == 0


def test_subscriptions_that_the_new_identity_may_not_have_end():
    world = World(auto_subscribe=("all",))
    entries = [PermissionSettings("staff", (Action.SUBSCRIBE,), ("group:staff",))]
    permissions = Permissions(
        entries, default_decisions(subscribe=DefaultPermission.DENY), lambda: 0.0
    )
    world.broker.policy = Policy(Publishing.NOBODY, permissions)
    client = world.client("staff", identity=Identity("7", frozenset({"staff"})))
    assert world.broker.requested_count(client.subscriber) == 1
    change_identity(world.broker, client.subscriber, Identity("7", frozenset({"staff", "more"})))
    assert world.subscriptions.topics(client.subscriber) == {"all", "staff"}
    change_identity(world.broker, client.subscriber, Identity("7"))
    assert world.subscriptions.topics(client.subscriber) == {"all"}
    assert world.broker.requested_count(client.subscriber) == 0


def test_automatic_topics_are_exchanged():
    world = World(auto_subscribe=("all", "of.{user}"))
    client = world.client("own", identity=Identity("7"))
    assert change_identity(world.broker, client.subscriber, Identity("8"))
    assert world.subscriptions.topics(client.subscriber) == {"own", "all", "of.8"}
