"""The configuration of the security page allows what the page says, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.guides import blocks_in
from wampush.cli import main

NAME = "docs/explanation/security.md"


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The file with the last example of the page."""
    monkeypatch.delenv("WAMPUSH_CONFIG", raising=False)
    path = tmp_path / "wampush.toml"
    path.write_text(blocks_in(NAME, "toml")[-1], encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("user", "topic", "allowed"),
    [
        ("", "public.news", {"subscribe"}),
        ("", "user.7.orders", set()),
        ("", "anything", set()),
        ("7", "user.7.orders", {"subscribe"}),
        ("8", "user.7.orders", set()),
    ],
)
def test_what_clients_may_do(
    configuration: str,
    capsys: pytest.CaptureFixture[str],
    user: str,
    topic: str,
    allowed: set[str],
) -> None:
    identity = ["--user", user] if user else []
    assert main(["check", "--config", configuration, *identity, topic]) == 0
    verdicts = [line.split()[:3] for line in capsys.readouterr().out.splitlines()]
    assert {action for _, action, _ in verdicts} == {"subscribe", "publish", "call"}
    assert {action for verdict, action, _ in verdicts if verdict == "allowed"} == allowed
    assert {verdict for verdict, _, _ in verdicts} <= {"allowed", "refused"}
