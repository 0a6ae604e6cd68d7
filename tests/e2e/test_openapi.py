"""The HTTP port against its OpenAPI description, with requests that schemathesis makes up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import running_daemon

#: Requests for each operation, in addition to those at the limits of each parameter.
EXAMPLES = 2


@pytest.mark.timeout(180)
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text(
        '[[topics]]\nmatch = "t*"\nlast_by = "id"\n[[topics]]\nmatch = "*"\nhistory = 5\n',
        encoding="utf-8",
    )
    with running_daemon(tmp_path, extra=["--config", str(path)]) as daemon:
        command = [sys.executable, "-m", "schemathesis.cli", "run"]
        command += [f"{daemon.http_url}/openapi.json", "--no-color"]
        command += ["--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES)]
        command += ["--seed", "1", "--generation-database", "none"]
        # The response has no end.
        command += ["--exclude-path", "/events"]
        # For JSON Schema, 7.0 is an integer, and it may be a user; the port refuses it.
        command += ["--exclude-checks", "positive_data_acceptance"]
        finished = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        # It has asked for everything.
        assert "Operations:       16 selected / 17 total" in finished.stdout
        assert daemon.health()["status"] == "ok"
