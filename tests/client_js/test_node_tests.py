"""The tests of the client that need neither a server nor a browser; node runs them."""

from __future__ import annotations

import re
import subprocess

from install_node_packages import CLIENT

from tests.support.client_js import node
from tests.support.waiting import PATIENCE


def test_all_files() -> None:
    files = sorted((CLIENT / "test").glob("*.test.mjs"))
    assert files
    done = subprocess.run(
        [node(), "--test", "--test-reporter=tap", *map(str, files)],
        cwd=CLIENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) >= len(files)
