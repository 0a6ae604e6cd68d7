"""Which rule holds for a topic."""

from __future__ import annotations

import pytest

from wampush.broker import topic_rules
from wampush.broker.topic_rules import TopicRule, TopicRules
from wampush.choices import SlowClient
from wampush.topics import REMEMBERED_TOPICS, matches

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


def test_what_was_found_is_remembered_for_a_bounded_number_of_topics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    def recorded(pattern: str, topic: str) -> bool:
        tried.append(topic)
        return matches(pattern, topic)

    monkeypatch.setattr(topic_rules, "matches", recorded)
    rules = TopicRules([TopicRule("a*", SlowClient.LATEST)])
    for _ in range(3):
        assert rules.slow_client("a1") is SlowClient.LATEST
        assert rules.slow_client("b1") is SlowClient.DISCONNECT
    assert tried == ["a1", "b1"]
    for number in range(REMEMBERED_TOPICS):
        rules.slow_client(f"c{number}")
    tried.clear()
    rules.slow_client("a1")
    assert tried == ["a1"]
