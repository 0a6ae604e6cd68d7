"""Rules, identities and topics for tests of permissions."""

from __future__ import annotations

from hypothesis import strategies as st

from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.identity import Identity
from wampush.choices import Action
from wampush.config.tables.permissions import PermissionSettings

SUBSCRIBE, PUBLISH, CALL = Action.SUBSCRIBE, Action.PUBLISH, Action.CALL
ALL = (SUBSCRIBE, PUBLISH, CALL)


def rule(match, actions=ALL, to=("anyone",), **more):
    return PermissionSettings(match, tuple(actions), tuple(to), **more)


def person(user=None, *groups):
    return Identity(user=user, groups=frozenset(groups), source="token")


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def permissions(*rules, clock=None, **defaults):
    return Permissions(rules, default_decisions(**defaults), clock or Clock())


RULES = permissions(
    rule("orders.secret", to=["group:audit"], actions=[Action.SUBSCRIBE]),
    rule("orders.*", to=["group:staff", "user:7"]),
    rule("orders.*", actions=[Action.SUBSCRIBE], allow=False),
    rule("user.{user}.*", actions=[Action.SUBSCRIBE], to=["authenticated"]),
    rule("group.{group}", actions=[Action.SUBSCRIBE, Action.PUBLISH], to=["anyone"]),
    rule("members", actions=[Action.PUBLISH], to=["authenticated"]),
    rule("admin.*", allow=False, to=["anyone"]),
    rule("api/{group}/{user}", actions=[Action.CALL], to=["group:staff"]),
)
STAFF = person("1", "staff")
BOTH = person("2", "audit", "staff")

VALUES = ["a", "b", "a.b", "*", "{user}", "{group}", "", "ab"]
PATTERNS = [
    "*", "a", "a*", "a.*", "ab", "u.{user}", "u.{user}.*", "u.{user}.a", "{group}.{user}",
    "{group}.*", "{user}", "g.{group}.{group}", "u.a.*", "u.*", "u.a", "{user}.{group}.*",
]  # fmt: skip
RECEIVERS = ["anyone", "authenticated", "user:a", "user:b", "group:a", "group:b", "user:a.b"]
rules = st.builds(
    PermissionSettings,
    st.sampled_from(PATTERNS),
    st.lists(st.sampled_from(ALL), min_size=1, max_size=3, unique=True).map(tuple),
    st.lists(st.sampled_from(RECEIVERS), min_size=1, max_size=2, unique=True).map(tuple),
    st.booleans(),
)
identities = st.builds(
    lambda user, groups: person(user, *groups),
    st.none() | st.sampled_from(VALUES),
    st.lists(st.sampled_from(VALUES), max_size=3),
)
topics = st.lists(st.sampled_from(["u", "g", "a", "b", "*", "{user}", ""]), max_size=4).map(
    ".".join
)
defaults = st.fixed_dictionaries(
    {
        "subscribe": st.sampled_from(["allow", "deny"]),
        "publish": st.sampled_from(["always", "never"]),
        "call": st.sampled_from(["allow", "deny"]),
    }
)
