"""Servers that are copies of a process are like those that a command starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import running_daemon, twistd_command
from tests.support.fork_server.client import Forked, can_start_with

APP = """
import gc, json, os, signal, sys, threading, time
from pathlib import Path
from wampush.apps import App

app = App()
streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
seen = {
    "arguments": sys.argv,
    "original": sys.orig_argv,
    "path": sys.path,
    "environment": dict(os.environ),
    "zone": time.tzname,
    "input": os.readlink("/proc/self/fd/0"),
    "descriptors": len(os.listdir("/proc/self/fd")),
    "signals": [each for each in Path("/proc/self/status").read_text().splitlines()
                if each.startswith(("SigBlk", "SigIgn"))],
    "handlers": [str(signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGCHLD)],
    "streams": [(each.encoding, each.errors, each.line_buffering) for each in streams],
    "threads": threading.active_count(),
    "collector": (gc.isenabled(), gc.get_threshold()),
    "reactor": str(type(sys.modules["twisted.internet.reactor"])),
}
Path("seen.json").write_text(json.dumps(seen))
"""


def seen(folder: Path, command: list[str] | None) -> dict[str, Any]:
    """What an app of a server finds in its process."""
    (folder / "shown.py").write_text(APP, encoding="utf-8")
    (folder / "wampush.toml").write_text('apps = ["shown:app"]\n', encoding="utf-8")
    environment = {**os.environ, "TZ": "Asia/Tokyo", "OF_THE_TEST": "1"}
    options = ["--config", "wampush.toml"]
    with running_daemon(folder, twistd=command, extra=options, environment=environment) as daemon:
        found: dict[str, Any] = json.loads((folder / "seen.json").read_text(encoding="utf-8"))
        found["is_child"] = f"PPid:\t{os.getpid()}\n" in Path(
            f"/proc/{daemon.pid}/status"
        ).read_text(encoding="ascii")
    for name in ("arguments", "original"):
        # The ports differ.
        found[name] = [each for each in found[name] if not each.startswith(("tcp:", "ipc:"))]
    return found


def test_a_copy_finds_the_same_as_a_process_of_its_own(tmp_path: Path) -> None:
    copy = seen(tmp_path, None)
    real = seen(tmp_path, twistd_command())
    assert real.pop("is_child")
    assert not copy.pop("is_child")
    assert copy == real
    assert copy["zone"] == ["JST", "JST"]


def test_a_copy_ends_and_is_watched_as_a_process(tmp_path: Path) -> None:
    command = [*twistd_command(), "wampush", "--set=process.parent=false", "--http=off"]
    command += ["--listen=tcp:0:interface=127.0.0.1", "--pull=tcp://127.0.0.1:*"]
    process = Forked(command, tmp_path, os.environ)
    for line in process.stdout:
        if " ready: " in line:
            break
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(signal.SIGTERM)
    assert "Server Shut Down" in process.stdout.read()
    assert process.wait() == process.poll() == -signal.SIGTERM
    process.kill()
    process.stdout.close()

    process = Forked([*twistd_command(), "wampush", "--bogus"], tmp_path, os.environ)
    assert "--bogus" in process.stdout.read()
    assert process.wait() == 1
    process.stdout.close()


def test_what_is_read_before_the_fork_must_be_the_same() -> None:
    assert can_start_with({**os.environ, "TZ": "UTC", "WAMPUSH_ZMQ_PULL": "x"})
    for name in ("PYTHONPATH", "LANG", "LD_PRELOAD", "WAMPUSH_PURE_PYTHON"):
        assert not can_start_with({**os.environ, name: "something else"})
