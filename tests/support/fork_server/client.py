"""Asks for copies of the process of ``server.py``, and watches them."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.fork_server.server import MOST
from wampush.speedups import VARIABLE
from wampush.testing.process import Child, Process


class ForkServer:
    """The process, which lives as long as the one that starts it."""

    def __init__(self) -> None:
        #: The one that it has been started with.
        self.environment: Mapping[str, str] = dict(os.environ)
        self._lock = threading.Lock()
        self._control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = str(Path(__file__).with_name("server.py"))
        with far:
            self._process = subprocess.Popen(
                [sys.executable, program, str(far.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[far.fileno()],
            )

    def ask(self, descriptors: Sequence[int] = (), **request: Any) -> int:
        """Send a request and return the answer."""
        with self._lock:
            socket.send_fds(self._control, [json.dumps(request).encode()], descriptors)
            answer = self._control.recv(MOST)
        assert answer, "the process that starts servers has ended"
        return int(answer)

    def close(self) -> None:
        """Let it end."""
        self._control.close()
        self._process.wait()


@cache
def fork_server() -> ForkServer:
    """The one of this process."""
    server = ForkServer()
    atexit.register(server.close)
    return server


def can_start_with(environment: Mapping[str, str]) -> bool:
    """Whether a copy can have this environment: what is read before the fork must be the same."""
    return _read_before(environment) == _read_before(fork_server().environment)


def _read_before(environment: Mapping[str, str]) -> Mapping[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(("LC_", "LD_", "PYTHON")) or name in {"LANG", VARIABLE}
    }


class Forked:
    """A copy that runs ``twistd``; the same from outside as a ``subprocess.Popen``.

    :param command: the arguments of the process, from the path of twistd on.
    """

    def __init__(self, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self._server = fork_server()
        read, write = os.pipe()
        try:
            self.pid = self._server.ask(
                [write], command=command, cwd=str(cwd), environment=dict(environment)
            )
        finally:
            os.close(write)
        self._pidfd = os.pidfd_open(self.pid)
        self._status: int | None = None
        self.stdout = os.fdopen(read, encoding="utf-8", errors="backslashreplace")

    def poll(self) -> int | None:
        """The exit status, if it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit status.

        :raises subprocess.TimeoutExpired: it runs longer.
        """
        if self._status is None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired("twistd", timeout or 0)
            self._status = self._server.ask(wait=self.pid)
            os.close(self._pidfd)
        return self._status

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._pidfd, sig)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class CopiedProcess(Process):
    """A process of the tests whose command begins with the path of twistd."""

    #: Whether it is to be a copy; otherwise the command starts it.
    is_copy = True

    def _started(self, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Child:
        if self.is_copy and can_start_with(environment):
            return Forked(command, cwd, environment)
        return super()._started(command, cwd, environment)
