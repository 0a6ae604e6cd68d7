"""Patterns with placeholders: whatever is accepted is unambiguous."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wampush.config.checks.check import Rejected
from wampush.config.checks.permissions import PERMISSION_PATTERN, Receiver, TopicTemplate


@given(st.lists(st.sampled_from([*"ab.*/{}", "{user}", "{group}"]), max_size=8).map("".join))
@settings(database=None, deadline=None)
def test_an_ambiguous_pattern_is_rejected(text: str) -> None:
    checked = PERMISSION_PATTERN.check(text)
    if checked == text:
        assert not re.search(r"\}\*|\}\{|\w\{|\}\w|\*.", text)
        assert not set(re.sub(r"\{user\}|\{group\}", "", text)) & set("{}")


@pytest.mark.parametrize(
    ("annotation", "usable", "unusable"),
    [
        (TopicTemplate, ["a", "u.{user}", "u/{group}/x"], ["", "a*", "{user}", "u{user}", "u.{x}"]),
        (
            Receiver,
            ["anyone", "authenticated", "user:7", "group:a:b"],
            ["", "user", "user:", "x:7"],
        ),
    ],
)
def test_other_forms(annotation: object, usable: list[str], unusable: list[str]) -> None:
    check = get_args(annotation)[1]
    assert [check.check(each) for each in usable] == usable
    assert all(isinstance(check.check(each), Rejected) for each in unusable)
