#!/usr/bin/env python3
"""Check an installed wampush: version, programs, plugin, static files.

Nothing is started that listens. Everything runs in an empty folder, so that the checkout cannot
help.

Usage: check_installation.py PYTHON VERSION
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).resolve().parents[1] / "static"
#: Variables that lead Python to the checkout, or wampush to settings.
_MISLEADING: Final = ("PYTHON", "COV", "WAMPUSH_", "VIRTUAL_ENV")
_TWISTD: Final = "from twisted.scripts.twistd import run; run()"
_PROBE: Final = """
import json
from importlib import metadata
from importlib.resources import files
import wampush
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

static = files("wampush") / "static"
print(json.dumps({
    "versions": [metadata.version("wampush"), wampush.__version__],
    "plugins": [each.tapname for each in getPlugins(IServiceMaker)],
    "static": sorted(path.relative_to(static).as_posix() for path in static.rglob("*")),
}))
"""


class InstallationError(Exception):
    """The installation is not complete; the message says what is wrong."""


def clean_environment() -> Mapping[str, str]:
    """Return the environment without what would lead Python to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_MISLEADING)}


def output(*command: str | Path, folder: Path) -> str:
    """Run a command without the checkout; return what it prints.

    :param folder: to run it in.
    :raises InstallationError: it fails.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise InstallationError(f"{' '.join(map(str, command))} failed:\n{done.stdout}")
    return done.stdout


def check_installation(python: Path, version: str) -> None:
    """Check what is installed.

    :param python: the interpreter of the environment.
    :param version: that must be there.
    :raises InstallationError: something is missing, or another version is installed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = json.loads(output(python, "-c", _PROBE, folder=folder).splitlines()[-1])
        if set(found["versions"]) != {version}:
            raise InstallationError(f"versions {found['versions']}, expected {version}")
        if "wampush" not in found["plugins"]:
            raise InstallationError("twistd does not know the plugin wampush")
        expected = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*")}
        missing = expected - set(found["static"])
        if missing:
            raise InstallationError(f"static files are missing: {', '.join(sorted(missing))}")
        wampush = python.with_name("wampush")
        told = output(wampush, "--version", folder=folder)
        if told != f"wampush {version}\n":
            raise InstallationError(f"wampush --version prints {told!r}")
        if "--config" not in output(python, "-c", _TWISTD, "wampush", "--help", folder=folder):
            raise InstallationError("twistd wampush --help does not list --config")
        if "websocket.listen" not in output(wampush, "check", folder=folder):
            raise InstallationError("wampush check does not print websocket.listen")


def main() -> int:
    """Check the installation that the command line names."""
    try:
        python, version = sys.argv[1:]
    except ValueError:
        print("Usage: check_installation.py PYTHON VERSION", file=sys.stderr)
        return 2
    try:
        check_installation(Path(python).absolute(), version)
    except InstallationError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"wampush {version} is installed completely")
    return 0


if __name__ == "__main__":
    sys.exit(main())
