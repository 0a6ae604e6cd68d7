"""A child process that a test starts and watches through its output.

Owns: the process, its log and its end. Must not import: anything of wampush.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Protocol

#: Seconds after which something that should have happened counts as not happening; a server may
#: take twenty to start where the machine is busy.
PATIENCE: Final = 60.0


class Child(Protocol):
    """What is used of a ``subprocess.Popen``, so that a process can also be started otherwise."""

    @property
    def pid(self) -> int:
        """The process id."""

    @property
    def stdout(self) -> IO[str] | None:
        """What it writes."""

    def poll(self) -> int | None:
        """The exit status, if it has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return the exit status."""

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""

    def kill(self) -> None:
        """End it at once."""


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
        self._popen = self._started(command, cwd, environment)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _started(self, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Child:
        return subprocess.Popen(  # noqa: S603 - the test chooses the command
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
        stream = self._popen.stdout
        for line in stream or ():
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        if stream is not None:
            stream.close()
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
        """Wait until the log contains each of these texts.

        A line about an event may come after the event can be seen elsewhere: a server writes its
        log in a thread, and this process reads it from a pipe.
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
