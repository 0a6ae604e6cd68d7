"""The command line as a whole: arguments, help and exit statuses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.puller import one_line
from wampush import __version__
from wampush.cli import main

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "wampush.cli"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nix"],
        ["push"],
        ["listen"],
        ["check", "--nix"],
    ],
)
def test_wrong_arguments_end_with_status_2_and_one_line(
    capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "--help" in one_line(capfd)


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capfd.readouterr().out == f"wampush {__version__}\n"


@pytest.mark.parametrize("command", [[], ["push"], ["listen"], ["check"]])
def test_help_has_examples(capfd: pytest.CaptureFixture[str], command: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    out = capfd.readouterr().out
    assert "examples:\n" in out
    assert "  wampush " in out
