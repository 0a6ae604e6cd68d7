"""A daemon whose clock is set back, whose log nobody reads, or that gets SIGHUP as it starts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.daemon import Daemon, running_daemon, twistd_command
from tests.support.processor import cpu_seconds
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE, eventually
from wampush.testing.ports import reserved_ports
from wampush.testing.process import Process
from wampush.testing.running_server import READY

ROOT = Path(__file__).resolve().parents[2]
CLOCK = ROOT / "tests" / "support" / "twistd_with_clock.py"
HOUR = 3600.0


def time_of_day(daemon: Daemon) -> float:
    """What the daemon takes for the time."""
    with RawClient(daemon.websocket_port) as client:
        client.send(2, "1", "wampush.time")
        answer = client.receive()
    assert answer[:2] == [3, "1"]
    assert isinstance(answer[2], float)
    return answer[2]


def test_a_clock_that_is_set_back_stops_no_timer(tmp_path: Path) -> None:
    # -P keeps the folder of the script, whose modules it does not need, off the path.
    twistd = [sys.executable, "-P", str(CLOCK), "-n", "--pidfile="]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    extra = ["--set", "websocket.handshake_timeout=1"]
    with running_daemon(tmp_path, twistd=twistd, environment=environment, extra=extra) as daemon:
        os.kill(daemon.pid, signal.SIGUSR2)
        now = eventually(lambda: time_of_day(daemon), lambda seen: seen < time.time() - HOUR / 2)
        with socket.create_connection(("127.0.0.1", daemon.websocket_port), PATIENCE) as silent:
            silent.sendall(b"GET / HTTP/1.1\r\n")
            with pytest.raises(ConnectionResetError):
                silent.recv(1000)
        # The times in the log follow the time of day.
        daemon.wait_for_line("handshake-timeout")
        (line,) = re.findall(r"^(\S+) \[.*handshake-timeout", daemon.log, re.MULTILINE)
        assert -1 <= datetime.strptime(line, "%Y-%m-%dT%H:%M:%S%z").timestamp() - now < PATIENCE


def test_a_log_that_nobody_reads_holds_up_nobody(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        (port,) = stack.enter_context(reserved_ports(1))
        here = "interface=127.0.0.1"
        arguments = ["--listen", f"tcp:0:{here}", "--pull", f"ipc://{tmp_path}/pushes"]
        process = subprocess.Popen(
            [*twistd_command(), "wampush", *arguments, "--http", f"tcp:{port}:{here}"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        assert process.stdout is not None
        log = stack.enter_context(process.stdout)
        fcntl.fcntl(log, fcntl.F_SETPIPE_SZ, 4096)
        assert any(READY in line for line in iter(log.readline, ""))
        # Each writes more than 50 bytes.
        for _ in range(100):
            process.send_signal(signal.SIGHUP)
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE) as response:
                assert response.status == 200
        process.terminate()
        assert process.wait(PATIENCE) == -signal.SIGTERM
        assert 4000 < len(log.read()) <= 4096


def survives_hangup(process: Process) -> bool:
    """Whether SIGHUP is ignored or handled."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    masks = re.findall(r"^Sig(?:Ign|Cgt):\t(\w+)", status, re.MULTILINE)
    return any(int(mask, 16) & 1 << signal.SIGHUP - 1 for mask in masks)


def test_a_hangup_during_the_start_does_no_harm(tmp_path: Path) -> None:
    with reserved_ports(3) as ports:
        daemon = Daemon(ports, cwd=tmp_path)
        try:
            eventually(lambda: survives_hangup(daemon), bool)
            # Each time that it has computed a little. Were they sent at fixed times, handling
            # signals would be all that it does where it gets little of the processor.
            pause = threading.Event()
            deadline = time.monotonic() + PATIENCE
            used = 0.0
            while READY not in daemon.log:
                assert time.monotonic() < deadline, daemon.log
                if used < (now := cpu_seconds(daemon.pid)):
                    used = now
                    os.kill(daemon.pid, signal.SIGHUP)
                pause.wait(0.002)
            daemon.wait_until_ready()
            daemon.stop()
        finally:
            daemon.kill()
