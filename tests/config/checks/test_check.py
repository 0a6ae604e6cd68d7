"""Checks of flags, numbers, choices, strings and lists."""

from __future__ import annotations

import datetime as dt
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wampush.config.checks.check import (
    FLAG,
    TOPIC_PATTERN,
    Check,
    Network,
    Rejected,
    choice,
    converted,
    list_of,
    number,
    string,
    takes_any_port,
    whole,
)

NETWORK: Check = get_args(Network)[1]
WHOLE = whole(1, 10, "apples")
ANY = number(0.5, 86_400)
CHECKS: list[Check] = [
    FLAG,
    WHOLE,
    ANY,
    choice(("a", "b", "c")),
    string(),
    list_of(string(), 1),
]
CHECKS += [NETWORK, TOPIC_PATTERN, string("a word", str.isalpha, optional=True)]


@pytest.mark.parametrize(
    ("check", "value", "kept"),
    [
        (FLAG, True, True),
        (WHOLE, 1, 1),
        (WHOLE, 10, 10),
        (ANY, 1, 1.0),
        (ANY, 0.5, 0.5),
        (choice(("a", "b")), "b", "b"),
        (string(), "é", "é"),
        (string(optional=True), "", ""),
        (list_of(string()), [], ()),
        (list_of(string()), ("a", "b"), ("a", "b")),
        (list_of(string()), ["tcp:0", "tcp:0"], ("tcp:0", "tcp:0")),
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
        (FLAG, 1, "true or false, not a whole number"),
        (WHOLE, True, "a whole number from 1 to 10, not a boolean"),
        (WHOLE, 1.0, "a whole number from 1 to 10, not a number with a decimal point"),
        (WHOLE, 11, "a whole number from 1 to 10"),
        (ANY, float("nan"), "a number from 0.5 to 86400"),
        (ANY, 10**400, "a number from 0.5 to 86400"),
        (ANY, dt.date(2026, 1, 1), "a number from 0.5 to 86400, not a date"),
        (ANY, None, "a number from 0.5 to 86400, not a Python NoneType"),
        (choice(("a", "b", "c")), "d", '"a", "b" or "c"'),
        (choice(("a", "b")), {}, '"a" or "b", not a table'),
        (string(), "", "a string that is not empty"),
        (string(), "\udcff", "a string that is not empty, in UTF-8"),
        (string("a word", str.isalpha, optional=True), "1", 'a word, or "" for none'),
        (list_of(string("a word")), "a", "a list, not a string; each element must be a word"),
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
    check = list_of(string("a word", str.isalpha), at_least=1)
    assert check.check([]) == Rejected("a list of at least one element; each must be a word", [])
    assert check.check(["a", "1"]) == Rejected("a word", "1", 1)
    assert check.check(["a", "b", "a"]) == Rejected("in the list only once", "a", 2)


@pytest.mark.parametrize(
    ("check", "text", "value"),
    [
        (FLAG, "false", False),
        (WHOLE, "+7", 7),
        (ANY, "1.5e3", 1500.0),
        (choice(("a", "b")), "c", "c"),
        (string(), " a ", " a "),
        (list_of(string()), "a, b", ["a", "b"]),
    ],
)
def test_texts_of_the_environment(check: Check, text: str, value: object) -> None:
    assert check.parse(text) == value


@pytest.mark.parametrize(
    ("check", "text"),
    [(FLAG, "yes"), (WHOLE, "1.0"), (WHOLE, "9" * 50), (ANY, "nan"), (ANY, "1e999"), (ANY, "")],
)
def test_unusable_texts_of_the_environment(check: Check, text: str) -> None:
    assert check.parse(text) == Rejected(check.allowed, text)


def test_schemas() -> None:
    assert [check.schema for check in CHECKS[:6]] == [
        {"type": "boolean"},
        {"type": "integer", "minimum": 1, "maximum": 10},
        {"type": "number", "minimum": 0.5, "maximum": 86_400},
        {"enum": ["a", "b", "c"]},
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ]
    assert string(optional=True).schema == {"type": "string"}


@pytest.mark.parametrize("address", ["tcp:0", "tcp:port=0:interface=a", "tcp://a:*", "ipc://*"])
def test_addresses_for_which_the_system_chooses(address: str) -> None:
    assert takes_any_port(address)
    assert not takes_any_port(address.replace("0", "1").replace("*", "1"))


def test_secrets_are_left_out() -> None:
    check = converted("an even number", lambda text: int(text) % 2 or None, is_secret=True)
    assert check.check("3") == 1
    assert check.check("4") == Rejected("an even number", None)
    assert check.check(["4"]) == Rejected("an even number, not a list", None)


def test_what_was_rejected_before_stays_rejected() -> None:
    rejected = Rejected("a word", "1")
    assert all(check.check(rejected) is rejected for check in CHECKS)
    assert not WHOLE.accepts(rejected)
    assert WHOLE.accepts(1)


@given(st.from_type(type).flatmap(st.from_type) | st.text() | st.lists(st.text()))
def test_checks_never_raise(value: object) -> None:
    for check in CHECKS:
        check.check(value)
        assert isinstance(check.parse(str(value)), object)
