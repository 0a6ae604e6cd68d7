"""The scenarios of several nodes."""

from __future__ import annotations

import pytest

from tests.bench.scenarios import MAY_TAKE_LONG, output_of

pytestmark = MAY_TAKE_LONG


@pytest.mark.parametrize("scenario", ["nodes", "nodes-path"])
def test_scenario_prints_its_rows(scenario):
    assert output_of(scenario)
