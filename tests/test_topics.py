"""Which topics a pattern is about."""

from __future__ import annotations

import pytest

from wampush.topics import matches, matches_all_of


def test_which_topics_a_pattern_is_about():
    assert matches("a", "a")
    assert not matches("a", "ab")
    assert matches("a*", "a")
    assert matches("a*", "ab")
    assert not matches("a*", "b")
    assert matches("*", "anything")
    assert matches("*", "*")


@pytest.mark.parametrize(
    ("wide", "narrow", "all_of_it"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("a", "a*", False),
        ("a*", "a", True),
        ("a*", "a*", True),
        ("a*", "ab*", True),
        ("ab*", "a*", False),
        ("*", "a*", True),
        ("a*", "*", False),
    ],
)
def test_patterns_in_patterns(wide, narrow, all_of_it):
    assert matches_all_of(wide, narrow) is all_of_it
