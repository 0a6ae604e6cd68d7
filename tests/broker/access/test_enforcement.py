"""What the broker does with a permission: on the wire, in the counters, in the log."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.broker.world import World
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Publishing
from wampush.broker.identity import Identity
from wampush.broker.identity_change import change_identity
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.choices import Action
from wampush.config.tables.permissions import PermissionSettings
from wampush.wamp.uris import ERROR_FORBIDDEN, ERROR_NO_SUCH_PROCEDURE

ALICE = Identity(user="alice", groups=frozenset({"staff"}), source="token")
RULES = (
    PermissionSettings("user.{user}.*", (Action.SUBSCRIBE, Action.PUBLISH), ("authenticated",)),
    PermissionSettings("staff", (Action.SUBSCRIBE, Action.PUBLISH), ("group:staff",), max_bytes=5),
    PermissionSettings("chat", (Action.PUBLISH,), ("anyone",), per_second=2.0),
    PermissionSettings("api.slow", (Action.CALL,), ("anyone",), per_second=1.0),
    PermissionSettings("api.small", (Action.CALL,), ("anyone",), max_bytes=40),
    PermissionSettings("api.*", (Action.CALL,), ("group:staff",)),
)


@pytest.fixture
def world():
    return world_with(*RULES, call="deny")


def world_with(*rules, **defaults):
    made = World()
    permissions = Permissions(rules, default_decisions(**defaults), lambda: made.clock.now)
    always = defaults.get("publish") == "always"
    publishing = Publishing.EVERYBODY if always else Publishing.NOBODY
    made.broker.policy = dataclasses.replace(
        made.broker.policy, publishing=publishing, permissions=permissions
    )
    return made


def test_subscriptions_need_a_permission():
    world = world_with(
        RULES[0], PermissionSettings("user.*", (Action.SUBSCRIBE,), ("anyone",), allow=False)
    )
    alice, nobody = world.client(), world.client()
    alice.become(ALICE)
    for client in (alice, nobody):
        for topic in ("user.alice.inbox", "user.bob.inbox", "public"):
            world.says(client, json.dumps([5, topic]))
    world.end_turn()
    assert set(world.subscriptions.topics(alice.subscriber)) == {"user.alice.inbox", "public"}
    assert set(world.subscriptions.topics(nobody.subscriber)) == {"public"}
    push_to_alice = Publication("user.alice.inbox", b"1")
    assert world.broker.publish(push_to_alice) == 1


def test_refused_subscriptions_are_silent_counted_and_logged():
    world = world_with(RULES[0], subscribe="deny")
    alice = world.client()
    alice.become(ALICE)
    world.says(alice, '[5,"user.alice.inbox"]')
    world.says(alice, '[5,"user.bob.inbox"]')
    world.end_turn()
    assert set(world.subscriptions.topics(alice.subscriber)) == {"user.alice.inbox"}
    assert alice.texts == []
    assert world.ledger.refusals() == {"subscribe-forbidden": 1}
    assert world.ledger.received[Source.CLIENT] == 2
    (line,) = world.lines
    assert f"session {alice.id}" in line
    assert "Topic 'user.bob.inbox', user 'alice': clients.subscribe = \"deny\"." in line


def test_refused_publications_reach_nobody(world):
    alice, other = world.client("staff"), world.client("staff", "else")
    for text in ('[7,"staff",1]', '[7,"else",1]'):
        world.says(other, text)
    world.end_turn()
    assert alice.texts == []
    assert world.ledger.refusals() == {"publish-forbidden": 2}
    alice.become(ALICE)
    world.says(alice, '[7,"staff",12345]')
    world.says(alice, '[7,"staff",123456]')
    world.end_turn()
    assert other.texts == [b'[8,"staff",12345]']
    assert world.ledger.refusals() == {"publish-forbidden": 2, "publish-too-large": 1}
    assert alice.texts == []


def test_a_refused_call_is_logged_with_its_procedure():
    world = world_with(RULES[0], call="deny")
    world.says(world.client(), '[2,"1","shop.add"]')
    (line,) = world.lines
    assert "Procedure or action 'shop.add', user None: clients.call = \"deny\"." in line


def test_the_rate_of_a_session(world):
    first, second = world.client(), world.client("chat")
    assert first.subscriber.buckets is None
    for number in range(4):
        world.says(first, f'[7,"chat",{number}]')
    world.says(second, '[7,"chat","mine",false]')
    world.clock.advance(0.5)
    world.says(first, '[7,"chat",4]')
    world.says(first, '[7,"chat",5]')
    world.end_turn()
    assert [json.loads(text)[2] for text in second.texts] == [0, 1, "mine", 4]
    assert world.ledger.refusals() == {"rate-exceeded": 3}


def answers(client):
    return [json.loads(text) for text in client.texts]


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        (['[2,"1","other"]'], "call-forbidden"),
        (['[2,"1","api.other"]'], "call-forbidden"),
        (['[2,"0","api.slow"]', '[2,"1","api.slow"]'], "rate-exceeded"),
        (['[2,"1","api.small","12345678901234567890"]'], "call-too-large"),
    ],
)
def test_a_refused_call_is_answered(world, calls, reason):
    client = world.client()
    for call in calls:
        world.says(client, call)
    world.end_turn()
    kind, call_id, uri, description, details = answers(client)[-1]
    assert (kind, call_id, uri) == (4, "1", ERROR_FORBIDDEN)
    assert details == {"reason": reason}
    assert description
    assert world.ledger.refusals() == {reason: 1}
    assert len(answers(client)) == len(calls)


def test_an_allowed_call_is_carried_out(world):
    client = world.client()
    client.become(ALICE)
    world.serve({"api.who": lambda subscriber, _: subscriber.identity.user})
    world.says(client, '[2,"1","api.who"]')
    world.says(client, '[2,"2","api.small"]')
    world.end_turn()
    assert answers(client)[0] == [3, "1", "alice"]
    assert answers(client)[1][2] == ERROR_NO_SUCH_PROCEDURE
    assert world.ledger.refusals() == {}


def test_a_change_of_identity_ends_what_the_new_one_may_not_have():
    world = world_with(RULES[0], RULES[1], subscribe="deny")
    client = world.client()
    client.become(ALICE)
    for topic in ("user.alice.a", "user.alice.b", "staff"):
        world.says(client, json.dumps([5, topic]))
    fresh = dataclasses.replace(ALICE, groups=frozenset())

    def refresh(subscriber, call):
        world.change(subscriber, fresh)
        return call.arguments[0]

    world.serve({"wampush.refresh": refresh})
    world.says(client, '[2,"1","wampush.refresh","token"]')
    world.end_turn()
    assert answers(client) == [[3, "1", "token"]]
    assert set(world.subscriptions.topics(client.subscriber)) == {"user.alice.a", "user.alice.b"}
    assert not world.subscriptions.subscribers("staff")


def test_a_session_keeps_its_topics_until_its_identity_is_reviewed():
    world = world_with(RULES[0], subscribe="deny")
    client = world.client("staff")
    world.serve({"other": lambda *_: None})
    world.says(client, '[2,"1","other"]')
    assert world.subscriptions.subscribers("staff")
    change_identity(world.broker, client.subscriber, client.subscriber.identity)
    assert not world.subscriptions.subscribers("staff")


def test_events_before_a_review_are_delivered_and_none_after():
    world = world_with(subscribe="deny")
    client = world.client("a", "b")
    world.broker.publish(Publication("a", b"1"))
    change_identity(world.broker, client.subscriber, client.subscriber.identity)
    world.broker.publish(Publication("a", b"2"))
    world.end_turn()
    assert client.texts == [b'[8,"a",1]']


def test_without_permissions_a_review_changes_nothing():
    world = World()
    client = world.client("a")
    change_identity(world.broker, client.subscriber, client.subscriber.identity)
    assert world.subscriptions.subscribers("a")


def test_untrusted_values_are_shortened_and_quoted_in_the_log():
    world = world_with(subscribe="deny")
    client = world.client()
    client.become(Identity(user="x\n\x1b[31m" + "u" * 5000, source="token"))
    world.says(client, json.dumps([5, "t\r\n" + "é" * 40]))
    (line,) = world.lines
    assert line.isprintable()
    assert "user 'x\\n\\x1b[31m" in line
    assert len(line) < 900
