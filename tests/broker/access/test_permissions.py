"""Which rule decides: tables, a plain model, payloads and rates."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.access.permission_cases import (
    BOTH,
    CALL,
    PATTERNS,
    PUBLISH,
    RULES,
    STAFF,
    SUBSCRIBE,
    Clock,
    defaults,
    identities,
    permissions,
    person,
    rule,
    rules,
    topics,
)
from wampush.broker.access.permissions import ALWAYS_CALLABLE
from wampush.broker.access.token_bucket import TokenBucket
from wampush.broker.identity import ANONYMOUS
from wampush.choices import Action
from wampush.config.checks.permissions import PERMISSION_PATTERN
from wampush.errors import Refusal
from wampush.wamp.uris import PRESENCE_CHANGES


@pytest.mark.parametrize(
    ("identity", "action", "topic", "allowed", "number"),
    [
        (ANONYMOUS, SUBSCRIBE, "news", True, None),
        (ANONYMOUS, PUBLISH, "news", False, None),
        (ANONYMOUS, CALL, "news", True, None),
        (ANONYMOUS, SUBSCRIBE, "orders.1", False, 3),
        (ANONYMOUS, PUBLISH, "orders.1", False, None),
        (ANONYMOUS, SUBSCRIBE, "orders", True, None),
        (ANONYMOUS, SUBSCRIBE, "orders.", False, 3),
        (STAFF, SUBSCRIBE, "orders.1", True, 2),
        (STAFF, PUBLISH, "orders.1", True, 2),
        (STAFF, SUBSCRIBE, "orders.secret", True, 2),
        (BOTH, SUBSCRIBE, "orders.secret", True, 1),
        (BOTH, SUBSCRIBE, "orders.secrets", True, 2),
        (person("7"), CALL, "orders.x", True, 2),
        (person("77"), SUBSCRIBE, "orders.x", False, 3),
        (person("staff"), SUBSCRIBE, "orders.x", False, 3),
        (person(None, "7"), SUBSCRIBE, "orders.x", False, 3),
        (person("7"), SUBSCRIBE, "user.7.inbox", True, 4),
        (person("7"), SUBSCRIBE, "user.7.", True, 4),
        (person("7"), SUBSCRIBE, "user.7", True, None),
        (person("7"), PUBLISH, "user.7.inbox", False, None),
        (person("7", "x", "y"), SUBSCRIBE, "group.x", True, 5),
        (person("7", "x", "y"), PUBLISH, "group.y", True, 5),
        (person(None, "y"), PUBLISH, "group.y", True, 5),
        (person("7", "x", "y"), PUBLISH, "group.z", False, None),
        (person("7", "x", "y"), PUBLISH, "group.x.y", False, None),
        (person("7"), PUBLISH, "members", True, 6),
        (ANONYMOUS, PUBLISH, "members", False, None),
        (person(""), PUBLISH, "members", False, None),
        (person("7", "staff"), CALL, "admin.stop", False, 7),
        (person("7", "staff", "b"), CALL, "api/staff/7", True, 8),
        (person("7", "staff", "b"), CALL, "api/b/7", True, 8),
        (person("7", "staff", "b"), CALL, "api/c/7", True, None),
    ],
)
def test_the_first_rule_for_action_identity_and_topic_decides(
    identity, action, topic, allowed, number
):
    decision = RULES.decide(identity, action, topic)
    assert (decision.allowed, decision.rule) == (allowed, number)
    assert (decision.refusal is None) is allowed
    assert decision.why


@pytest.mark.parametrize(
    ("defaults", "allowed"),
    [
        ({}, (True, False, True)),
        ({"subscribe": "deny", "call": "deny"}, (False, False, False)),
        ({"publish": "always"}, (True, True, True)),
        ({"publish": "never"}, (True, False, True)),
    ],
)
def test_without_a_rule_the_default_decides(defaults, allowed):
    decisions = [permissions(**defaults).decide(ANONYMOUS, action, "x") for action in Action]
    assert tuple(each.allowed for each in decisions) == allowed
    assert all(each.rule is None for each in decisions)
    assert decisions[0].why == f'clients.subscribe = "{defaults.get("subscribe", "allow")}"'


def test_the_reason_names_rule_pattern_and_receivers():
    assert RULES.decide(STAFF, PUBLISH, "orders.1").why == (
        "permissions[2] allows publish on 'orders.*' to group:staff, user:7"
    )
    assert RULES.decide(STAFF, CALL, "admin.x").why == (
        "permissions[7] denies call on 'admin.*' to anyone"
    )


def test_the_reason_of_a_rule_for_many_stays_short():
    many = permissions(rule("a", to=[f"user:{number}" for number in range(1000)]))
    why = many.decide(person("999"), CALL, "a").why
    assert why.endswith(" to user:0, user:1, user:2, user:3, user:4 and 995 more")


@pytest.mark.parametrize("procedure", sorted(ALWAYS_CALLABLE))
def test_procedures_about_the_session_are_always_callable(procedure):
    closed = permissions(rule("*", allow=False), call="deny")
    assert closed.decide(ANONYMOUS, CALL, procedure).allowed
    assert not closed.decide(ANONYMOUS, SUBSCRIBE, procedure).allowed
    assert not closed.decide(ANONYMOUS, CALL, procedure + "x").allowed


# Who is on a topic.


@pytest.mark.parametrize(
    ("identity", "topic", "allowed", "number"),
    [
        (STAFF, "orders.1", True, None),
        (ANONYMOUS, "orders.1", False, 3),
        (ANONYMOUS, "news", True, None),
        (person("7"), "user.7.inbox", True, None),
    ],
)
def test_watching_a_topic_takes_its_permission(identity, topic, allowed, number):
    decision = RULES.decide(identity, SUBSCRIBE, PRESENCE_CHANGES + topic)
    assert (decision.allowed, decision.rule) == (allowed, number)


def test_watching_takes_a_permission_of_its_own_too():
    closed = permissions(rule(PRESENCE_CHANGES + "*", allow=False))
    assert closed.decide(ANONYMOUS, SUBSCRIBE, "news").allowed
    assert closed.decide(ANONYMOUS, SUBSCRIBE, PRESENCE_CHANGES + "news").rule == 1


# A plain model.


def is_for(to, identity):
    names = {"anyone"} | {f"group:{group}" for group in identity.groups}
    if identity.user:
        names |= {"authenticated", f"user:{identity.user}"}
    return bool(names & set(to))


def is_about(match, identity, topic):
    for group in identity.groups or {None}:
        values = {"{user}": identity.user, "{group}": group}
        usable = True
        pattern = ""
        tokens = re.split(r"(\{user\}|\{group\})", match)
        for at, token in enumerate(tokens):
            if at % 2:
                separators = tokens[at - 1][-1:] + tokens[at + 1][:1]
                value = values[token]
                usable = usable and bool(value) and not set(value) & set(separators)
                pattern += re.escape(value or "")
            elif token.endswith("*"):
                pattern += re.escape(token[:-1]) + ".*"
            else:
                pattern += re.escape(token)
        if usable and re.fullmatch(pattern, topic, re.DOTALL):
            return True
    return False


def answer_of_the_model(rows, identity, action, topic, preset):
    for number, row in enumerate(rows, 1):
        concerned = action.value in row.actions and is_for(row.to, identity)
        if concerned and is_about(row.match, identity, topic):
            return row.allow, number
    return preset[action.value] in ("allow", "always"), None


@given(st.lists(rules, max_size=6), identities, st.sampled_from(Action), topics, defaults)
@settings(database=None, deadline=None, max_examples=300)
def test_decisions_are_those_of_a_plain_model(rows, identity, action, topic, preset):
    decision = permissions(*rows, **preset).decide(identity, action, topic)
    expected = answer_of_the_model(rows, identity, action, topic, preset)
    assert (decision.allowed, decision.rule) == expected


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_patterns_of_these_tests_are_usable(pattern):
    assert PERMISSION_PATTERN.check(pattern) == pattern


# Payloads and rates.


@pytest.mark.parametrize(
    ("action", "size", "refusal"),
    [
        (PUBLISH, 10, None),
        (PUBLISH, 11, Refusal.PUBLISH_TOO_LARGE),
        (CALL, 10, None),
        (CALL, 11, Refusal.CALL_TOO_LARGE),
        (SUBSCRIBE, 11, None),
    ],
)
def test_the_longest_payload(action, size, refusal):
    rules = permissions(rule("a", max_bytes=10), rule("*"), publish="always")
    decision = rules.decide(ANONYMOUS, action, "a", size)
    assert decision.refusal is refusal
    assert decision.allowed is (refusal is None)
    assert decision.rule == 1
    if refusal is not None:
        assert decision.why.endswith(", at most 10 bytes; it had 11")
    assert rules.decide(ANONYMOUS, action, "b", size).allowed


def test_the_rate_is_of_one_session_and_one_rule():
    clock = Clock()
    rules = permissions(
        rule("a", per_second=1.0), rule("b*", per_second=2.0), clock=clock, publish="always"
    )
    first: dict[int, TokenBucket] = {}
    second: dict[int, TokenBucket] = {}

    def may(topic, buckets, action=PUBLISH):
        return rules.spend(rules.decide(ANONYMOUS, action, topic), buckets).allowed

    assert may("a", first)
    assert not may("a", first)
    assert not may("a", first, SUBSCRIBE)
    assert may("a", second)
    assert may("b1", first)
    assert may("b2", first)
    assert not may("b3", first)
    assert may("c", first)
    assert set(first) == {1, 2}
    clock.now += 1.0
    assert may("a", first)
    refused = rules.spend(rules.decide(ANONYMOUS, PUBLISH, "a"), first)
    assert refused.refusal is Refusal.RATE_EXCEEDED
    assert refused.rule == 1
    assert refused.why.endswith(", 1 per second in one session")


def test_refused_actions_do_not_count_against_the_rate():
    rules = permissions(rule("a", per_second=1.0, max_bytes=1))
    buckets: dict[int, TokenBucket] = {}
    assert not rules.spend(rules.decide(ANONYMOUS, PUBLISH, "a", 2), buckets).allowed
    assert buckets == {}


def test_the_permissions_object_and_its_default_for_publishing():
    assert permissions().effective(ANONYMOUS) == {
        "pubsub": [{"uri": "", "prefix": True, "pub": False, "sub": True}],
        "rpc": [{"uri": "", "call": True, "prefix": True}],
    }
    opened = RULES.effective(STAFF, publish_by_default=True)
    assert opened["pubsub"][-1] == {"uri": "", "prefix": True, "pub": True, "sub": True}
    assert RULES.effective(STAFF)["pubsub"][-1]["pub"] is False


def test_the_permissions_object_is_made_once_for_sessions_with_the_same_rights():
    found = permissions(rule("news.*"), rule("user.{user}", to=("authenticated",), allow=False))
    again = replace(person("7"), language="de", data={"name": "Ann"}, expires=5.0)
    assert found.effective(person("7"), True) is found.effective(again, True)
    assert found.effective(person("7"), True) is not found.effective(person("7"), False)
    assert found.effective(person("7"), True) != found.effective(person("8"), True)
    assert found.effective(person("7"), True) is not found.effective(person("7", "x"), True)


def test_rates_go_on_in_another_process_if_the_rule_has_the_same():
    clock = Clock()
    first = permissions(rule("a", per_second=2), rule("b", per_second=3), clock=clock)
    buckets = {1: TokenBucket(2, clock.now), 2: TokenBucket(3, clock.now)}
    assert buckets[1].take(clock.now)
    rates = first.rates(buckets)
    assert rates == [(1, 2, 1.0), (2, 3, 3.0)]
    other = permissions(rule("a", per_second=2), rule("c", per_second=9), clock=clock)
    restored = other.restore_rates(rates)
    assert {number: each.left(clock.now) for number, each in restored.items()} == {1: 1.0}
