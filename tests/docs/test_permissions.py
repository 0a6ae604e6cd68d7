"""The guide to permissions: its settings, its commands and what it says they print."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from wampush.broker.access.permissions import ALWAYS_CALLABLE
from wampush.cli import main
from wampush.errors import Refusal
from wampush.wamp.uris import ERROR_FORBIDDEN

GUIDE = (Path(__file__).parents[2] / "docs" / "howto" / "permissions.md").read_text("utf-8")
SETTINGS = re.findall(r"^```toml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
EXAMPLES = re.findall(r"^```sh\n(.*?)^```\n\n```text\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAMPUSH_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("wampush.toml").write_text(SETTINGS[0], "utf-8")


@pytest.mark.parametrize(("command", "output"), EXAMPLES)
def test_the_commands_print_what_the_guide_says(
    command: str, output: str, capfd: pytest.CaptureFixture[str]
) -> None:
    program, *arguments = shlex.split(command)
    assert program == "wampush"
    assert main(arguments) == 0
    assert capfd.readouterr() == (output, "")


def test_every_command_is_followed_by_its_output() -> None:
    assert len(EXAMPLES) == GUIDE.count("```sh") == 2
    assert len(SETTINGS) == 1


def test_the_error_of_a_call_is_the_one_that_is_sent() -> None:
    (text,) = re.findall(r"^```json\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    _, _, uri, description, details = json.loads(text)
    assert uri == ERROR_FORBIDDEN
    assert description == Refusal.CALL_FORBIDDEN.sentence
    assert details == {"reason": Refusal.CALL_FORBIDDEN.code}


def test_the_guide_names_what_is_always_callable() -> None:
    assert {name for name in ALWAYS_CALLABLE if f"`{name}`" in GUIDE} == ALWAYS_CALLABLE
