"""Which JSON values are valid claims, and what identities get from them."""

from __future__ import annotations

from typing import Any

import pytest

from wampush.edges.auth import claims
from wampush.edges.auth.claims import InvalidClaim


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("ann", "ann"), (7, "7"), (-1, "-1"), (2**64 - 1, str(2**64 - 1)), ("ä", "ä")],
)
def test_user_ids(value: object, expected: str | None) -> None:
    assert claims.user_id(value, "sub") == expected


@pytest.mark.parametrize("value", ["", "a\n", "\ud800", True, 1.5, 2**64, [], {}])
def test_invalid_user_ids(value: object) -> None:
    with pytest.raises(InvalidClaim, match="sub must be a string without control characters, a"):
        claims.user_id(value, "sub")


def test_groups() -> None:
    assert claims.groups(None) == frozenset()
    assert claims.groups(["staff", 3, None]) == {"staff", "3"}
    with pytest.raises(InvalidClaim, match="groups must be a list"):
        claims.groups("staff")
    with pytest.raises(InvalidClaim, match="each element of groups must be a string"):
        claims.groups([True])


def test_languages() -> None:
    assert claims.language(None, "lang") is claims.language("", "lang") is None
    assert claims.language("pt-BR", "lang") == "pt-BR"
    values: list[Any] = [7, "x" * 65, "a\0"]
    for value in values:
        with pytest.raises(InvalidClaim, match="lang must be a language tag such as pt-BR"):
            claims.language(value, "lang")


def test_expiry() -> None:
    assert claims.expiry(None, "exp") is None
    assert claims.expiry(0, "exp") == 0
    assert claims.expiry(99_999_999_999, "exp") == 99_999_999_999
    for value in (True, "7", -1, float("nan")):
        with pytest.raises(InvalidClaim, match="exp must be a number of seconds since the epoch"):
            claims.expiry(value, "exp")
    for value in (1_790_000_000_000, 10**400, float("inf")):
        with pytest.raises(InvalidClaim, match=r"exp is after the year 5000; .* not in millisecon"):
            claims.expiry(value, "exp")


def test_attributes() -> None:
    assert claims.attributes(None) == claims.attributes([]) == {}
    assert claims.attributes({"a": [1]}) == {"a": [1]}
    for value in ([1], "text", 0):
        with pytest.raises(InvalidClaim, match="data must be an object"):
            claims.attributes(value)


@pytest.mark.parametrize("character", "\x1b\x7f\x9b\x85\u2028\u061c\u200f\u202e\u2066")
def test_ids_that_a_terminal_would_obey_or_show_otherwise_are_invalid(character: str) -> None:
    with pytest.raises(InvalidClaim, match="without control characters"):
        claims.user_id(f"ann{character}", "sub")
    with pytest.raises(InvalidClaim):
        claims.groups([f"staff{character}"])


def test_characters_that_languages_need_are_valid() -> None:
    # A zero-width non-joiner, as in Persian words, and one that joins an emoji.
    for name in ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\U0001f469\u200d\U0001f4bb"):
        assert claims.user_id(name, "sub") == name
