"""Who may do what, and who may publish where no permission decides."""

from __future__ import annotations

import pytest

from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Policy, Publishing
from wampush.broker.access.token_bucket import TokenBucket
from wampush.broker.identity import ANONYMOUS
from wampush.choices import Action
from wampush.config.tables.permissions import PermissionSettings
from wampush.errors import Refusal

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


def test_without_permissions_everybody_may_subscribe_and_call():
    policy = Policy(Publishing.NOBODY)
    assert policy.may_subscribe(ANONYMOUS, "orders.7")
    for action in (Action.SUBSCRIBE, Action.CALL):
        decision = policy.decide(ANONYMOUS, action, "orders.7")
        assert (decision.allowed, decision.refusal) == (True, None)
        buckets: dict[int, TokenBucket] = {}
        assert policy.spend(decision, buckets) is decision
        assert not buckets


@pytest.mark.parametrize("permissions", [None, PERMISSIONS])
def test_publishing_by_default_depends_on_where_a_client_is(permissions):
    policy = Policy(Publishing.LOCAL, permissions)
    local = policy.decide(ANONYMOUS, Action.PUBLISH, "orders.7", 10, is_local=True)
    remote = policy.decide(ANONYMOUS, Action.PUBLISH, "orders.7", 10)
    assert (local.allowed, local.refusal) == (True, None)
    assert (remote.allowed, remote.refusal) == (False, Refusal.PUBLISH_FORBIDDEN)
    assert remote.why == Publishing.LOCAL.value


def test_a_permission_decides_whatever_the_default_is():
    rules = [
        PermissionSettings("chat", (Action.PUBLISH,), ("anyone",), per_second=1.0),
        PermissionSettings("orders.*", (Action.SUBSCRIBE,), ("anyone",), allow=False),
    ]
    policy = Policy(Publishing.NOBODY, Permissions(rules, default_decisions(), lambda: 0.0))
    decision = policy.decide(ANONYMOUS, Action.PUBLISH, "chat")
    assert (decision.allowed, decision.rule) == (True, 1)
    buckets: dict[int, TokenBucket] = {}
    assert policy.spend(decision, buckets).allowed
    assert policy.spend(decision, buckets).refusal is Refusal.RATE_EXCEEDED
    assert not policy.may_subscribe(ANONYMOUS, "orders.7")
    assert policy.decide(ANONYMOUS, Action.SUBSCRIBE, "orders.7").rule == 2
    assert policy.may_subscribe(ANONYMOUS, "chat")
