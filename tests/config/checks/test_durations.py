"""Durations: numbers of seconds, and texts with a unit."""

from __future__ import annotations

import pytest

from tests.support.json_schema import mistakes
from wampush.config.checks.check import Check, Rejected
from wampush.config.checks.durations import duration


@pytest.fixture
def check() -> Check:
    return duration(0.5, 3600)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(10, 10.0), (0.5, 0.5), ("10s", 10.0), ("500ms", 0.5), ("2 min", 120.0), ("1h", 3600.0)],
)
def test_a_duration_is_kept_in_seconds(check: Check, value: object, seconds: float) -> None:
    assert check.check(value) == seconds
    assert mistakes(value, check.schema, {}) == []
    assert check.check(check.parse(str(value))) == seconds


@pytest.mark.parametrize("value", [0.4, 3601, "0.4s", "2h", "10", "s", "1e3s", "-1s", "1.s", ""])
def test_others_are_refused(check: Check, value: object) -> None:
    rejected = check.check(value)
    assert isinstance(rejected, Rejected)
    assert rejected.expected == ('a number from 0.5 to 3600, or a text such as "10s" or "2min"')


def test_other_types_are_refused(check: Check) -> None:
    rejected = check.check(True)
    assert isinstance(rejected, Rejected)
    assert rejected.expected.endswith("not a boolean")


def test_the_environment_gives_numbers_and_texts(check: Check) -> None:
    assert check.parse("20") == 20.0
    assert check.parse("20s") == "20s"
    assert isinstance(check.parse("soon"), Rejected)
