"""Which patterns for origins a configuration may contain."""

from __future__ import annotations

from typing import Final, get_args

import pytest

from wampush.config.checks.check import Check, Rejected, list_of
from wampush.config.checks.origins import OriginPattern

ORIGIN: Final[Check] = get_args(OriginPattern)[1]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("same-host", "same-host"),
        ("*", "*"),
        ("https://*.example.com", "https://*.example.com"),
        ("https://www.example.com:443/", "https://www.example.com"),
        ("wss://push.example.com", "https://push.example.com"),
        ("WWW.example.com", "www.example.com"),
        ("file://", "file://"),
    ],
)
def test_patterns_are_kept_in_canonical_form(text: str, kept: str) -> None:
    assert ORIGIN.check(text) == kept


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("null", "; to permit pages with the origin null, set websocket.allow_null_origin = true"),
        ("https://a/b", "; an origin has no path"),
        ("https://m\xfcller.example", "; browsers send host names in ASCII, with xn--"),
        ("https://a.example:port", ""),
        ("", ""),
        (7, ", not a whole number"),
    ],
)
def test_what_could_never_match_is_rejected_with_a_hint(value: object, hint: str) -> None:
    rejected = ORIGIN.check(value)
    assert isinstance(rejected, Rejected)
    assert rejected.expected.startswith("an origin such as")
    assert rejected.expected.partition('or "*"')[2].startswith(hint)


def test_two_spellings_of_one_origin_are_one_origin() -> None:
    rejected = list_of(ORIGIN).check(["https://a.example", "https://a.example:443/"])
    assert rejected == Rejected("in the list only once", "https://a.example", 1)
