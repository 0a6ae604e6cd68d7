"""How long nodes may take."""

from __future__ import annotations

import pytest

from wampush.parent.nodes.limits import Limits, limits_of, wanted_workers

BEFORE = Limits(ready=60.0, hang=15.0, drain=10.0)


def test_a_node_says_what_its_configuration_says() -> None:
    values = {"ready": 300, "hang": 0, "drain": 0.5, "of another release": 1}
    assert limits_of(values, BEFORE) == Limits(ready=300.0, hang=0.0, drain=0.5)


@pytest.mark.parametrize("value", [None, True, "60", -1, float("nan")])
def test_what_is_not_a_number_of_seconds_changes_nothing(value: object) -> None:
    assert limits_of({"ready": value}, BEFORE) == BEFORE
    assert limits_of(value, BEFORE) == BEFORE


@pytest.mark.parametrize(
    ("values", "expected"),
    [({"workers": 4}, 4), ({"workers": True}, 0), ({"workers": -1}, 0), ({}, 0), (None, 0)],
)
def test_a_configuration_says_how_many_workers_it_wants(values: object, expected: int) -> None:
    assert wanted_workers(values) == expected
