"""How pip's settings on a machine reach uv."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from registry_settings import pip_settings, uses_no_index, uv_environment

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only configuration file that pip reads; the environment has no setting of it."""
    for name in os.environ:
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    path = tmp_path / "pip.conf"
    path.touch()
    monkeypatch.setenv("PIP_CONFIG_FILE", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))
    return path


def read(name: str) -> str | None:
    """A setting as the scripts read it."""
    return pip_settings(Path(sys.executable)).get(name)


def test_what_comes_closer_to_the_command_takes_precedence(
    pip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read("timeout") is None
    pip.write_text("[global]\ntimeout = 1\n[download]\ntimeout = 9\n")
    assert read("timeout") == "1"
    pip.write_text("[install]\ntimeout = 2\n[global]\ntimeout = 1\n")
    assert read("timeout") == "2"
    monkeypatch.setenv("PIP_TIMEOUT", "3")
    assert read("timeout") == "3"


def test_a_value_may_hold_several_lines_and_quotes(pip: Path) -> None:
    pip.write_text("[global]\nfind-links =\n    /a\n    /it's\n")
    assert (read("find-links") or "").split() == ["/a", "/it's"]


def test_uv_gets_the_sources_of_pip() -> None:
    assert uv_environment(
        {
            "index-url": "file:///main",
            "extra-index-url": "file:///one\nfile:///two",
            "find-links": "/a /b",
            "trusted-host": "one two",
            "cert": "/ca.pem",
            "proxy": "socks5://[::1]",
            "default-timeout": "180",
            "no-color": "true",
        }
    ) == {
        "UV_DEFAULT_INDEX": "file:///main",
        "UV_INDEX": "file:///one file:///two",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/a,/b",
        "UV_INSECURE_HOST": "one two",
        "SSL_CERT_FILE": "/ca.pem",
        "ALL_PROXY": "socks5://[::1]",
        "UV_HTTP_TIMEOUT": "180",
    }
    assert uv_environment({}) == {}


def test_no_index_leaves_the_folders_only() -> None:
    pip = {"no-index": "True", "index-url": "file:///main", "find-links": "/a"}
    assert uses_no_index(pip)
    assert uv_environment(pip) == {"UV_FIND_LINKS": "/a"}
    assert not uses_no_index({"no-index": "false"})
    assert not uses_no_index({})


def test_uv_runs_with_these_settings_and_what_the_environment_sets_wins(
    pip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # In place of uv, a program that shows how it is called.
    uv = tmp_path / "uv"
    uv.write_text('#!/bin/sh\necho "$@"\necho "$UV_FIND_LINKS $UV_HTTP_TIMEOUT $UV_PYTHON"\n')
    uv.chmod(0o755)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    pip.write_text("[global]\nno-index = 1\nfind-links = /a\ntimeout = 5\n")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "7")
    monkeypatch.delenv("UV_PYTHON", raising=False)
    start = (
        "import runpy, sys; sys.executable, sys.argv = sys.argv[1], sys.argv[1:]; "
        "sys.path.insert(0, sys.argv.pop()); runpy.run_module('run_uv', run_name='__main__')"
    )
    python.chmod(0o755)
    shown = subprocess.run(
        [sys.executable, "-c", start, python, "pip", "sync", SCRIPTS],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert shown.splitlines() == ["pip sync --no-index", f"/a 7 {python}"]
