"""The client for pages, client-js/: its files, its build, and node to run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from install_node_packages import CLIENT, install_node_packages

from tests.support.waiting import PATIENCE

ROOT = CLIENT.parent
STATIC = ROOT / "static"


@cache
def node() -> str:
    """Where node is, with the packages of client-js/ installed.

    :raises AssertionError: it is not installed; says how to install it.
    """
    found = shutil.which("node")
    assert found, "node is missing: scripts/install_system_packages.sh node"
    install_node_packages()
    return found


def run_node(
    script: Path, *arguments: str | Path, cwd: Path = CLIENT, patience: float = PATIENCE
) -> str:
    """Run a script with node; it must succeed within so many seconds. Returns what it printed."""
    done = subprocess.run(
        [node(), str(script), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
        env={**os.environ, "NODE_PATH": str(CLIENT / "node_modules")},
    )
    assert done.returncode == 0, f"{script.name}:\n{done.stdout}{done.stderr}"
    return done.stdout


def run_node_json(script: Path, *arguments: str | Path) -> Any:
    """Run a script whose last line of output is JSON; return that."""
    return json.loads(run_node(script, *arguments).splitlines()[-1])


def build_client(folder: Path) -> Path:
    """Build client-js/ into a folder; return it."""
    # The longest script: with a dozen processes that want the two cores, 43 s.
    run_node(CLIENT / "build.mjs", "--out", folder, patience=2 * PATIENCE)
    return folder
