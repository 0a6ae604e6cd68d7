"""Who may publish where no permission decides."""

from __future__ import annotations

import pytest

from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Policy, Publishing
from wampush.broker.identity import ANONYMOUS
from wampush.choices import Action
from wampush.config.tables.permissions import PermissionSettings

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
