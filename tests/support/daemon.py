"""The daemon as a process of its own: started, watched through its log, stopped by its id."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.ports import reserved_ports
from tests.support.waiting import PATIENCE

# In the line that the daemon writes last when it starts.
READY = " ready: "


def twistd_command() -> list[str]:
    """The twistd of the environment that runs the tests."""
    script = Path(__file__).with_name("covered_twistd.py")
    return [sys.executable, "-P", str(script), "-n", "--pidfile="]


class Process:
    """A child process whose output is read line by line in the background.

    :param command: program and arguments.
    :param cwd: folder to start it in.
    :param environment: the whole environment; None means this process's without WAMPUSH_ names.
    """

    def __init__(
        self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        if environment is None:
            environment = {
                name: value for name, value in os.environ.items() if not name.startswith("WAMPUSH_")
            }
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._popen = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def log(self) -> str:
        """Everything it has written so far."""
        with self._changed:
            return "\n".join(self.lines)

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as stream:
            for line in stream:
                with self._changed:
                    self.lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for_log(self, found: Callable[[str], bool], patience: float = PATIENCE) -> None:
        """Wait until ``found`` holds for the whole log; the process must still be running then."""
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: self._ended or found("\n".join(self.lines)), patience
            )
            text = "\n".join(self.lines)
        if not arrived or not found(text):
            state = "ended" if self._ended else "is silent"
            message = f"the process {state}; its log:\n{text}"
            raise AssertionError(message)

    def wait_for_line(self, *texts: str) -> None:
        """Wait until the log holds each of ``texts``.

        A line about an event may come after the event can be seen elsewhere: the daemon's log is
        written by a thread, and this process reads it from a pipe.
        """
        self.wait_for_log(lambda log: all(text in log for text in texts))

    def wait(self, patience: float = PATIENCE) -> int:
        """Wait for its end; return the exit status (negative: the signal that ended it)."""
        status = self._popen.wait(patience)
        self._reader.join(patience)
        return status

    def kill(self) -> None:
        """End it without a chance to clean up, and reap it."""
        if self._popen.poll() is None:
            self._popen.kill()
        self.wait()

    def terminate(self, patience: float = PATIENCE) -> int:
        """Ask it to end (SIGTERM), and kill it when it does not; return the exit status."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
        try:
            return self.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            message = f"the process ignored SIGTERM for {patience} s; its log:\n{self.log}"
            raise AssertionError(message) from None


class Daemon(Process):
    """A running ``twistd wampush`` on ports of its own.

    :param ports: the ports for WebSocket, ZeroMQ and HTTP.
    :param cwd: folder to start it in.
    :param extra: further options of the plugin.
    :param twistd: the twistd command with its own options.
    :param environment: see Process.
    :param tls: whether the WebSocket listener speaks TLS; the key comes from ``extra``.
    """

    def __init__(
        self,
        ports: Sequence[int],
        *,
        cwd: Path,
        extra: Sequence[str] = (),
        twistd: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        tls: bool = False,
    ) -> None:
        self.websocket_port, self.zmq_port, self.http_port = ports
        self.websocket_url = f"{'wss' if tls else 'ws'}://127.0.0.1:{self.websocket_port}"
        self.zmq_address = f"tcp://127.0.0.1:{self.zmq_port}"
        self.http_url = f"http://127.0.0.1:{self.http_port}"
        command = [
            *(twistd_command() if twistd is None else twistd),
            "wampush",
            "--listen",
            f"{'ssl' if tls else 'tcp'}:{self.websocket_port}:interface=127.0.0.1",
            "--pull",
            self.zmq_address,
            "--http",
            f"tcp:{self.http_port}:interface=127.0.0.1",
            *extra,
        ]
        super().__init__(command, cwd=cwd, environment=environment)

    def wait_until_ready(self) -> None:
        """Wait for the last start-up line; the lines of the listeners come before it."""
        self.wait_for_line(
            f"WAMP v1 on {self.websocket_url}/",
            f"pulling pushes from {self.zmq_address}",
            f"health on {self.http_url}/healthz",
            READY,
        )

    def health(self) -> dict[str, Any]:
        """What ``/healthz`` says."""
        with urllib.request.urlopen(f"{self.http_url}/healthz", timeout=10) as response:
            document = json.load(response)
        assert isinstance(document, dict)
        return document

    def counts(self) -> tuple[int, int, int]:
        """How many sessions, topics and connections ``/healthz`` reports."""
        health = self.health()
        return health["sessions"], health["topics"], health["connections"]

    def descriptors(self) -> int:
        """How many descriptors the process has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def stop(self, *, traceback_expected: bool = False) -> None:
        """Stop it as a supervisor does; it must end in order and without a traceback.

        twistd shuts down in order and then raises the signal again, so that this is its status.
        """
        assert self.terminate() == -signal.SIGTERM, self.log
        assert "Server Shut Down" in self.log
        if not traceback_expected:
            assert "Traceback" not in self.log, self.log


@contextlib.contextmanager
def running_daemon(
    cwd: Path,
    *,
    extra: Sequence[str] = (),
    twistd: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    traceback_expected: bool = False,
    tls: bool = False,
) -> Iterator[Daemon]:
    """Start a daemon on free ports, yield it when it is ready, stop it at the end."""
    with reserved_ports(3) as ports:
        daemon = Daemon(
            ports, cwd=cwd, extra=extra, twistd=twistd, environment=environment, tls=tls
        )
        try:
            daemon.wait_until_ready()
            yield daemon
            daemon.stop(traceback_expected=traceback_expected)
        finally:
            daemon.kill()
