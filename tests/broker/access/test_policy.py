"""Which rule holds for a topic."""

from __future__ import annotations

import pytest

from wampush.broker.access.policy import Policy, Publishing, TopicRule
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
def test_the_first_rule_that_covers_a_topic_decides(topic, expected):
    assert Policy(Publishing.NOBODY, rules=RULES).slow_client(topic) is expected


def test_without_rules():
    assert Policy(Publishing.EVERYBODY).slow_client("x") is SlowClient.DISCONNECT


def test_a_star_covers_everything():
    policy = Policy(Publishing.EVERYBODY, rules=[TopicRule("*", SlowClient.LATEST)])
    assert policy.slow_client("x") is SlowClient.LATEST
    assert policy.slow_client("*") is SlowClient.LATEST
