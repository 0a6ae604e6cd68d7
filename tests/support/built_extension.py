"""The extension in C, built from the present source.

Owns: the build. Tests of what the extension does run wherever there is a compiler, also if the
package was installed without it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

_FOLDER = Path(__file__).resolve().parents[2] / "wampush"
SOURCES = [_FOLDER / name for name in ("_speedups.c", "_openings.c", "_receives.c", "_sends.c")]


def build_extension(folder: Path) -> ModuleType:
    """Build and load the extension; skip the test if there is no compiler.

    :param folder: where it is built.
    """
    if sysconfig.get_config_var("CC") is None:
        pytest.skip("no compiler")
    built = folder / "_speedups.abi3.so"
    include = sysconfig.get_path("include")
    compiler = str(sysconfig.get_config_var("CC")).split()[0]
    options = ["-shared", "-fPIC", "-pthread", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{include}"]
    # ``make sanitize`` adds the sanitizers.
    options += os.environ.get("SPEEDUPS_CFLAGS", "").split()
    try:
        subprocess.run(
            [compiler, *options, *map(str, SOURCES), "-o", str(built)],
            check=True,
            capture_output=True,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip(f"no {compiler}")
    spec = importlib.util.spec_from_file_location("_speedups", built)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
