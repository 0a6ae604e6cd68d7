"""JSON text and Python values, there and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.apps.python import json_values
from wampush.errors import NotSerialisable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@given(JSON)
def test_values_survive(value: Any) -> None:
    assert json_values.parsed(json_values.text_of(value)) == value


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30, 12345678901234567890])
def test_integers_keep_all_digits(number: int) -> None:
    assert json_values.parsed(b"[%d]" % number) == [number]
    assert json_values.text_of([number]) == b"[%d]" % number


def test_nesting_beyond_the_recursion_limit_is_parsed() -> None:
    depth = 1020
    value = json_values.parsed(b"[" * depth + b"12345678901234567890123" + b"]" * depth)
    while isinstance(value, list):
        (value,) = value
    # The parser of Python 3.13 and later gets that deep, and keeps all digits.
    assert value in (12345678901234567890123, 12345678901234567890123.0)


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def test_nesting_may_be_deep_but_not_endless() -> None:
    deep = nested(300)
    assert json_values.parsed(json_values.text_of(deep)) == deep
    endless = nested(100_000)
    with pytest.raises(NotSerialisable):
        json_values.text_of(endless)


@dataclass
class Article:
    number: int


def test_what_orjson_can_express() -> None:
    value = {"article": Article(7), "at": datetime(2030, 1, 2, tzinfo=UTC)}
    assert json.loads(json_values.text_of(value)) == {
        "article": {"number": 7},
        "at": "2030-01-02T00:00:00+00:00",
    }
    assert json_values.text_of({1: "a"}) == b'{"1":"a"}'


@pytest.mark.parametrize(
    ("value", "hint"),
    [({1}, "; convert it to a list"), (b"x", "bytes"), (object(), "object"), (lambda: 1, "")],
)
def test_errors_show_the_value_and_a_remedy(value: object, hint: str) -> None:
    with pytest.raises(NotSerialisable, match="has no JSON form") as caught:
        json_values.text_of(value)
    assert str(caught.value).endswith(hint)


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": {"b": -float("inf")}}])
def test_numbers_that_are_not_finite_are_errors(value: object) -> None:
    with pytest.raises(NotSerialisable, match="NaN or an infinite number"):
        json_values.text_of(value)
    assert json_values.text_of([None, 1.5]) == b"[null,1.5]"


def test_values_that_stay_the_same_as_json() -> None:
    assert all(map(json_values.is_plain, (None, 1, 2**70, 1.5, "ä", [1, {"a": []}])))
    assert not any(map(json_values.is_plain, ((1,), {1: 2}, {1}, float("nan"), b"x")))
