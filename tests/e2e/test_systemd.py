"""The daemon under systemd, with the units of deploy/.

Where namespaces are permitted, a systemd of its own runs them. Everywhere notifications go to a
real socket, systemd-socket-activate passes a listening socket, and systemd-analyze checks units.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.daemon import running_daemon, twistd_command
from tests.support.proxies import adapted, program
from tests.support.raw_client import RawClient
from tests.support.service_manager import notify_socket
from tests.support.systemd import ROOT, running_systemd, why_not
from tests.support.waiting import eventually
from wampush import __version__
from wampush.testing.ports import reserved_ports
from wampush.testing.process import Process

TWISTD = "/opt/wampush/bin/twistd"


def test_the_states_of_a_service(tmp_path: Path) -> None:
    with notify_socket(tmp_path) as systemd:
        # What systemd sets with WatchdogSec=0.2.
        environment = {**os.environ, "NOTIFY_SOCKET": systemd.name, "WATCHDOG_USEC": "200000"}
        with running_daemon(tmp_path, environment=environment) as daemon:
            ready, status = systemd.receive()
            assert ready == "READY=1"
            assert status == f"STATUS=wampush {__version__} on {daemon.websocket_url}/"
            # READY=1 means that clients can connect.
            with RawClient(daemon.websocket_port):
                assert [systemd.receive() for _ in range(3)] == [["WATCHDOG=1"]] * 3
            os.kill(daemon.pid, signal.SIGHUP)
            assert systemd.receive_state() == ["RELOADING=1", "MONOTONIC_USEC"]
            assert systemd.receive_state() == ["READY=1"]
            os.kill(daemon.pid, signal.SIGTERM)
            assert systemd.receive_state() == ["STOPPING=1", "STATUS=stopping"]
        assert "systemd" not in daemon.log


def activate(command: Sequence[str], port: int, folder: Path) -> Process:
    """Start a command as systemd does for a .socket unit: when somebody connects."""
    tool = program("systemd-socket-activate", "systemd")
    passed = ["PYTHONPATH"] if "PYTHONPATH" in os.environ else []
    more = [f"--setenv={name}" for name in passed]
    address = f"--listen=127.0.0.1:{port}"
    return Process([tool, address, "--fdname=wampush", *more, *command], cwd=folder)


def poke(port: int) -> None:
    """Connect, as a first client does."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 20):
        pass


def test_a_socket_of_systemd_is_used(tmp_path: Path) -> None:
    with reserved_ports(1) as (port,):
        options = ["--pull=ipc://pushes", "--http=off"]
        command = [*twistd_command(), "wampush", *options]
        listen = "--listen=systemd:domain=INET:name=wampush"
        process = activate([*command, listen], port, tmp_path)
        try:
            process.wait_for_line("Listening on")
            # Nobody listens but systemd; this client is served when the server is ready.
            with RawClient(port):
                process.wait_for_line(f"WAMP v1 on ws://127.0.0.1:{port}/", "clients of this")
            assert "no listener uses it" not in process.log
            assert process.terminate() == -signal.SIGTERM
            assert "Traceback" not in process.log
        finally:
            process.kill()


def test_a_socket_with_another_name(tmp_path: Path) -> None:
    with reserved_ports(1) as (port,):
        command = [*twistd_command(), "wampush", "--pull=ipc://pushes", "--http=off"]
        process = activate([*command, "--listen=systemd:INET:name=web"], port, tmp_path)
        try:
            process.wait_for_line("Listening on")
            poke(port)
            assert process.wait() == 1
            assert "systemd has passed only 'wampush'" in process.log
            assert "FileDescriptorName=" in process.log
            assert "Traceback" not in process.log
        finally:
            process.kill()


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units of deploy/, with a twistd that exists here."""
    paths = []
    for name, changes in (
        ("wampush.service", {TWISTD: twistd_command()[0]}),
        ("wampush.socket", {}),
    ):
        path = tmp_path / name
        path.write_text(adapted(f"systemd/{name}", changes), encoding="utf-8")
        paths.append(str(path))
    return paths


def analyze(*arguments: str) -> str:
    """What systemd-analyze says; it must be content."""
    command = [program("systemd-analyze", "systemd"), *arguments]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_units_are_valid(units: list[str]) -> None:
    said = analyze("verify", "--man=no", "--recursive-errors=no", *units)
    # Unknown settings are warnings only. It also says what is odd about units of this machine.
    assert [line for line in said.splitlines() if "wampush" in line] == []


def test_the_service_is_confined(units: list[str]) -> None:
    said = analyze("security", "--offline=true", "--threshold=20", "--no-pager", units[0])
    assert re.search(r"Overall exposure level for wampush\.service: \d", said)


def test_a_real_systemd_starts_reloads_watches_and_stops_it(tmp_path: Path) -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    settings = (
        '[websocket]\nlisten = ["systemd:domain=INET:name=wampush"]\n'
        '[history]\ndatabase = "/var/lib/wampush/history.sqlite"\n'
        '[[topics]]\nmatch = "kept"\ndurable = true\nhistory = 1\n'
    )
    # The programs of the tests are elsewhere, perhaps where the unit hides them.
    needed = dict.fromkeys((str(ROOT), sys.prefix, sys.base_prefix))
    service = adapted(
        "systemd/wampush.service",
        {
            TWISTD: twistd_command()[0],
            "/etc/wampush.toml": "/run/systemd/system/wampush.toml",
            "User=wampush": "User=www-data",
            "ProtectHome=true": "ProtectHome=tmpfs",
            "RestartSec=2": "RestartSec=100ms",
            "[Unit]\n": "[Unit]\nDefaultDependencies=no\n",
            "[Service]\n": f"[Service]\nBindReadOnlyPaths={' '.join(needed)}\n"
            f"Environment=PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1\n"
            "StandardOutput=append:/run/wampush.log\nStandardError=inherit\n",
        },
    )
    socket_unit = adapted(
        "systemd/wampush.socket", {"[Unit]\n": "[Unit]\nDefaultDependencies=no\n"}
    )
    files = {
        "wampush.service": service,
        "wampush.socket": socket_unit,
        "wampush.toml": settings,
    }
    with running_systemd(tmp_path / "units", files, needed) as systemd:
        systemd.systemctl("start", "wampush.socket")
        assert systemd.property("wampush", "ActiveState") == "inactive"
        page = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080/').status)"
        assert systemd.run_python(page) == "200\n"
        # The answer may be faster than the notification.
        systemd.systemctl("start", "wampush")
        status = systemd.property("wampush", "StatusText")
        assert status == f"wampush {__version__} on ws://127.0.0.1:8080/"
        systemd.systemctl("reload", "wampush")
        # With Type=notify it does not wait for the service.
        eventually(lambda: systemd.log("wampush.log"), lambda log: "SIGHUP: reloading" in log)
        assert systemd.property("wampush", "NRestarts") == "0"
        systemd.systemctl("stop", "wampush.socket", "wampush")
        assert systemd.property("wampush", "Result") == "success"
        log = systemd.log("wampush.log")
        assert log.count(" ready: ") == log.count(" stopped: ") == 1
        assert "Traceback" not in log
        # A process that does nothing any more is replaced. On a busy machine that may also happen
        # before it is stopped, after so short a time.
        systemd.write("wampush.service.d/trial.conf", "[Service]\nWatchdogSec=2\n")
        systemd.systemctl("daemon-reload")
        systemd.systemctl("start", "wampush.socket", "wampush")
        systemd.systemctl("kill", "--kill-whom=main", "--signal=STOP", "wampush")
        eventually(lambda: int(systemd.property("wampush", "NRestarts")), bool)
