"""Which topics keep what."""

from __future__ import annotations

import pytest

from wampush.broker.history.rule import HistoryRule, HistoryRules

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
