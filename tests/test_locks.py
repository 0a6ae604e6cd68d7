"""The lock files and the commands that install from them."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.guides import blocks_of
from tests.support.locks import LOCKS, REQUIREMENTS, Locked, declared, locked, replace_hashes

ROOT = REQUIREMENTS.parent
UV = ROOT / "scripts" / "uv.sh"
#: A release that is newer than anything locked.
NEWER = "99999.0"

each_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)


def names_and_versions(*names: str) -> dict[str, str]:
    """What lock files pin for this interpreter."""
    return {
        entry.name: entry.version
        for name in names
        for entry in locked(REQUIREMENTS / name)
        if entry.applies
    }


# What the files say.


@each_lock
def test_a_lock_pins_every_package_by_hash_and_names_no_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    entries = locked(lock)
    # Comments and the lines of the entries are all there is, so no option and no address.
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(("#", "--hash="))]
    assert len(lines) == len(entries) > 0
    for entry in entries:
        assert entry.requirement.url is None
        assert entry.version
        assert entry.hashes
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", each) for each in entry.hashes)
    assert "://" not in text


@each_lock
def test_a_lock_holds_what_its_input_names(lock: Path) -> None:
    entries = {entry.name: entry for entry in locked(lock)}
    for requirement in declared(lock.with_suffix(".in")):
        entry = entries[canonicalize_name(requirement.name)]
        assert requirement.extras <= entry.requirement.extras
        assert requirement.specifier.contains(entry.version)


def test_the_locks_agree() -> None:
    pins: dict[str, set[tuple[str, str]]] = {}
    # release.lock has an environment of its own, and may need less of a package than the others.
    apart = REQUIREMENTS / "release.lock"
    for lock in (each for each in LOCKS if each != apart):
        of_this: dict[str, set[tuple[str, str]]] = {}
        for entry in locked(lock):
            marker = str(entry.requirement.marker or "")
            of_this.setdefault(entry.name, set()).add((entry.version, marker))
        for name, each in of_this.items():
            assert pins.setdefault(name, each) == each, name
    for entry in locked(apart):
        versions = {version for version, _ in pins.get(entry.name, set())}
        assert versions <= {entry.version}, entry.name
    tests = {entry.name for entry in locked(REQUIREMENTS / "test.lock")}
    for name in ("runtime.lock", "build.lock"):
        assert {entry.name for entry in locked(REQUIREMENTS / name)} <= tests


def test_a_lock_names_the_extras_that_its_packages_ask_for() -> None:
    entries = {entry.name: entry for entry in locked(REQUIREMENTS / "test.lock") if entry.applies}
    for name, entry in entries.items():
        for extra in ("", *entry.requirement.extras):
            for text in metadata.requires(name) or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    found = entries[canonicalize_name(needed.name)]
                    assert needed.extras <= found.requirement.extras, (name, text)


# What the commands do.


def commands() -> Iterator[tuple[str, str]]:
    """Every shell command of the project that installs with pip or uv, with its file's name."""
    scripts = [ROOT / "Makefile", ROOT / ".ci" / "run", *(ROOT / "scripts").glob("*.sh")]
    guides = [ROOT / "README.md", ROOT / "PACKAGE.md", *(ROOT / "docs").rglob("*.md")]
    texts = [(file, file.read_text(encoding="utf-8")) for file in scripts]
    texts += [(file, block.code) for file in guides for block in blocks_of(file)]
    for file, text in texts:
        for line in text.replace("\\\n", " ").splitlines():
            if re.search(r"\bpip3? (install|download|wheel|sync)\b", line.partition("#")[0]):
                yield file.name, line


def test_every_installation_is_pinned_by_hash() -> None:
    found = list(commands())
    expected = {"Makefile", "install_locked.sh", "uv.sh", "run-under-supervisor.md"}
    assert expected <= {name for name, _ in found}
    for _, line in found:
        of_the_project = re.search(r"--no-deps --no-build-isolation (--editable )?\.$", line)
        assert of_the_project or "--require-hashes" in line, line
        # Whatever resolves may choose another version, or fail because there is one.
        assert "--no-deps" in line or "pip sync" in line, line
    for script in (ROOT / "scripts").glob("*.py"):
        text = script.read_text(encoding="utf-8")
        assert not re.search(r"\"pip\",\s*\"(install|download|wheel|sync)\"", text), script


def test_nothing_of_this_machine_gets_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "compile_locks.sh", tmp_path / "scripts")
    # In place of uv, a program that shows how it is called.
    uv = tmp_path / "scripts" / "uv.sh"
    uv.write_text('#!/bin/sh\necho "$@"\nenv | grep -E "^(PIP|UV)_" || true\n')
    uv.chmod(0o755)
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX"):
        monkeypatch.setenv(name, "file:///here")
    shown = subprocess.run(
        [tmp_path / "scripts" / "compile_locks.sh", "--upgrade"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    calls, environments = shown[::2], shown[1::2]
    inputs = [call.split()[-1] for call in calls]
    assert sorted(inputs) == [lock.with_suffix(".in").name for lock in LOCKS]
    assert all(call.startswith("--no-config pip compile ") for call in calls)
    assert all(" --universal " in call and " --no-strip-extras " in call for call in calls)
    assert all(" --generate-hashes " in call and " --upgrade " in call for call in calls)
    assert set(environments) == {"PIP_CONFIG_FILE=/dev/null"}


def wheel(folder: Path, name: str, version: str) -> tuple[Path, str]:
    """Make an empty wheel with the requirements that a package really has; return its hash."""
    try:
        original = metadata.metadata(name)
        extra = [
            f"{field}: {value}"
            for field in ("Requires-Dist", "Provides-Extra")
            for value in original.get_all(field) or ()
        ]
    except metadata.PackageNotFoundError:
        # For another platform.
        extra = []
    stem = f"{name.replace('-', '_')}-{version}"
    files = {
        f"{stem}.dist-info/METADATA": "\n".join(
            ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *extra, ""]
        ),
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{stem}.dist-info/RECORD"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        lines = []
        for file, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            lines.append(f"{file},sha256={digest.decode().rstrip('=')},{len(text)}")
            archive.writestr(file, text)
        archive.writestr(record, "\n".join([*lines, f"{record},,", ""]))
    return path, f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.fixture(scope="module")
def bootstrap() -> Path:
    """The environment with the pinned uv and the interpreter's own pip."""
    subprocess.run([UV, "--version"], check=True, timeout=300)
    return ROOT / ".cache" / "bootstrap"


@pytest.fixture(scope="module")
def checkout(bootstrap: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What installs in a checkout, with locks of tiny wheels that are in its folder ``wheels``.

    Next to each locked version there is a newer release.
    """
    folder = tmp_path_factory.mktemp("checkout")
    wheels = folder / "wheels"
    wheels.mkdir()
    (folder / "wampush").mkdir()
    sources = [
        f"wampush/{name}"
        for name in (
            "_openings.c",
            "_openings.h",
            "_receives.c",
            "_receives.h",
            "_sends.c",
            "_sends.h",
            "_speedups.c",
        )
    ]
    for name in ("Makefile", "pyproject.toml", "setup.py", *sources):
        shutil.copy(ROOT / name, folder / name)
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".cache").mkdir()
    (folder / ".cache" / "bootstrap").symlink_to(bootstrap)
    entries: set[Locked] = {entry for lock in LOCKS for entry in locked(lock)}
    hashes = {
        (entry.name, entry.version): wheel(wheels, entry.name, entry.version)[1]
        for entry in entries
    }
    for name in {entry.name for entry in entries}:
        wheel(wheels, name, NEWER)
    for lock in ("build.lock", "runtime.lock", "test.lock"):
        path = folder / "requirements" / lock
        path.write_text(replace_hashes(path.read_text(encoding="utf-8"), hashes), encoding="utf-8")
    return folder


def offline(checkout: Path, cache: Path) -> dict[str, str]:
    """An environment in which pip and uv find the wheels of the folder, and nothing else."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "UV_", "MAKE", "MFLAGS", "PYTHON", "COV", "VIRTUAL_ENV"))
    }
    return kept | {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(checkout / "wheels"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHON": sys.executable,
        "UV_CACHE_DIR": str(cache),
    }


def installed(environment: Path) -> dict[str, str]:
    """Names and versions of what is installed in a virtual environment."""
    (site_packages,) = environment.glob("lib/python3*/site-packages")
    return {
        canonicalize_name(each.metadata["Name"]): each.version
        for each in metadata.distributions(path=[str(site_packages)])
    }


def test_make_installs_what_is_locked_whatever_was_released_since(
    checkout: Path, tmp_path: Path
) -> None:
    def make(stamp: str) -> None:
        done = subprocess.run(
            # The project itself cannot be built from empty packages.
            ["make", "INSTALL_PROJECT=true", stamp],
            cwd=checkout,
            env=offline(checkout, tmp_path),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    make(".venv/.runtime")
    assert installed(checkout / ".venv") == names_and_versions("build.lock", "runtime.lock")
    make(".venv/.test")
    assert installed(checkout / ".venv") == names_and_versions("test.lock")


@pytest.mark.parametrize("names", [("build.lock", "runtime.lock"), ("test.lock",)])
def test_pip_installs_the_locks_by_the_command_of_the_guide(
    bootstrap: Path, checkout: Path, tmp_path: Path, names: tuple[str, ...]
) -> None:
    environment = tmp_path / "environment"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=120
    )
    bin_folder = environment / "bin"
    pip = [str(bootstrap / "bin" / "python"), "-m", "pip", "--python", str(bin_folder / "python")]
    locks = [f"--requirement={checkout / 'requirements' / name}" for name in names]
    done = subprocess.run(
        [*pip, "install", "--no-deps", "--require-hashes", *locks],
        env=offline(checkout, tmp_path / "cache"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert installed(environment) == names_and_versions(*names)
