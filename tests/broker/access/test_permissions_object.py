"""The permissions object agrees with the decisions, and is short."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.access.permission_cases import (
    CALL,
    PUBLISH,
    RULES,
    SUBSCRIBE,
    defaults,
    identities,
    permissions,
    person,
    rule,
    rules,
    topics,
)
from wampush.broker.access.permission_rule import Rule
from wampush.broker.access.permissions_object import permissions_object
from wampush.broker.identity import ANONYMOUS
from wampush.choices import Action


@pytest.mark.parametrize("allowed", [True, False])
def test_without_rules_the_defaults_are_all(allowed):
    flags = dict.fromkeys(Action, allowed)
    everything = {
        "pubsub": [{"uri": "", "prefix": True, "pub": True, "sub": True}],
        "rpc": [{"uri": "", "call": True, "prefix": True}],
    }
    granted = permissions_object((), ANONYMOUS, flags)
    assert granted == (everything if allowed else {"pubsub": [], "rpc": []})


def test_a_rule_for_others_is_left_out():
    made = [Rule(1, rule("staff", to=["group:staff"]))]
    flags = dict.fromkeys(Action, False)
    assert permissions_object(made, ANONYMOUS, flags) == {"pubsub": [], "rpc": []}
    assert permissions_object(made, person("1", "staff"), flags) == {
        "pubsub": [{"uri": "staff", "prefix": False, "pub": True, "sub": True}],
        "rpc": [{"uri": "staff", "call": True}],
    }


def test_the_permissions_object_of_an_identity():
    assert RULES.effective(person("7", "x")) == {
        "pubsub": [
            {"uri": "group.x", "prefix": False, "pub": True, "sub": True},
            {"uri": "members", "prefix": False, "pub": True, "sub": True},
            {"uri": "orders.", "prefix": True, "pub": True, "sub": True},
            {"uri": "admin.", "prefix": True, "pub": False, "sub": False},
            {"uri": "", "prefix": True, "pub": False, "sub": True},
        ],
        "rpc": [
            {"uri": "admin.", "call": False, "prefix": True},
            {"uri": "", "call": True, "prefix": True},
        ],
    }


def test_what_is_denied_everywhere_is_not_listed():
    closed = permissions(
        rule("internal.*", allow=False),
        rule("api.now", actions=[Action.CALL]),
        rule("staff", to=["group:staff"]),
        subscribe="deny",
        call="deny",
    )
    assert closed.effective(ANONYMOUS) == {"pubsub": [], "rpc": [{"uri": "api.now", "call": True}]}


def test_many_groups_cost_little_more_than_few():
    rows = [rule(f"{number}.{{group}}.*") for number in range(5)]
    granted = permissions(*rows).effective(person("1", *map(str, range(500))))
    assert len(granted["pubsub"]) == 2501


def looked_up(entries, topic, key):
    for entry in entries:
        if topic == entry["uri"] or (entry.get("prefix") and topic.startswith(entry["uri"])):
            return entry[key]
    return False


@given(st.lists(rules, max_size=6), identities, topics, defaults)
@settings(database=None, deadline=None, max_examples=300)
def test_the_permissions_object_agrees_with_every_decision(rows, identity, topic, preset):
    rules = permissions(*rows, **preset)
    granted = rules.effective(identity)
    for action, table, key in (
        (SUBSCRIBE, "pubsub", "sub"),
        (PUBLISH, "pubsub", "pub"),
        (CALL, "rpc", "call"),
    ):
        expected = rules.decide(identity, action, topic).allowed
        assert looked_up(granted[table], topic, key) is expected
