"""A child process is watched through its output."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from wampush.testing.process import Process

SCRIPT = """
import os, sys, time
print("names", [name for name in os.environ if name.startswith("WAMPUSH_")], flush=True)
if "stay" in sys.argv:
    print("ready", flush=True)
    time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


def test_a_process_is_watched_and_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAMPUSH_HTTP_LISTEN", "off")
    process = Process([sys.executable, "-c", SCRIPT, "stay"], cwd=tmp_path)
    process.wait_for_line("names", "ready")
    assert process.lines == ["names []", "ready"]
    assert process.pid > 0
    assert process.terminate() == -signal.SIGTERM
    process.kill()


def test_a_process_that_ends_early_shows_its_log(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", SCRIPT], cwd=tmp_path)
    with pytest.raises(AssertionError, match=r"the process ended; its log:\nnames"):
        process.wait_for_log(lambda log: "ready" in log)
    assert process.wait() == 0


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", STUBBORN], cwd=tmp_path)
    process.wait_for_log(lambda log: "ready" in log)
    with pytest.raises(AssertionError, match="the process is silent"):
        process.wait_for_log(lambda log: "more" in log, patience=0.01)
    with pytest.raises(AssertionError, match="ignored SIGTERM"):
        process.terminate(patience=0.05)
    assert process.wait() == -signal.SIGKILL
