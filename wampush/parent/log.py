"""The lines that the parent itself logs, in the form of the node's.

Owns: their form, and the destinations: standard output, a file, syslog.
Must not import: Twisted, except for the rotation of files.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import syslog
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from wampush.excerpts import printable_lines

#: Seconds that a line waits for somebody to take it.
PATIENCE: Final = 0.1
_NAMESPACE: Final = "wampush.parent"
_LEVELS: Final = ("debug", "info", "warn", "error", "critical")
_PRIORITIES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "debug": syslog.LOG_DEBUG,
        "info": syslog.LOG_INFO,
        "warn": syslog.LOG_WARNING,
        "error": syslog.LOG_ERR,
        "critical": syslog.LOG_CRIT,
    }
)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the log goes.

    :param kind: "stdout", "file", "syslog", or "stderr" for a logger that only the node has.
    :param name: the path of a file, or the prefix in syslog.
    """

    kind: str
    name: str = ""

    @property
    def is_relayed(self) -> bool:
        """Whether a node writes its log to the parent, because one process writes the file."""
        return self.kind == "file"


class Output:
    """Writes lines to the destination.

    :param destination: of the log.
    :raises OSError: the file cannot be opened.
    """

    def __init__(self, destination: Destination) -> None:
        self._file: Any = None
        self._kind = destination.kind
        self._name = destination.name
        if self._kind == "file":
            self._open()
        elif self._kind == "syslog":
            syslog.openlog(destination.name)

    @property
    def is_terminal(self) -> bool:
        """Whether people read the lines as they come."""
        return self._kind == "stdout" and os.isatty(1)

    def write(self, text: str, level: str) -> None:
        """Write whole lines.

        A disk that is full must not end the parent; what is lost then is missing in the log.
        """
        with contextlib.suppress(OSError, ValueError):
            if self._file is not None:
                self._write_to_file(text)
            elif self._kind == "syslog":
                for line in text.splitlines():
                    syslog.syslog(_PRIORITIES[level], line)
            else:
                write_in_time(2 if self._kind == "stderr" else 1, text)

    def _open(self) -> None:
        from twisted.python.logfile import LogFile

        self._file = LogFile.fromFullPath(self._name)

    def _write_to_file(self, text: str) -> None:
        try:
            self._file.write(text)
        except ValueError:
            # A rotation has closed the file, and was not able to open the next one.
            self._open()
            self._file.write(text)

    def rotate(self) -> None:
        """Begin a new file, as twistd does for SIGUSR1."""
        if self._file is not None:
            with contextlib.suppress(OSError, ValueError):
                self._file.rotate()


def write_in_time(descriptor: int, text: str) -> None:
    """Write a text to a descriptor, and leave out what nobody takes.

    A pipe that nobody reads must not hold up the parent.

    :raises OSError: it cannot be written.
    """
    rest = memoryview(text.encode("utf-8", "backslashreplace"))
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    # A pipe that is ready takes so many bytes at once (pipe(7)).
    while rest and poll.poll(PATIENCE * 1000):
        rest = rest[os.write(descriptor, rest[: select.PIPE_BUF]) :]


class Log:
    """Makes lines of events.

    :param write: takes whole lines, and their level.
    :param level: events below it are left out.
    :param is_json: whether a line is a JSON object.
    :param now: returns the seconds since the epoch.
    """

    def __init__(
        self,
        write: Callable[[str, str], object],
        *,
        level: str = "info",
        is_json: bool = False,
        has_time: bool = True,
        now: Callable[[], float] = time.time,
        worker: Callable[[], int] = lambda: 0,
    ) -> None:
        self._write = write
        self._least = _LEVELS.index(level)
        self._is_json = is_json
        self._has_time = has_time
        self._now = now
        self._worker = worker

    def about(self, worker: Callable[[], int]) -> Log:
        """Return a log of the same form for lines about one worker.

        :param worker: returns its number; 0 where there is only one.
        """
        return Log(
            self._write,
            level=_LEVELS[self._least],
            is_json=self._is_json,
            has_time=self._has_time,
            now=self._now,
            worker=worker,
        )

    def info(self, text: str, /, **fields: object) -> None:
        """Log what is normal.

        :param text: with the names of fields in braces.
        """
        self.log("info", text, fields)

    def warn(self, text: str, /, **fields: object) -> None:
        """Log what needs attention."""
        self.log("warn", text, fields)

    def error(self, text: str, /, **fields: object) -> None:
        """Log what went wrong."""
        self.log("error", text, fields)

    def log(
        self, level: str, text: str, fields: Mapping[str, object], namespace: str = _NAMESPACE
    ) -> None:
        """Log an event.

        :param namespace: of the part that it is about.
        """
        if _LEVELS.index(level) < self._least:
            return
        message = text.format_map(fields) if fields else text
        worker = self._worker()
        if self._is_json:
            event: dict[str, object] = {
                "time": self._time(),
                "level": level,
                "logger": namespace,
            }
            if worker:
                event["worker"] = worker
            event["message"] = message
            if fields:
                event["fields"] = dict(fields)
            self._write(f"{json.dumps(event, default=str)}\n", level)
            return
        when = f"{self._time()} " if self._has_time else ""
        about = f"worker {worker}: " if worker else ""
        line = message.replace("\n", "\n\t")
        self._write(printable_lines(f"{when}[{namespace}#{level}] {about}{line}\n"), level)

    def _time(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(self._now()))


def standard_log(destination: Destination, level: str, form: str) -> tuple[Output, Log]:
    """Return the output and the log of a process.

    :param level: of ``[log]``.
    :param form: of ``[log]``; "auto" is text on a terminal.
    :raises OSError: the file of the log cannot be opened.
    """
    output = Output(destination)
    is_json = form == "json" or (form == "auto" and not output.is_terminal)
    has_time = destination.kind != "syslog"
    return output, Log(output.write, level=level, is_json=is_json, has_time=has_time)


def flush_standard_streams() -> None:
    """Write what Python still holds, before the process image is replaced."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
