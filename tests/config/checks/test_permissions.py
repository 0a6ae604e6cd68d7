"""Patterns with placeholders: whatever is accepted is unambiguous."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from wampush.config.checks.permissions import PERMISSION_PATTERN


@given(st.lists(st.sampled_from([*"ab.*/{}", "{user}", "{group}"]), max_size=8).map("".join))
@settings(database=None, deadline=None)
def test_an_ambiguous_pattern_is_rejected(text: str) -> None:
    checked = PERMISSION_PATTERN.check(text)
    if checked == text:
        assert not re.search(r"\}\*|\}\{|\w\{|\}\w|\*.", text)
        assert not set(re.sub(r"\{user\}|\{group\}", "", text)) & set("{}")
