"""Installs what building and testing client-js/ needs from npm, as its lock file says.

The lock names no registry; npm uses the one that the machine is configured for, and checks each
package against its digest. Scripts of packages do not run. Test processes that run side by side
may all ask for it.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).resolve().parents[1] / "client-js"
_LOCK = CLIENT / "package-lock.json"
#: npm writes it last.
_INSTALLED = CLIENT / "node_modules" / ".package-lock.json"


def _is_current() -> bool:
    return _INSTALLED.is_file() and _INSTALLED.stat().st_mtime >= _LOCK.stat().st_mtime


def install_node_packages() -> None:
    """Install the packages, unless they are there.

    :raises OSError: npm is missing, or it failed; the message is its own.
    """
    with (CLIENT / "package.json").open(encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if _is_current():
            return
        try:
            done = subprocess.run(
                ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"),
                cwd=CLIENT,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError as error:
            message = "npm is missing: scripts/install_system_packages.sh node"
            raise OSError(message) from error
        if done.returncode != 0:
            raise OSError(f"npm ci failed in {CLIENT}:\n{done.stdout}{done.stderr}")
        _INSTALLED.touch()


if __name__ == "__main__":
    try:
        install_node_packages()
    except OSError as error:
        sys.exit(str(error))
