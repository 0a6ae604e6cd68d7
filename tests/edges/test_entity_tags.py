"""Entity tags: whether a client has a response already."""

from __future__ import annotations

import pytest

from wampush.edges.entity_tags import is_known


@pytest.mark.parametrize(
    ("if_none_match", "expected"),
    [
        ("", False),
        ('"a"', True),
        ('"b"', False),
        ('"b", "a"', True),
        ('W/"a"', True),
        ("*", True),
        ("a", False),
        ('"aa"', False),
    ],
)
def test_is_known(if_none_match: str, expected: bool) -> None:
    assert is_known('"a"', if_none_match) is expected
