"""``wampush upgrade`` and ``wampush reload``."""

from __future__ import annotations

import pytest

from wampush.cli import main, upgrade
from wampush.cli.running_parents import Outcome


@pytest.mark.parametrize("command", ["upgrade", "reload"])
def test_the_outcome_is_printed(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, str]] = []

    def ask(pid: int, question: str) -> Outcome:
        asked.append((pid, question))
        return Outcome(pid == 7, "it serves" if pid == 7 else "it is broken")

    monkeypatch.setattr(upgrade, "ask", ask)
    assert main([command, "--pid", "7"]) == 0
    assert capsys.readouterr().out == f"{command}: it serves\n"
    assert main([command, "--pid", "8"]) == 1
    assert capsys.readouterr().err == f"wampush: {command}: it is broken\n"
    assert asked == [(7, command), (8, command)]
