"""Checks of flags, numbers, choices, strings and lists."""

from __future__ import annotations

import datetime as dt
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.config.checks.common import (
    TOPIC_PATTERN,
    Check,
    Choice,
    Flag,
    ListOf,
    Network,
    Number,
    Rejected,
    StringCheck,
    takes_any_port,
)

NETWORK: Check = get_args(Network)[1]
WHOLE = Number(1, 10, "apples", whole=True)
ANY = Number(0.5, 86_400)
CHECKS: list[Check] = [
    Flag(),
    WHOLE,
    ANY,
    Choice(("a", "b", "c")),
    StringCheck(),
    ListOf(StringCheck(), 1),
]
CHECKS += [NETWORK, TOPIC_PATTERN, StringCheck("a word", str.isalpha, optional=True)]


@pytest.mark.parametrize(
    ("check", "value", "kept"),
    [
        (Flag(), True, True),
        (WHOLE, 1, 1),
        (WHOLE, 10, 10),
        (ANY, 1, 1.0),
        (ANY, 0.5, 0.5),
        (Choice(("a", "b")), "b", "b"),
        (StringCheck(), "é", "é"),
        (StringCheck(optional=True), "", ""),
        (ListOf(StringCheck()), [], ()),
        (ListOf(StringCheck()), ("a", "b"), ("a", "b")),
        (ListOf(StringCheck()), ["tcp:0", "tcp:0"], ("tcp:0", "tcp:0")),
        (NETWORK, "10.0.0.5/8", "10.0.0.5/8"),
        (NETWORK, "::1", "::1"),
        (TOPIC_PATTERN, "a.*", "a.*"),
    ],
)
def test_usable_values(check: Check, value: object, kept: object) -> None:
    found = check.check(value)
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (Flag(), 1, "true or false, not a whole number"),
        (WHOLE, True, "a whole number from 1 to 10, not a boolean"),
        (WHOLE, 1.0, "a whole number from 1 to 10, not a number with a decimal point"),
        (WHOLE, 11, "a whole number from 1 to 10"),
        (ANY, float("nan"), "a number from 0.5 to 86400"),
        (ANY, 10**400, "a number from 0.5 to 86400"),
        (ANY, dt.date(2026, 1, 1), "a number from 0.5 to 86400, not a date"),
        (ANY, None, "a number from 0.5 to 86400, not a Python NoneType"),
        (Choice(("a", "b", "c")), "d", '"a", "b" or "c"'),
        (Choice(("a", "b")), {}, '"a" or "b", not a table'),
        (StringCheck(), "", "a string that is not empty"),
        (StringCheck(), "\udcff", "a string that is not empty, in UTF-8"),
        (StringCheck("a word", str.isalpha, optional=True), "1", 'a word, or "" for none'),
        (ListOf(StringCheck("a word")), "a", "a list, not a string; each element must be a word"),
        (NETWORK, "10.0.0.0/33", "an IP address such as"),
        (TOPIC_PATTERN, "a*b", "a topic, or a prefix"),
    ],
)
def test_unusable_values(check: Check, value: object, expected: str) -> None:
    found = check.check(value)
    assert isinstance(found, Rejected)
    assert found.expected.startswith(expected)
    assert found.value is value
    assert found.index is None


def test_the_element_of_a_list_that_is_at_fault() -> None:
    check = ListOf(StringCheck("a word", str.isalpha), at_least=1)
    assert check.check([]) == Rejected("a list of at least one element; each must be a word", [])
    assert check.check(["a", "1"]) == Rejected("a word", "1", 1)
    assert check.check(["a", "b", "a"]) == Rejected("in the list only once", "a", 2)


@pytest.mark.parametrize(
    ("check", "text", "value"),
    [
        (Flag(), "false", False),
        (WHOLE, "+7", 7),
        (ANY, "1.5e3", 1500.0),
        (Choice(("a", "b")), "c", "c"),
        (StringCheck(), " a ", " a "),
        (ListOf(StringCheck()), "a, b", ["a", "b"]),
    ],
)
def test_texts_of_the_environment(check: Check, text: str, value: object) -> None:
    assert check.parse(text) == value


@pytest.mark.parametrize(
    ("check", "text"),
    [(Flag(), "yes"), (WHOLE, "1.0"), (WHOLE, "9" * 50), (ANY, "nan"), (ANY, "1e999"), (ANY, "")],
)
def test_unusable_texts_of_the_environment(check: Check, text: str) -> None:
    assert check.parse(text) == Rejected(check.allowed, text)


def test_schemas() -> None:
    assert [check.schema() for check in CHECKS[:6]] == [
        {"type": "boolean"},
        {"type": "integer", "minimum": 1, "maximum": 10},
        {"type": "number", "minimum": 0.5, "maximum": 86_400},
        {"enum": ["a", "b", "c"]},
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ]
    assert StringCheck(optional=True).schema() == {"type": "string"}


@pytest.mark.parametrize("address", ["tcp:0", "tcp:port=0:interface=a", "tcp://a:*", "ipc://*"])
def test_addresses_for_which_the_system_chooses(address: str) -> None:
    assert takes_any_port(address)
    assert not takes_any_port(address.replace("0", "1").replace("*", "1"))


@given(st.from_type(type).flatmap(st.from_type) | st.text() | st.lists(st.text()))
def test_checks_never_raise(value: object) -> None:
    for check in CHECKS:
        check.check(value)
        assert isinstance(check.parse(str(value)), object)
