"""Which topics keep what."""

from __future__ import annotations

import pytest

from wampush.broker.history import rule as rule_module
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.topics import REMEMBERED_TOPICS, matches

WIDGETS = HistoryRule(last_by="id")
RULES = HistoryRules([("chat.secret", None), ("chat.*", HistoryRule(events=5)), ("w*", WIDGETS)])


@pytest.mark.parametrize(
    ("topic", "rule"),
    [
        ("chat.secret", None),
        ("chat.secret2", HistoryRule(events=5)),
        ("widgets", WIDGETS),
        ("other", None),
        ("wampush.presence.num_online", None),
    ],
)
def test_the_first_pattern_that_matches_decides(topic: str, rule: HistoryRule | None) -> None:
    assert RULES.of(topic) == rule


def test_rules_that_keep_nothing_are_no_history() -> None:
    assert RULES.any
    assert not HistoryRules().any
    assert not HistoryRules([("a", None)]).any


@pytest.mark.parametrize(
    ("rule", "reads"),
    [
        (HistoryRule(last=True, events=3), False),
        (HistoryRule(last_by="id"), True),
        (HistoryRule(events=3, version_by="rev"), True),
    ],
)
def test_payloads_are_decoded_only_where_a_rule_names_a_field(
    rule: HistoryRule, *, reads: bool
) -> None:
    assert rule.reads_payload is reads


def test_topics_without_history_are_remembered_up_to_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    def recorded(pattern: str, topic: str) -> bool:
        tried.append(topic)
        return matches(pattern, topic)

    monkeypatch.setattr(rule_module, "matches", recorded)
    rules = HistoryRules([("w*", WIDGETS), ("x.off", None), ("x*", WIDGETS)])
    for _ in range(3):
        assert rules.of("w1") is WIDGETS
        assert rules.of("x.off") is None
        assert rules.of("y") is None
        assert rules.of("wampush.x") is None
    assert tried == ["w1", "x.off", "x.off", "y", "y", "y", "w1", "w1"]
    for number in range(REMEMBERED_TOPICS):
        assert rules.of(f"c{number}") is None
    assert len(rules._without) <= REMEMBERED_TOPICS
    tried.clear()
    assert rules.of("y") is None
    assert tried == ["y", "y", "y"]
