"""What topics with placeholders become for an identity."""

from __future__ import annotations

import pytest

from wampush.broker.access.placeholders import TopicExpander
from wampush.broker.identity import ANONYMOUS, Identity


def person(user=None, *groups):
    return Identity(user=user, groups=frozenset(groups), source="token")


@pytest.mark.parametrize(
    ("text", "identity", "topics"),
    [
        ("news", ANONYMOUS, {"news"}),
        ("user.{user}", person("7"), {"user.7"}),
        ("user.{user}", ANONYMOUS, set()),
        ("user.{user}", person(""), set()),
        ("user.{user}", person("a.b"), set()),
        ("user.{user}", person("{group}", "x"), {"user.{group}"}),
        ("{group}", person(None, "x", "y"), {"x", "y"}),
        ("{group}", person("7"), set()),
        ("g/{group}", person(None, "x", "a/b"), {"g/x"}),
        ("{group}/{user}/{group}", person("7", "x", "y"), {"x/7/x", "y/7/y"}),
        ("{group}/{user}", person(None, "x"), set()),
        ("{group}/{user}", person("{group}", "{user}"), {"{user}/{group}"}),
    ],
)
def test_a_topic_expands_in_every_way(text, identity, topics):
    expanded = list(TopicExpander(text).expand(identity))
    assert set(expanded) == topics
    assert len(expanded) == len(topics)


def test_an_expander_knows_its_parts():
    expander = TopicExpander("a.{user}/{group}:b")
    assert expander.text == "a.{user}/{group}:b"
    assert expander.literals == ("a.", "/", ":b")
    assert expander.names == ("user", "group")
    assert expander.separators == {".", "/", ":"}


@pytest.mark.parametrize(
    ("value", "accepted"), [(None, False), ("", False), ("a", True), ("a:b", True), ("a.b", False)]
)
def test_values_that_can_be_inserted(value, accepted):
    assert TopicExpander("x.{user}").accepts(value) is accepted
