"""The scenario of upgrades under load."""

from __future__ import annotations

import re

from tests.bench.scenarios import MAY_TAKE_LONG, run_bench

pytestmark = MAY_TAKE_LONG


def test_nobody_notices_upgrades():
    result = run_bench("bench", "upgrade", "--scale", "0.002", "--rounds", "1")
    assert result.returncode == 0, result.stderr
    figures = dict(re.findall(r"sessions: ([a-z ]+) +\| +(-?\d+) ", result.stdout))
    found = {name.strip(): count for name, count in figures.items()}
    assert found == {
        **dict.fromkeys(("disconnected", "events lost", "events repeated"), "0"),
        "pushes not accepted": "0",
        "descriptors left": found["descriptors left"],
        "descriptors left in the parent": "0",
    }
    row = r"{} +\| +([\d.]+) \| +([\d.]+) "
    for name in ("push to client between, p99, ms", "the same, median second"):
        ((between, before),) = re.findall(row.format(re.escape(name)), result.stdout)
        assert float(between) > 0
        assert float(before) > 0
