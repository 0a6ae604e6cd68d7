"""Scenarios of fan-out and of connections."""

from __future__ import annotations

import re

import pytest

from tests.bench.scenarios import MAY_TAKE_LONG, output_of

pytestmark = MAY_TAKE_LONG


@pytest.mark.parametrize(
    "scenario",
    ["paced", "burst", "latency", "small", "threads", "gc", "connects"],
)
def test_scenario_prints_its_rows(scenario):
    assert output_of(scenario)


def test_churn_leaves_nothing_behind():
    printed = output_of("churn")
    left = re.findall(r"(descriptors|connections|timers) left +\| +(-?\d+) ", printed)
    assert left == [("descriptors", "0"), ("connections", "0"), ("timers", "0")], printed
