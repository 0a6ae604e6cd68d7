"""Runs the uv next to this interpreter, with the registry settings that pip has on this machine.

Usage: run_uv.py ARGUMENT...; scripts/uv.sh calls it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from registry_settings import pip_settings, uses_no_index, uv_environment


def main() -> None:
    """Replace this process by uv. What the environment already sets for uv takes precedence."""
    python = Path(sys.executable)
    uv = str(python.with_name("uv"))
    pip = pip_settings(python)
    defaults = {
        "UV_PYTHON": str(python),
        "UV_PYTHON_DOWNLOADS": "never",
        # Files that are linked to uv's cache would change there as well.
        "UV_LINK_MODE": "copy",
        **uv_environment(pip),
    }
    arguments = [*sys.argv[1:], *(["--no-index"] if uses_no_index(pip) else [])]
    os.execve(uv, [uv, *arguments], defaults | os.environ)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
