"""Topics that a session gets without asking: at the start, at a change, and against its limits."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.world import World
from tests.support.limits import request_limits
from tests.support.log_lines import reporting_to
from wampush.broker.access.auto_subscribe import AutoSubscribe
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.identity import ANONYMOUS, AWAITING, Identity
from wampush.broker.publication import Publication
from wampush.choices import DefaultPermission

PATTERNS = ("user.{user}", "group.{group}", "broadcast")


def identity(user, *groups, source="token"):
    return Identity(user=user, groups=frozenset(groups), source=source)


def world_with(*patterns, **more):
    return World(auto_subscribe=patterns, **more)


@pytest.fixture
def world():
    return world_with(*PATTERNS)


def topics(world, client):
    return set(world.subscriptions.topics(client.subscriber))


def events(client):
    return [json.loads(text)[1:] for text in client.texts]


# At the start


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (ANONYMOUS, {"broadcast"}),
        (identity("7"), {"broadcast", "user.7"}),
        (identity("7", "a", "b"), {"broadcast", "user.7", "group.a", "group.b"}),
        (identity(None, "a"), {"broadcast", "group.a"}),
        (identity("", "a"), {"broadcast", "group.a"}),
        (Identity(source=AWAITING), set()),
        (identity("*", "{user}"), {"broadcast", "user.*", "group.{user}"}),
        (identity("{group}", "*"), {"broadcast", "user.{group}", "group.*"}),
        (identity("é 1", "ü/2"), {"broadcast", "user.é 1", "group.ü/2"}),
    ],
)
def test_topics_of_a_new_session(world, who, expected):
    client = world.client(identity=who)
    assert topics(world, client) == expected
    for topic in ("user.7", "user.8", "group.a", "broadcast"):
        world.broker.publish(Publication(topic, b"1"))
    world.end_turn()
    assert events(client) == [
        [each, 1] for each in ("user.7", "group.a", "broadcast") if each in expected
    ]


def test_welcome_is_the_first_message(world):
    client = world.client(identity=identity("7"))
    assert bytes(client.wire.received).partition(b":")[2].startswith(b"[0,")


def test_without_patterns_nobody_is_subscribed_to_anything():
    world = World()
    assert topics(world, world.client(identity=identity("7", "a"))) == set()


def test_both_placeholders_in_one_topic():
    world = world_with("shop/{group}/user/{user}")
    assert topics(world, world.client(identity=identity("7", "a", "b"))) == {
        "shop/a/user/7",
        "shop/b/user/7",
    }
    assert topics(world, world.client(identity=identity("7"))) == set()
    assert topics(world, world.client(identity=identity(None, "a"))) == set()


# What can not be put in


def test_a_user_never_gets_a_topic_made_for_another_one():
    world = world_with("user.{user}", "user.{user}.orders")
    client = world.client(identity=identity("7.orders"))
    assert topics(world, client) == set()
    world.client(identity=identity("8.orders"))
    first, second = world.lines
    assert first == (
        "clients.auto_subscribe: 'user.{user}' is left out for some sessions: "
        "user '7.orders' contains '.'"
    )
    assert "'user.{user}.orders'" in second


def test_of_several_groups_the_usable_ones_are_put_in(world):
    assert topics(world, world.client(identity=identity("7", "a", "a.b"))) == {
        "broadcast",
        "user.7",
        "group.a",
    }
    (line,) = world.lines
    assert line.endswith("group 'a.b' contains '.'")


def test_topics_that_are_too_long_are_left_out():
    world = world_with("user.{user}", "group.{group}", topic_bytes=20)
    long, fits = "é" * 8, "é" * 7
    assert topics(world, world.client(identity=identity(long, fits))) == {f"group.{fits}"}
    assert topics(world, world.client(identity=identity(fits, long))) == {f"user.{fits}"}
    second, first = sorted(world.lines)
    allowed = "bytes; limits.topic_bytes allows 20"
    assert first.startswith("clients.auto_subscribe: 'user.{user}' is left out")
    assert first.endswith(f"the topic would have 21 {allowed}")
    assert second.startswith("clients.auto_subscribe: 'group.{group}' is left out")
    assert second.endswith(f"the topic would have 22 {allowed}")


names = st.text(alphabet="ab.*{}/", max_size=6)


@settings(database=None, deadline=None, max_examples=200)
@given(names, names, st.frozensets(names, max_size=3), st.frozensets(names, max_size=3))
def test_two_users_share_only_what_is_for_their_groups_or_for_all(one, other, groups, others):
    patterns = ("user.{user}", "user.{user}.mail", "group.{group}", "in.{group}.of.{user}", "all")
    lines: list[str] = []
    automatic = AutoSubscribe(patterns, 1024, reporting_to(lines.append))
    mine, theirs = identity(one, *groups), identity(other, *others)
    shared = automatic.topics(mine) & automatic.topics(theirs)
    if one != other:
        assert shared <= {"all"} | {f"group.{each}" for each in groups & others}
    else:
        assert {topic for topic in automatic.topics(mine) if topic.startswith("user.")} <= shared


# At a change


def test_a_change_exchanges_what_only_one_of_the_two_has(world):
    client = world.client("own", identity=identity("7", "a", "b"))
    client.become(identity("8", "b", "c"))
    assert topics(world, client) == {"own", "broadcast", "user.8", "group.b", "group.c"}
    client.become(ANONYMOUS)
    assert topics(world, client) == {"own", "broadcast"}
    assert world.subscriptions.subscribers("user.8") == set()


def test_a_session_that_proves_whose_it_is_gets_its_topics_then(world):
    client = world.client(identity=Identity(source=AWAITING))
    world.broker.publish(Publication("broadcast", b"0"))
    client.become(identity("7", source="cra"))
    world.broker.publish(Publication("broadcast", b"1"))
    world.broker.publish(Publication("user.7", b"2"))
    world.end_turn()
    assert events(client) == [["broadcast", 1], ["user.7", 2]]


def test_a_change_takes_effect_at_its_place(world):
    client = world.client(identity=identity("7"))
    witness = world.client("user.7", "user.8")
    for number in range(6):
        if number == 2:
            client.become(identity("8"))
        if number == 4:
            client.become(identity("7"))
        world.broker.publish(Publication("user.7", b"%d" % number))
    world.end_turn()
    assert [data for _, data in events(client)] == [0, 1, 4, 5]
    assert [data for _, data in events(witness)] == list(range(6))


def test_a_topic_of_the_old_identity_ends_also_where_the_page_has_subscribed_to_it(world):
    """AutobahnJS needs the subscription; it must not outlast the group."""
    client = world.client(identity=identity("7", "staff"))
    world.says(client, '[5,"group.staff"]')
    client.become(identity("7"))
    assert topics(world, client) == {"broadcast", "user.7"}


# Beside what the client does


def test_subscribing_to_it_as_well_changes_nothing(world):
    client = world.client(identity=identity("7"))
    world.says(client, '[5,"user.7"]')
    world.says(client, '[5,"broadcast"]')
    assert world.broker.publish(Publication("user.7", b"1")) == 1
    world.end_turn()
    assert events(client) == [["user.7", 1]]


def test_unsubscribing_ends_it_for_that_session_and_stays_so(world):
    client, other = (world.client(identity=identity("7")) for _ in range(2))
    world.says(client, '[6,"user.7"]')
    world.says(client, '[6,"broadcast"]')
    client.become(identity("7", "a"))
    assert topics(world, client) == {"group.a"}
    assert topics(world, other) == {"broadcast", "user.7"}
    client.become(identity("8"))
    assert topics(world, client) == {"user.8"}
    world.says(client, '[5,"broadcast"]')
    assert topics(world, client) == {"user.8", "broadcast"}


def test_a_lost_session_leaves_nothing(world):
    world.clients.on_lost(world.client(identity=identity("7", "a", "b")).subscriber)
    assert (world.subscriptions.topic_count, world.subscriptions.subscription_count) == (0, 0)


def test_limits_neither_refuse_it_nor_count_it(world):
    world.serve(limits=request_limits(subscriptions=2, topics=5))
    client = world.client(identity=identity("7", "a", "b", "c", "d", "e"))
    automatic = topics(world, client)
    assert len(automatic) == 7
    assert world.broker.requested_count(client.subscriber) == 0
    other = world.client("x", "y", identity=identity("7"))
    for topic in ("group.a", "x", "y", "group.b"):
        world.says(client, json.dumps([5, topic]))
    assert topics(world, client) == automatic | {"x", "y"}
    assert world.ledger.refusals() == {}
    world.says(client, '[5,"user.8"]')
    world.client("user.8", identity=identity("8"))
    world.says(client, '[5,"user.8"]')
    world.says(client, '[5,"x"]')
    assert topics(world, client) == automatic | {"x", "y"}
    assert world.ledger.refusals() == {"too-many-subscriptions": 2}
    assert world.broker.requested_count(client.subscriber) == 2
    assert topics(world, other) == {"x", "y", "user.7", "broadcast"}


def test_permissions_are_not_asked_for_it(world):
    permissions = Permissions((), default_decisions(subscribe=DefaultPermission.DENY), lambda: 0.0)
    world.broker.policy = dataclasses.replace(world.broker.policy, permissions=permissions)
    client = world.client("own", identity=identity("7"))
    assert topics(world, client) == {"own", "user.7", "broadcast"}
    world.says(client, '[5,"user.7"]')
    assert world.ledger.refusals() == {}
    client.become(identity("7", "a"))
    assert topics(world, client) == {"user.7", "broadcast", "group.a"}
    world.says(client, '[6,"user.7"]')
    world.says(client, '[5,"user.7"]')
    assert topics(world, client) == {"broadcast", "group.a"}
    assert world.ledger.refusals() == {"subscribe-forbidden": 1}
