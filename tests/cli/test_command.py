"""The command line as a whole: arguments, help and exit statuses."""

from __future__ import annotations

import os
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


def test_the_status_is_the_one_of_the_command(tmp_path: Path) -> None:
    config = tmp_path / "wampush.toml"
    config.write_text("")
    assert main(["check", "--config", str(config)]) == 0
    config.write_text("nix = 1")
    assert main(["check", "--config", str(config)]) == 1


def test_an_error_of_the_operator_is_one_line_with_status_1(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "wampush.toml"
    config.write_text("")
    assert main(["token", "--config", str(config)]) == 1
    assert one_line(capfd).startswith("wampush: no key to sign with; ")


def test_output_that_nobody_reads_is_no_failure(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stdout)
        assert main(["config-schema"]) == 0
        # The process does so at its exit; into the pipe it would fail.
        stdout.flush()
    assert capfd.readouterr().err == ""


def press_control_c(_: str) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_command_has_status_130(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys.stdout, "write", press_control_c)
        assert main(["config-schema"]) == 130
    assert capfd.readouterr().err == ""
