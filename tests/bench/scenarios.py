"""Runs a scenario of the benchmark on a very small scale; its figures are not judged here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
#: For tests that start a dozen processes one after the other. Half a minute is enough for each of
#: them on a quiet machine; on a busy one the slowest has taken 77 s.
MAY_TAKE_LONG = pytest.mark.timeout(5 * PATIENCE)


def run_bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )


def output_of(scenario):
    """What a scenario prints; its rows are checked."""
    result = run_bench("bench", scenario, "--scale", "0.002", "--rounds", "1")
    assert result.returncode == 0, result.stderr
    rows = [
        [cell.strip() for cell in text.strip("| ").split("|")]
        for text in result.stdout.splitlines()
        if text.startswith(f"| {scenario}")
    ]
    assert rows, result.stdout
    for row in rows:
        assert re.fullmatch(r"-?[\d,]+(\.\d+)?", row[2]), row
        assert "missing" not in " ".join(row)
        assert "traceback" not in " ".join(row)
    assert any(row[3] != "-" for row in rows), "no row stands beside a floor"
    return result.stdout
