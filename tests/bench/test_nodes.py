"""The scenario of several nodes."""

from __future__ import annotations

from tests.bench.scenarios import MAY_TAKE_LONG, output_of

pytestmark = MAY_TAKE_LONG


def test_scenario_prints_its_rows():
    assert output_of("nodes")
