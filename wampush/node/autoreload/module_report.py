"""What a server that is restarted on changes reports to its supervisor: where its application is.

Owns: the report, in the server's process, and reading it, in the supervisor's.
Must not import: Twisted.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
from collections.abc import MutableMapping
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Final

from wampush.node.autoreload.watched_files import application_folders_loaded

#: Names the descriptor of the pipe to the supervisor; settings would begin with WAMPUSH_.
VARIABLE: Final = "_WAMPUSH_RELOAD_PIPE"
#: Seconds between two looks at what was imported.
INTERVAL: Final = 0.5
_READ_BYTES: Final = 65_536


class ModuleReporter:
    """Writes the folders of the application's modules to a pipe, each once.

    :param descriptor: the end of the pipe that is written.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._reported: set[Path] = set()

    def start(self) -> None:
        """Report from now on, in a thread, and at the end of the process."""
        atexit.register(self.report)
        Thread(target=self._run, name="wampush-reload", daemon=True).start()

    def report(self) -> bool:
        """Report folders that are new.

        :returns: whether the supervisor still reads.
        """
        folders = application_folders_loaded() - self._reported
        self._reported |= folders
        text = b"".join(os.fsencode(folder) + b"\0" for folder in folders)
        try:
            while text:
                text = text[os.write(self._descriptor, text) :]
        except BrokenPipeError:
            return False
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return not poll.poll(0)

    def _run(self) -> None:
        while self.report():
            sleep(INTERVAL)
        # Nobody else would end the server once its supervisor was killed.
        os.kill(os.getpid(), signal.SIGTERM)


def start_reporting(environ: MutableMapping[str, str]) -> bool:
    """Begin to report, if this process has a supervisor.

    :param environ: loses the variable that names the pipe, so that no child of this process has it.
    :returns: whether it has one.
    """
    name = environ.pop(VARIABLE, "")
    if not name.isdecimal():
        return False
    descriptor = int(name)
    os.set_inheritable(descriptor, False)
    ModuleReporter(descriptor).start()
    return True


class ReportReader:
    """Reads the reports of one server.

    :ivar write_end: for the server.
    """

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_inheritable(self.write_end, True)
        self._rest = b""

    def on_started(self) -> None:
        """Close the end of the pipe that the server has now."""
        os.close(self.write_end)

    def folders(self) -> set[Path]:
        """Return the folders that were reported since the last time."""
        data = self._rest
        while True:
            try:
                part = os.read(self._read_end, _READ_BYTES)
            except BlockingIOError:
                break
            if not part:
                break
            data += part
        *names, self._rest = data.split(b"\0")
        return {Path(os.fsdecode(name)) for name in names}

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._read_end)
