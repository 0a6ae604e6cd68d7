"""The two C programs, compiled when their sources have changed.

Owns: where they are built. Must not import: the scenarios.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = Path(__file__).with_name("native")
BUILD = ROOT / ".cache" / "bench"

_NO_COMPILER = """\
The load generator of the benchmark is written in C, but there is no C compiler (tried cc, gcc and
clang). On Debian and Ubuntu, run:  apt-get install gcc libc6-dev"""


class BenchError(Exception):
    """The benchmark cannot run here; the message says what would help."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The built programs.

    :param load: the load generator.
    :param floor: a fan-out server that does the least possible work.
    """

    load: Path
    floor: Path


def build(folder: Path = BUILD) -> Programs:
    """Compile what has changed since the last time.

    :param folder: where the programs go.
    :raises BenchError: there is no compiler, or it fails.
    """
    return Programs(_compile("load", folder), _compile("floor", folder))


def _compile(name: str, folder: Path) -> Path:
    program = folder / name
    sources = [SOURCES / f"{name}.c", SOURCES / "common.h"]
    newest = max(source.stat().st_mtime for source in sources)
    if program.exists() and program.stat().st_mtime > newest:
        return program
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise BenchError(_NO_COMPILER)
    folder.mkdir(parents=True, exist_ok=True)
    # Built under another name and renamed, so that parallel runs never start half a program.
    fresh = folder / f"{name}.{os.getpid()}"
    options = ["-O2", "-std=gnu11", "-Wall", "-Wextra"]
    result = subprocess.run(
        [compiler, *options, "-o", str(fresh), str(sources[0])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if result.returncode:
        raise BenchError(
            f"{compiler} cannot compile {sources[0].name}; if headers are missing: "
            f"apt-get install libc6-dev\n{result.stderr}"
        )
    fresh.replace(program)
    return program
