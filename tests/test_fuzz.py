"""The fuzzer runs, and finds what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fuzz.__main__ import run
from fuzz.targets import TARGETS
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[1]


def test_every_target_stands_a_short_run():
    done = subprocess.run(
        [sys.executable, "-m", "fuzz", "--examples", "60"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [f"{name}: 60 inputs" for name in TARGETS]


def test_an_error_is_found(capsys):
    def target(data: bytes) -> None:
        if b"[" in data:
            raise KeyError(data)

    assert not run("brittle", target, 200)
    assert "brittle: FAILED" in capsys.readouterr().out
