"""The daemon under a real supervisord, with the program file of deploy/."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.daemon import twistd_command
from tests.support.proxies import DEPLOY, adapted, program
from tests.support.raw_client import RawClient
from tests.support.waiting import eventually
from wampush.testing.ports import reserved_ports
from wampush.testing.process import Process

COMMAND = "/opt/wampush/bin/twistd --nodaemon --pidfile= wampush --config /etc/wampush.toml"


@dataclass(frozen=True)
class Supervised:
    """A daemon that supervisord runs.

    :param log: of the daemon.
    :param port: for WebSocket.
    """

    supervisord: Process
    log: Path
    port: int

    def pids(self) -> list[int]:
        """The process ids that the daemon has had, in order."""
        text = self.log.read_text(encoding="utf-8") if self.log.exists() else ""
        return [int(number) for number in re.findall(r" ready: .*process (\d+)", text)]

    def wait_for_start(self, number: int) -> int:
        """Wait until it is ready for the n-th time; its process id."""
        return eventually(self.pids, lambda pids: len(pids) == number)[-1]


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    settings = DEPLOY / "wampush.toml"
    log = tmp_path / "wampush.log"
    with contextlib.ExitStack() as stack:
        (port,) = stack.enter_context(reserved_ports(1))
        options = [f"--listen=tcp:{port}:interface=127.0.0.1", "--pull=ipc://pushes", "--http=off"]
        command = [*twistd_command(), "wampush", "--config", str(settings), *options]
        text = adapted(
            "supervisor/wampush.conf",
            {
                COMMAND: shlex.join(command),
                "directory=/\n": f"directory={tmp_path}\n",
                # This account need not exist here.
                "user=wampush\n": "",
                "/var/log/wampush.log": str(log),
            },
        )
        path = tmp_path / "supervisord.conf"
        account = "user=root\n" if os.geteuid() == 0 else ""
        path.write_text(
            f"[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={tmp_path}/pid\n"
            f"{account}{text}",
            encoding="utf-8",
        )
        supervisord = Process(
            [program("supervisord", "supervisor"), "--nodaemon", "--configuration", str(path)],
            cwd=tmp_path,
        )
        stack.callback(supervisord.terminate)
        yield Supervised(supervisord, log, port)


def test_it_is_started_restarted_after_a_crash_and_stopped(supervised: Supervised) -> None:
    first = supervised.wait_for_start(1)
    with RawClient(supervised.port):
        # Only then is a crash not a failed start.
        supervised.supervisord.wait_for_line("entered RUNNING state")
        os.kill(first, signal.SIGKILL)
        second = supervised.wait_for_start(2)
    assert second != first
    with RawClient(supervised.port):
        pass
    assert supervised.supervisord.terminate() == 0
    log = supervised.log.read_text(encoding="utf-8")
    assert log.count("stopped: ") == 1
    assert "Traceback" not in log
    assert not Path(f"/proc/{second}").exists()
