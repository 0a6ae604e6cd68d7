"""Which topics a pattern is about."""

from __future__ import annotations

import pytest

from wampush.topics import covers, covers_all_of


def test_which_topics_a_pattern_is_about():
    assert covers("a", "a")
    assert not covers("a", "ab")
    assert covers("a*", "a")
    assert covers("a*", "ab")
    assert not covers("a*", "b")
    assert covers("*", "anything")
    assert covers("*", "*")


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
    assert covers_all_of(wide, narrow) is all_of_it
