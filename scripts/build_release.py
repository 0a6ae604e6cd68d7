#!/usr/bin/env python3
"""Build what a release consists of: sdist, wheels, software bill of materials, checksums.

One wheel has Python code only and fits every machine; the other one has the extension in C for
machines like this one. Both are built from the sdist, which is therefore complete. The bill of
materials lists what ``runtime.lock`` pins, with the hashes of the files. Then each wheel is
installed next to exactly these packages, and tried.

``make release`` calls it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from check_installation import InstallationError, check_installation

from wampush import __version__

ROOT: Final = Path(__file__).resolve().parents[1]
LOCK: Final = ROOT / "requirements" / "runtime.lock"
CHECKSUMS: Final = "SHA256SUMS"
_EXTENSION: Final = re.compile(r"wampush/_speedups\.[a-z0-9_.-]*so")
_UV: Final = ROOT / "scripts" / "uv.sh"
_PIN: Final = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^]]*\])?==([^ ;]+)", re.MULTILINE)


class ReleaseError(Exception):
    """The release cannot be made; the message says why."""


def build(source: Path, out: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel of Python code from it, by the setuptools of this environment.

    :param source: the checkout.
    :param out: the folder for the files; created if needed.
    :returns: the paths of the sdist and of the wheel.
    :raises ReleaseError: the build fails, or gives another version.
    """
    _run(
        *(_UV, "build", "--quiet", "--no-build-isolation", "--python", sys.executable),
        *("--out-dir", out, source),
        variables={"WAMPUSH_PURE_PYTHON": "1"},
    )
    sdist = out / f"wampush-{__version__}.tar.gz"
    wheel = out / f"wampush-{__version__}-py3-none-any.whl"
    for path in (sdist, wheel):
        if not path.is_file():
            raise ReleaseError(f"the build has not made {path.name}")
    return sdist, wheel


def build_native(
    sdist: Path, out: Path, variables: Mapping[str, str] = MappingProxyType({})
) -> Path:
    """Build the wheel with the extension, for CPython of this machine from 3.11 on.

    :param sdist: what it is built of.
    :param out: the folder for the file.
    :param variables: of the environment, in addition.
    :returns: its path. Without a compiler, the extension is missing in it; see :func:`is_native`.
    :raises ReleaseError: the build fails.
    """
    before = set(out.glob("*.whl"))
    _run(
        *(_UV, "build", "--wheel", "--quiet", "--no-build-isolation", "--python", sys.executable),
        *("--out-dir", out, sdist),
        variables=variables,
    )
    made = set(out.glob(f"wampush-{__version__}-cp311-abi3-*.whl")) - before
    if len(made) != 1:
        raise ReleaseError(f"the build has made {len(made)} wheels for this machine, not one")
    return made.pop()


def is_native(wheel: Path) -> bool:
    """Return whether a wheel has the extension."""
    with zipfile.ZipFile(wheel) as archive:
        return any(_EXTENSION.fullmatch(name) for name in archive.namelist())


def require_native(wheel: Path) -> None:
    """Remove a wheel that should have the extension and has not.

    :raises ReleaseError: it has not.
    """
    if not is_native(wheel):
        wheel.unlink()
        raise ReleaseError("the extension was not compiled; install a C compiler")


def describe(tool: Path, out: Path, lock: Path = LOCK) -> Path:
    """Write the software bill of materials (CycloneDX JSON), and check that it is complete.

    :param tool: ``cyclonedx-py``.
    :param out: the folder for the file.
    :param lock: what the bill lists.
    :returns: the path of the file.
    :raises ReleaseError: the tool fails, or lists other packages than the lock.
    """
    path = out / f"wampush-{__version__}.cdx.json"
    with tempfile.TemporaryDirectory() as folder:
        _run(
            *(tool, "requirements", "--pyproject", _project_of(Path(folder))),
            *("--mc-type", "application", "--output-reproducible", "--output-format", "JSON"),
            *("--output-file", path, lock),
        )
    bill = json.loads(path.read_text(encoding="utf-8"))
    listed = {(each["name"], each["version"]) for each in bill["components"]}
    pinned = pins(lock)
    if listed != pinned:
        names = sorted(name for name, _ in listed ^ pinned)
        raise ReleaseError(f"{path.name} and {lock.name} differ in {', '.join(names)}")
    described: Mapping[str, Any] = bill["metadata"]["component"]
    if described.get("version") != __version__:
        raise ReleaseError(f"{path.name} describes version {described.get('version')}")
    return path


def _project_of(folder: Path) -> Path:
    """Write the metadata with the version, which the tool does not read from the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = {name: project[name] for name in ("name", "description", "license")}
    path = folder / "pyproject.toml"
    # Strings of TOML may be written as JSON writes them.
    lines = [f"{name} = {json.dumps(value)}" for name, value in known.items()]
    lines = ["[project]", *lines, f"version = {json.dumps(__version__)}", ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def pins(lock: Path) -> set[tuple[str, str]]:
    """Return the names and versions that a lock pins."""
    return set(_PIN.findall(lock.read_text(encoding="utf-8")))


def write_checksums(out: Path) -> Path:
    """Write the SHA-256 sums of all files of a folder, as ``sha256sum --check`` reads them."""
    path = out / CHECKSUMS
    files = sorted(each for each in out.iterdir() if each.name not in {CHECKSUMS, ".gitignore"})
    lines = [f"{_digest(each)}  {each.name}\n" for each in files]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def lock_of(wheel: Path, folder: str | Path) -> Path:
    """Write a lock that pins one wheel by its hash.

    :param folder: for the lock.
    """
    path = Path(folder) / "wampush.lock"
    pin = f"wampush @ {wheel.as_uri()} --hash=sha256:{_digest(wheel)}\n"
    path.write_text(pin, encoding="utf-8")
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def try_out(wheel: Path, environment: Path) -> None:
    """Install a wheel next to the locked packages, and check the installation.

    :param environment: the folder of the virtual environment; it is made to hold nothing else.
    :raises ReleaseError: the installation is not complete.
    """
    with tempfile.TemporaryDirectory() as folder:
        _run(ROOT / "scripts" / "install_locked.sh", environment, LOCK, lock_of(wheel, folder))
    try:
        check_installation(environment / "bin" / "python", __version__)
    except InstallationError as error:
        raise ReleaseError(str(error)) from error


def _run(*command: str | Path, variables: Mapping[str, str] = MappingProxyType({})) -> None:
    done = subprocess.run(command, cwd=ROOT, env={**_environment(), **variables}, check=False)
    if done.returncode:
        raise ReleaseError(f"{Path(command[0]).name} ended with status {done.returncode}")


def _environment() -> Mapping[str, str]:
    """Return the environment with the time of the last commit, which files then carry."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return os.environ
    shown = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return os.environ | ({} if shown.returncode else {"SOURCE_DATE_EPOCH": shown.stdout.strip()})


def main() -> int:
    """Build the release; print what was made."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sbom-tool", type=Path, required=True, help="cyclonedx-py")
    parser.add_argument("--check-in", type=Path, required=True, help="folder for environments")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the files")
    arguments = parser.parse_args()
    out = arguments.out.absolute()
    if out.is_dir() and any(each.name != ".gitignore" for each in out.iterdir()):
        print(f"{out} has files of another release; move or remove them first", file=sys.stderr)
        return 1
    try:
        sdist, wheel = build(ROOT, out)
        native = build_native(sdist, out)
        require_native(native)
        describe(arguments.sbom_tool.absolute(), out)
        for each in (wheel, native):
            try_out(each, arguments.check_in.absolute() / each.name.split("-")[-1])
        write_checksums(out)
    except ReleaseError as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    for path in sorted(out.iterdir()):
        if path.name != ".gitignore":
            print(f"{path.stat().st_size:>10}  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
