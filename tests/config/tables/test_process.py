"""The table ``[process]``."""

from __future__ import annotations

from pathlib import Path

from wampush.config.load import load


def test_durations_are_numbers_or_texts(tmp_path: Path) -> None:
    path = tmp_path / "wampush.toml"
    path.write_text('[process]\ndrain = "2min"\nready_timeout = 30\n', encoding="utf-8")
    process = load(path, {"WAMPUSH_PROCESS_HANG_TIMEOUT": "5s"}, {}).settings.process
    assert (process.drain, process.ready_timeout, process.hang_timeout) == (120.0, 30.0, 5.0)
    assert process.parent
