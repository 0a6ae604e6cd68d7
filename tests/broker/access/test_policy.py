"""Which rule holds for a topic, and who may publish where no permission decides."""

from __future__ import annotations

import pytest

from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Policy, Publishing, TopicRule
from wampush.broker.identity import ANONYMOUS
from wampush.choices import Action, SlowClient
from wampush.config.tables.permissions import PermissionSettings

RULES = (
    TopicRule("prices.eur", SlowClient.DISCONNECT),
    TopicRule("prices.*", SlowClient.LATEST),
    TopicRule("log*", SlowClient.DROP_NEWEST),
    TopicRule("logbook", SlowClient.LATEST),
    TopicRule("a*b", SlowClient.LATEST),
)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("prices.eur", SlowClient.DISCONNECT),
        ("prices.usd", SlowClient.LATEST),
        ("prices.", SlowClient.LATEST),
        ("prices", SlowClient.DISCONNECT),
        ("prices.eur.x", SlowClient.LATEST),
        ("log", SlowClient.DROP_NEWEST),
        ("logbook", SlowClient.DROP_NEWEST),
        ("Log", SlowClient.DISCONNECT),
        ("a*b", SlowClient.LATEST),
        ("axb", SlowClient.DISCONNECT),
        ("other", SlowClient.DISCONNECT),
    ],
)
def test_the_first_rule_that_matches_a_topic_decides(topic, expected):
    assert Policy(Publishing.NOBODY, rules=RULES).slow_client(topic) is expected


def test_without_rules():
    assert Policy(Publishing.EVERYBODY).slow_client("x") is SlowClient.DISCONNECT


def test_a_star_matches_everything():
    policy = Policy(Publishing.EVERYBODY, rules=[TopicRule("*", SlowClient.LATEST)])
    assert policy.slow_client("x") is SlowClient.LATEST
    assert policy.slow_client("*") is SlowClient.LATEST


@pytest.mark.parametrize(
    ("topic", "expected"), [("room.1", True), ("room.quiet", False), ("room", False), ("x", False)]
)
def test_presence_is_on_where_the_first_matching_rule_says_so(topic, expected):
    rules = [
        TopicRule("room.quiet", SlowClient.DISCONNECT),
        TopicRule("room.*", SlowClient.DISCONNECT, presence=True),
    ]
    policy = Policy(Publishing.NOBODY, rules)
    assert policy.uses_presence
    assert policy.has_presence(topic) is expected
    assert not Policy(Publishing.NOBODY, RULES).uses_presence


PERMISSIONS = Permissions(
    [PermissionSettings("orders.*", (Action.SUBSCRIBE,), ("anyone",), allow=False)],
    default_decisions(),
    lambda: 0.0,
)


@pytest.mark.parametrize(
    ("publishing", "local", "remote"),
    [
        (Publishing.NOBODY, False, False),
        (Publishing.LOCAL, True, False),
        (Publishing.EVERYBODY, True, True),
    ],
)
def test_clients_that_may_publish_where_no_permission_decides(publishing, local, remote):
    policy = Policy(Publishing.NOBODY, permissions=PERMISSIONS).with_publishing(publishing)
    assert policy.publishing.includes(is_local=True) is local
    assert policy.publishing.includes(is_local=False) is remote
    for is_local, allowed in ((True, local), (False, remote)):
        granted = policy.effective(ANONYMOUS, is_local)["pubsub"]
        assert granted == [
            {"uri": "orders.", "prefix": True, "pub": allowed, "sub": False},
            {"uri": "", "prefix": True, "pub": allowed, "sub": True},
        ]


def test_the_permissions_object_without_rules():
    assert Policy(Publishing.LOCAL).effective(ANONYMOUS, is_local=True) == {
        "pubsub": [{"uri": "", "prefix": True, "pub": True, "sub": True}],
        "rpc": [{"uri": "", "call": True, "prefix": True}],
    }
    assert Policy(Publishing.LOCAL).effective(ANONYMOUS, is_local=False)["pubsub"] == [
        {"uri": "", "prefix": True, "pub": False, "sub": True}
    ]
    policy = Policy(Publishing.NOBODY, permissions=PERMISSIONS)
    assert policy.effective(ANONYMOUS, is_local=True) == PERMISSIONS.effective(ANONYMOUS)
