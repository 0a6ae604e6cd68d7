"""The bill of materials and the checksums of a release; test_packaging builds sdist and wheel."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import build_release
import pytest
from build_release import (
    LOCK,
    ReleaseError,
    describe,
    is_native,
    pins,
    require_native,
    write_checksums,
)

from tests.support.locks import locked
from wampush import __version__

#: In place of the generator: copies the file next to it to where the output belongs.
TOOL = """#!{python}
import pathlib, shutil, sys
output = sys.argv[sys.argv.index("--output-file") + 1]
shutil.copy(pathlib.Path(__file__).with_name("bill.json"), output)
"""


def bill() -> dict[str, Any]:
    """A complete bill of materials."""
    return {
        "components": [{"name": name, "version": version} for name, version in pins(LOCK)],
        "metadata": {"component": {"name": "wampush", "version": __version__}},
    }


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A program in place of the generator."""
    folder = tmp_path / "tool"
    folder.mkdir()
    path = folder / "cyclonedx-py"
    path.write_text(TOOL.format(python=sys.executable), encoding="utf-8")
    path.chmod(0o755)
    return path


def gives(tool: Path, content: dict[str, Any]) -> None:
    """Have the program write this bill."""
    tool.with_name("bill.json").write_text(json.dumps(content), encoding="utf-8")


def test_the_pins_are_all_entries_of_the_lock() -> None:
    assert pins(LOCK) == {(entry.name, entry.version) for entry in locked(LOCK)}


def test_the_bill_lists_the_lock(tool: Path, tmp_path: Path) -> None:
    gives(tool, bill())
    path = describe(tool, tmp_path)
    assert path.name == f"wampush-{__version__}.cdx.json"
    assert json.loads(path.read_text(encoding="utf-8")) == bill()


def test_a_bill_that_lacks_something_is_no_release(tool: Path, tmp_path: Path) -> None:
    content = bill()
    left_out = content["components"].pop()
    gives(tool, content)
    with pytest.raises(ReleaseError, match=f"differ in {left_out['name']}$"):
        describe(tool, tmp_path)


def test_a_bill_of_another_version_is_no_release(tool: Path, tmp_path: Path) -> None:
    content = bill()
    content["metadata"]["component"]["version"] = "0.0.7"
    gives(tool, content)
    with pytest.raises(ReleaseError, match=r"describes version 0\.0\.7$"):
        describe(tool, tmp_path)


def test_a_generator_that_fails_is_named(tool: Path, tmp_path: Path) -> None:
    # It finds no bill to copy.
    with pytest.raises(ReleaseError, match="cyclonedx-py ended with status 1"):
        describe(tool, tmp_path)


def test_sha256sum_accepts_the_checksums(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"a")
    (tmp_path / "b.tar.gz").write_bytes(b"b")
    sums = write_checksums(tmp_path)
    # A second run does not list its own file.
    assert write_checksums(tmp_path).read_text(encoding="utf-8").splitlines() == [
        f"{hashlib.sha256(b'a').hexdigest()}  a.whl",
        f"{hashlib.sha256(b'b').hexdigest()}  b.tar.gz",
    ]
    check = ["sha256sum", "--check", "--strict", sums.name]
    assert subprocess.run(check, cwd=tmp_path, check=False, timeout=60).returncode == 0
    (tmp_path / "a.whl").write_bytes(b"changed")
    assert subprocess.run(check, cwd=tmp_path, check=False, timeout=60).returncode == 1


def test_files_of_another_release_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wampush-0.0.7.tar.gz").touch()
    arguments = ["--sbom-tool", "none", "--check-in", "none", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["build_release.py", *arguments])
    assert build_release.main() == 1
    assert "files of another release" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["wampush-0.0.7.tar.gz"]


@pytest.mark.parametrize(
    ("name", "is_it"),
    [
        ("wampush/_speedups.abi3.so", True),
        ("wampush/_speedups.cpython-311-x86_64-linux-gnu.so", True),
        ("wampush/_speedups.pyi", False),
        ("wampush/speedups.py", False),
    ],
)
def test_a_release_has_the_extension(tmp_path: Path, name: str, is_it: bool) -> None:
    wheel = tmp_path / "wampush.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(name, "")
    assert is_native(wheel) == is_it
    if is_it:
        require_native(wheel)
    else:
        with pytest.raises(ReleaseError, match="install a C compiler"):
            require_native(wheel)
    assert wheel.exists() == is_it
