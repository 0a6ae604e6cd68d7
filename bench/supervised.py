"""A server with a parent process, whose node can be replaced while it is measured.

Owns: its start, under supervisord if that is installed, and upgrades and reloads of it.
Must not import: wampush, scenarios.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.native import ROOT, BenchError
from bench.processes import Server, cores, free_ports, spawn, stop, wait_for_line

#: Seconds that a replacement may take; more is a failure.
PATIENCE: Final = 120.0
_SERVES: Final = re.compile(r"process (\d+) serves after ([\d.]+) s")


@dataclass(slots=True)
class Supervised:
    """A running server with a parent.

    :param server: the node that serves, as it is measured.
    :param parent: the process id of the parent.
    """

    server: Server
    parent: int

    def replace(self, kind: str) -> float:
        """Replace the node; return the seconds until the new one served, 0 if none was needed.

        :param kind: "upgrade" or "reload".
        :raises BenchError: it has failed.
        """
        command = [sys.executable, "-m", "wampush.cli", kind, "--pid", str(self.parent)]
        process = spawn(cores()[1], command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        finally:
            stop(process)
        if process.returncode:
            raise BenchError(f"a replacement has failed: {said.strip()}")
        found = _SERVES.search(said)
        if found is None:
            return 0.0
        self.server.pid = int(found[1])
        return float(found[2])

    def wait_until_alone(self) -> None:
        """Wait until the nodes before this one have ended, and measure this one.

        The log does not say for certain which one it is: a node writes it in a thread.

        :raises BenchError: one does not end, or none is left.
        """
        children = Path(f"/proc/{self.parent}/task/{self.parent}/children")
        deadline = time.monotonic() + PATIENCE
        while len(nodes := children.read_text().split()) > 1:
            if time.monotonic() > deadline:
                raise BenchError("a node that was replaced has not ended")
            time.sleep(0.02)
        if not nodes:
            raise BenchError("no node runs")
        self.server.pid = int(nodes[0])


@contextlib.contextmanager
def supervised(folder: Path, settings: str) -> Iterator[Supervised]:
    """Run a server with a parent, whose configuration is ``wampush.toml`` in a folder.

    :param folder: also for its log.
    :param settings: the TOML.
    """
    config, log, pid_file = (folder / f"wampush.{each}" for each in ("toml", "log", "pid"))
    config.write_text(settings)
    twistd = Path(sys.executable).with_name("twistd")
    with free_ports(3) as (port, feed, http), contextlib.ExitStack() as stack:
        command = [str(twistd), "-n", f"--pidfile={pid_file}", "wampush", "--config", str(config)]
        command += ["--listen", f"tcp:{port}:interface=127.0.0.1"]
        command += ["--pull", f"tcp://127.0.0.1:{feed}"]
        command += ["--http", f"tcp:{http}:interface=127.0.0.1"]
        supervisord = shutil.which("supervisord")
        output: Any = subprocess.DEVNULL
        if supervisord is None:
            output = stack.enter_context(log.open("w"))
        else:
            program = folder / "supervisord.conf"
            program.write_text(_program(command, folder, log))
            command = [supervisord, "--nodaemon", "--configuration", str(program)]
        process = spawn(cores()[0], command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        stack.callback(stop, process)
        # The old node and the new one work at the same time, which one core would not allow.
        os.sched_setaffinity(process.pid, set(cores()))
        server = Server(process.pid, port, feed, "zmq", http, log, process)
        wait_for_line(server, " ready: ")
        running = Supervised(server, int(pid_file.read_text()))
        running.wait_until_alone()
        yield running


def _program(command: list[str], folder: Path, log: Path) -> str:
    """Return a configuration of supervisord, with the settings of deploy/supervisor."""
    return (
        f"[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={folder}/supervisord.pid\n"
        f"[program:wampush]\ncommand={shlex.join(command)}\ndirectory={ROOT}\nautorestart=true\n"
        "startsecs=2\nstopsignal=TERM\nstopwaitsecs=15\nkillasgroup=true\nredirect_stderr=true\n"
        f"stdout_logfile={log}\nstdout_logfile_maxbytes=0\n"
    )
