"""The supervisor of a server that is restarted when its application changes.

Owns: the server's process, signals, and when it is started again.
Must not import: Twisted; the rest of the node, which the server's process loads anew.

The supervisor is one thread without signal handlers: it waits for signals, and looks at the files
each time that none has come for a while. A server that cannot start, or ends by itself, is started
again after the next change.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import sleep
from typing import Final, NamedTuple

from wampush.node.autoreload.module_report import VARIABLE, ReportReader
from wampush.node.autoreload.watched_files import WatchedFiles

#: Seconds between two looks at the files.
INTERVAL: Final = 0.5
#: Seconds without a further change before the server is restarted.
SETTLE: Final = 0.1
#: Seconds that a server has to end after SIGTERM; it lets clients read what was published.
PATIENCE: Final = 20.0
_SIGNALS: Final = frozenset({signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM})
_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
#: The origin of a signal that the kernel sent, as it does to all processes of a terminal.
_FROM_KERNEL: Final = 0x80


class Arrived(NamedTuple):
    """A signal that has arrived.

    :param number: of the signal.
    :param is_for_all: whether the server has got it, too, as with Ctrl-C.
    """

    number: int
    is_for_all: bool = False


Wait = Callable[[float], Arrived | None]
"""Waits for a signal, for so many seconds."""


class Supervisor:
    """Runs a server, and runs it again after each change.

    :param command: of the server.
    :param environ: its environment.
    :param settings: the settings file; None for none.
    :param wait: waits for the next signal.
    :param report: takes a line for the terminal.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        settings: Path | None,
        *,
        wait: Wait,
        report: Callable[[str], None],
    ) -> None:
        self._command = list(command)
        self._environ = environ
        self._wait = wait
        self._report = report
        folders = {Path.cwd()} if settings is None else {Path.cwd(), settings.parent}
        self._files = WatchedFiles(settings, folders)
        self._reader: ReportReader | None = None
        #: Process id of the server; 0 while there is none.
        self._process = 0
        self._is_over = False

    def run(self) -> None:
        """Supervise until SIGINT or SIGTERM."""
        self._start()
        while not self._is_over:
            arrived = self._wait(INTERVAL)
            if arrived is None:
                self._look()
            elif arrived.number == signal.SIGCHLD:
                self._reap()
            elif arrived.number in _ENDING:
                self._on_end_signal(arrived)
                self._wait_for_end()
            else:
                self._signal(arrived.number)

    def _start(self) -> None:
        self._reader = reader = ReportReader()
        self._process = os.posix_spawn(
            self._command[0],
            self._command,
            {**self._environ, VARIABLE: str(reader.write_end)},
            setsigmask=(),
        )
        reader.on_started()

    def _look(self) -> None:
        """Restart the server if a file has changed."""
        if self._reader is not None:
            self._files.add(self._reader.folders())
        changed = self._files.changes()
        if not changed:
            return
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        self._report(f"{changed[0]}{more} changed; restarting")
        # An editor or a checkout may write several files, one after the other.
        sleep(SETTLE)
        while self._files.changes():
            sleep(SETTLE)
        self._signal(signal.SIGTERM)
        self._wait_for_end()
        if not self._is_over:
            self._start()

    def _reap(self) -> None:
        """Note the end of the server, if it has ended."""
        process, status = os.waitpid(self._process, os.WNOHANG) if self._process else (0, 0)
        if process:
            self._on_ended()
            code = os.waitstatus_to_exitcode(status)
            self._report(f"the server has ended (status {code}); it starts again after a change")

    def _wait_for_end(self) -> None:
        """Wait for the end of the server, which was asked to end."""
        while self._process:
            arrived = self._wait(PATIENCE)
            if arrived is None:
                self._report(f"the server has not ended within {PATIENCE:g} s; killing it")
                self._signal(signal.SIGKILL)
            elif arrived.number in _ENDING:
                self._on_end_signal(arrived)
            if os.waitpid(self._process, os.WNOHANG)[0]:
                self._on_ended()

    def _on_end_signal(self, arrived: Arrived) -> None:
        """Take SIGINT or SIGTERM, and pass it on."""
        self._is_over = True
        # A second signal would end the server at once.
        if not arrived.is_for_all:
            self._signal(arrived.number)

    def _on_ended(self) -> None:
        self._process = 0
        if self._reader is not None:
            self._files.add(self._reader.folders())
            self._reader.close()
            self._reader = None

    def _signal(self, number: int) -> None:
        if self._process:
            os.kill(self._process, number)


def supervise(settings: Path | None) -> None:
    """Run the command of this process as a server that is restarted on changes.

    :param settings: the settings file; None for none.
    """

    def report(line: str) -> None:
        sys.stderr.write(f"wampush: {line}\n")
        sys.stderr.flush()

    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    # What is ignored cannot be waited for.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    command = [sys.executable, *sys.orig_argv[1:]]
    path = None if settings is None else settings.absolute()
    Supervisor(command, os.environ, path, wait=_wait_for_signal, report=report).run()


def _wait_for_signal(seconds: float) -> Arrived | None:
    info = signal.sigtimedwait(_SIGNALS, seconds)
    return None if info is None else Arrived(info.si_signo, info.si_code == _FROM_KERNEL)
