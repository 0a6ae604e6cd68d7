"""Which rule holds for a topic."""

from __future__ import annotations

import pytest

from wampush.broker.topic_rules import TopicRule, TopicRules
from wampush.choices import SlowClient

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
    assert TopicRules(RULES).slow_client(topic) is expected


def test_without_rules():
    assert TopicRules().slow_client("x") is SlowClient.DISCONNECT


def test_a_star_matches_everything():
    rules = TopicRules([TopicRule("*", SlowClient.LATEST)])
    assert rules.slow_client("x") is SlowClient.LATEST
    assert rules.slow_client("*") is SlowClient.LATEST


@pytest.mark.parametrize(
    ("topic", "expected"), [("room.1", True), ("room.quiet", False), ("room", False), ("x", False)]
)
def test_presence_is_on_where_the_first_matching_rule_says_so(topic, expected):
    rules = TopicRules(
        [
            TopicRule("room.quiet", SlowClient.DISCONNECT),
            TopicRule("room.*", SlowClient.DISCONNECT, presence=True),
        ]
    )
    assert rules.uses_presence
    assert rules.has_presence(topic) is expected
    assert not TopicRules(RULES).uses_presence
