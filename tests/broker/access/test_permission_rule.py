"""Which identities and topics one rule applies to, and values that try to be patterns."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wampush.broker.access.permission_rule import Rule
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.choices import Action
from wampush.config.tables.permissions import PermissionSettings
from wampush.errors import Refusal


def rule(match, to=("anyone",), **more):
    actions = more.pop("actions", tuple(Action))
    return PermissionSettings(match, tuple(actions), tuple(to), **more)


def person(user=None, *groups):
    return Identity(user=user, groups=frozenset(groups), source="token")


@pytest.mark.parametrize(
    ("to", "identity", "expected"),
    [
        (["anyone"], ANONYMOUS, True),
        (["authenticated"], ANONYMOUS, False),
        (["authenticated"], person(""), False),
        (["authenticated"], person("7"), True),
        (["authenticated"], person(None, "staff"), False),
        (["user:7"], person("7"), True),
        (["user:7"], person("77"), False),
        (["user:7"], person(None, "7"), False),
        (["group:staff"], person(None, "staff"), True),
        (["group:staff"], person("staff"), False),
        (["user:8", "group:staff"], person("7", "staff"), True),
    ],
)
def test_receivers(to, identity, expected):
    assert Rule(1, rule("a", to)).applies_to(identity) is expected


@pytest.mark.parametrize(
    ("match", "topic", "expected"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("a*", "a", True),
        ("a*", "ab", True),
        ("a*", "b", False),
        ("u.{user}", "u.7", True),
        ("u.{user}", "u.8", False),
        ("u.{user}", "v.7", False),
        ("u.{user}.*", "u.7.", True),
        ("g/{group}/*", "g/x/1", True),
        ("g/{group}/*", "g/z/1", False),
        ("{group}.{user}", "y.7", True),
    ],
)
def test_topics(match, topic, expected):
    assert Rule(1, rule(match)).matches(person("7", "x", "y"), topic) is expected


def test_a_rule_describes_itself():
    made = Rule(3, rule("g/{group}.{user}*", ["group:staff", "user:7"], actions=[Action.CALL]))
    assert (made.stem, made.is_prefix) == ("g/{group}.{user}", True)
    assert made.placeholders == ("group", "user")
    assert made.separators == {"/", "."}
    assert made.receivers == "group:staff, user:7"
    assert made.accepts("a-b")
    assert not made.accepts("a.b")
    assert set(made.decisions) == {Action.CALL}
    assert made.decisions[Action.CALL].why == (
        "permissions[3] allows call on 'g/{group}.{user}*' to group:staff, user:7"
    )


def test_receivers_of_a_rule_for_many_are_shortened():
    many = Rule(1, rule("a", [f"user:{number}" for number in range(1000)]))
    assert many.receivers == "user:0, user:1, user:2, user:3, user:4 and 995 more"


@pytest.mark.parametrize(
    ("action", "size", "refusal"),
    [
        (Action.PUBLISH, 10, None),
        (Action.PUBLISH, 11, Refusal.PUBLISH_TOO_LARGE),
        (Action.CALL, 11, Refusal.CALL_TOO_LARGE),
        (Action.SUBSCRIBE, 11, None),
    ],
)
def test_the_longest_payload(action, size, refusal):
    decision = Rule(2, rule("a", max_bytes=10)).decide(action, size)
    assert (decision.allowed, decision.rule, decision.refusal) == (refusal is None, 2, refusal)


def test_a_rule_that_denies_says_so_whatever_the_size():
    decision = Rule(1, rule("a", allow=False)).decide(Action.CALL, 1_000_000)
    assert decision.refusal is Refusal.CALL_FORBIDDEN
    assert decision.why == "permissions[1] denies call on 'a' to anyone"


@pytest.mark.parametrize(
    ("match", "topic", "expected"),
    [
        ("u.{user}", "u.anything", True),
        ("u.{user}", "u.a.b", False),
        ("u.{user}", "u.", False),
        ("u.{user}.*", "u.x.y.z", True),
        ("{user}", "any.thing\n", True),
        ("a*", "abc", True),
        ("a", "abc", False),
    ],
)
def test_topics_that_a_rule_could_match_for_somebody(match, topic, expected):
    assert Rule(1, rule(match)).could_match(topic) is expected


# Values that try to be more than a value.


@pytest.mark.parametrize(
    "user",
    [
        None,
        "",
        "*",
        ".",
        "..",
        "a.b",
        ".*",
        "{user}",
        "{group}",
        "b.",
        ".b",
        "[^.]*",
        "b\0",
        "b*",
        "B",
    ],
)
def test_no_user_reaches_the_topics_of_another(user):
    own = Rule(1, rule("user.{user}.*"))
    exact = Rule(1, rule("user.{user}"))
    for topic in ("user.b.inbox", "user.b.", "user..x", "user.x", "user.a.b.c", "user.*x", "user."):
        assert not own.matches(person(user, "b"), topic)
    assert not exact.matches(person(user, "b"), "user.b")
    assert not exact.matches(person(user, "b"), "user.a.b")
    assert own.matches(person("b"), "user.b.inbox")


def test_values_are_never_patterns():
    own = Rule(1, rule("user.{user}.*"))
    assert own.matches(person("*"), "user.*.inbox")
    assert own.matches(person("{group}", "b"), "user.{group}.inbox")
    assert not own.matches(person("{group}", "b"), "user.b.inbox")
    both = Rule(1, rule("{group}/{user}"))
    assert both.matches(person("{group}", "{user}"), "{user}/{group}")
    assert not both.matches(person("{group}", "{user}"), "{group}/{user}")


def test_a_value_may_contain_what_is_not_a_separator_of_the_rule():
    assert Rule(1, rule("user/{user}/*")).matches(person("a.b@c.de"), "user/a.b@c.de/inbox")
    assert not Rule(1, rule("user/{user}/*")).matches(person("a/b"), "user/a/b/inbox")
    assert Rule(1, rule("{user}")).matches(person("a/b.c"), "a/b.c")


ids = st.text(st.sampled_from("ab.*/{}") | st.characters(), max_size=6)


@given(user=ids, other=ids.filter(lambda each: "." not in each), rest=ids)
@settings(database=None, deadline=None)
def test_only_the_same_user_is_the_same_user(user, other, rest):
    own = Rule(1, rule("user.{user}.*"))
    if user != other:
        assert not own.matches(person(user), f"user.{other}.{rest}")
    elif other:
        assert own.matches(person(user), f"user.{other}.{rest}")
