"""Patterns, placeholders and reserved names."""

from __future__ import annotations

import pytest

from wampush.topics import is_reserved, matches, matches_all_of, split_placeholders


def test_topics_that_a_pattern_matches():
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
def test_patterns_that_contain_others(wide, narrow, all_of_it):
    assert matches_all_of(wide, narrow) is all_of_it


@pytest.mark.parametrize(
    ("text", "literals", "names"),
    [
        ("", ("",), ()),
        ("news", ("news",), ()),
        ("user.{user}", ("user.", ""), ("user",)),
        ("{group}/{user}", ("", "/", ""), ("group", "user")),
        ("{users}{", ("{users}{",), ()),
    ],
)
def test_a_topic_is_split_at_its_placeholders(text, literals, names):
    assert split_placeholders(text) == (literals, names)


@pytest.mark.parametrize(
    ("name", "reserved"), [("wampush.time", True), ("wampush", False), ("x.wampush.", False)]
)
def test_reserved_names(name, reserved):
    assert is_reserved(name) is reserved
