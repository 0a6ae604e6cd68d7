"""The token of an Authorization header."""

from __future__ import annotations

import pytest

from wampush.bearer import bearer_token


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER abc", "abc"),
        ("  Bearer   a.b-c_d=  ", "a.b-c_d="),
        ("Bearer ", ""),
        ("Bearer", None),
        ("Bearerabc", None),
        ("Basic abc", None),
        ("", None),
        ("Bearer \xe9", "\xe9"),
    ],
)
def test_the_token_follows_the_scheme_in_any_case(header: str, token: str | None) -> None:
    assert bearer_token(header) == token
