"""The queries of requests over HTTP."""

from __future__ import annotations

import pytest

from wampush.edges.problems import RequestRefused
from wampush.edges.queries import limit, parameters


def test_parameters_are_decoded() -> None:
    assert parameters("a=caf%C3%A9+1&b=", ("a", "b")) == {"a": "café 1", "b": ""}
    assert parameters("", ()) == {}


def test_other_parameters_may_be_left_out() -> None:
    assert parameters("a=1&token=x&token=y", ("a",), others=True) == {"a": "1"}


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("c=1", 'the query has "c"; known keys are a, b'),
        ("a=1&a=1", "the query has a more than once"),
        ("a=%FF", "the query is not UTF-8"),
    ],
)
def test_a_query_that_is_not_valid(query: str, detail: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        parameters(query, ("a", "b"))
    assert (caught.value.status, caught.value.detail) == (400, detail)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("0007", 7), ("50", 50)])
def test_a_limit(text: str, number: int) -> None:
    assert limit({"limit": text}, 5, 50) == number
    assert limit({}, 5, 50) == 5


@pytest.mark.parametrize("text", ["", "0", "51", "-1", "1.5", "00001", "\u0663"])
def test_a_limit_that_is_none(text: str) -> None:
    with pytest.raises(RequestRefused, match="limit must be a number from 1 to 50, not"):
        limit({"limit": text}, 5, 50)
