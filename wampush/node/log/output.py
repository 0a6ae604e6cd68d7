"""Where the log goes.

Owns: the log observer that twistd would have chosen by its options, with writes that do not hold up
the reactor.
Must not import: the parts of a node, which install a reactor.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import syslog
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from time import time
from types import MappingProxyType
from typing import Any, Final

from twisted.logger import (
    FilteringLogObserver,
    LogEvent,
    LogLevel,
)
from twisted.python.logfile import LogFile

from wampush.config.settings import Settings
from wampush.errors import OperatorError
from wampush.node.log.formats import json_line, text_line, text_without_time
from wampush.node.log.levels import level_filter
from wampush.node.log.writer import LogWriter

#: twistd's name for the log of a daemon.
_DEFAULT_FILE: Final = "twistd.log"
_PRIORITIES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "debug": syslog.LOG_DEBUG,
        "info": syslog.LOG_INFO,
        "warn": syslog.LOG_WARNING,
        "error": syslog.LOG_ERR,
        "critical": syslog.LOG_CRIT,
    }
)

#: Writes the line of an event; the event is for its level.
Write = Callable[[str, LogEvent], object]


@dataclass(frozen=True, slots=True)
class LogOutput:
    """The destination of the log.

    :param observer: takes events from Twisted (``ILogObserver``).
    :param writer: writes their lines.
    """

    observer: Any
    writer: LogWriter

    def write_in_thread(self, reactor: Any) -> None:
        """Write the log in a thread until the reactor has stopped.

        Call it when the start is complete: what a start that fails has logged must be written
        before the exit. twistd logs two lines after the reactor has stopped.
        """
        self.writer.start()
        reactor.addSystemEventTrigger("after", "shutdown", self.writer.finish)


def choose_output(
    twistd: Mapping[str, Any], settings: Settings, worker: int = 0
) -> LogOutput | None:
    """Return the destination that the options of twistd name.

    :param twistd: its options; empty in a program that makes its own service.
    :param settings: all of them.
    :param worker: the number of the worker, which each line names; 0 where there is one.
    :returns: None where the log is not ours: without options, with ``--logger``, and where twistd
        refuses the options.
    :raises OperatorError: the file of the log cannot be opened.
    """
    if not twistd or twistd.get("logger"):
        return None
    if twistd.get("syslog"):
        return _to_syslog(twistd.get("prefix") or "", settings, worker)
    in_foreground = twistd.get("nodaemon") or twistd.get("debug")
    name = twistd.get("logfile")
    if name == "-" or (in_foreground and not name):
        return _to_standard_output(settings, worker) if in_foreground else None
    return _to_file(name or _DEFAULT_FILE, settings, worker)


def _output(
    write: Write,
    settings: Settings,
    text: Callable[[LogEvent, int], str],
    worker: int,
    *,
    is_terminal: bool = False,
) -> LogOutput:
    """Return an output.

    :param text: makes the line of an event that people read; takes the worker, too.
    :param worker: see :func:`choose_output`.
    :param is_terminal: whether ``log.format`` "auto" means people.
    """
    chosen = settings.log.format
    is_json = chosen == "json" or (chosen == "auto" and not is_terminal)
    form = json_line if is_json else text

    def line_of(event: LogEvent) -> str:
        return form(event, worker)

    def report(lost: int) -> None:
        event = _lost(lost)
        write(line_of(event), event)

    writer = LogWriter(report)

    def observe(event: LogEvent) -> None:
        # The line is made here, as what an event refers to may change.
        line = line_of(event)
        if line:
            writer.submit(partial(write, line, event), len(line))

    # Twisted's types do not say that the class implements the interface.
    is_logged: Any = level_filter(settings)
    observer: Any = observe
    return LogOutput(FilteringLogObserver(observer, [is_logged]), writer)


def _lost(count: int) -> LogEvent:
    """Return the event that reports lost lines."""
    return {
        "log_format": "{lost} log lines were lost, because the log could not be written",
        "log_level": LogLevel.warn,
        "log_namespace": "wampush.node",
        "log_time": time(),
        "lost": count,
    }


def _to_standard_output(settings: Settings, worker: int) -> LogOutput | None:
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        # It was replaced or closed.
        return None
    return _output(
        lambda line, _: write_all(descriptor, line),
        settings,
        text_line,
        worker,
        is_terminal=os.isatty(descriptor),
    )


def write_all(descriptor: int, text: str) -> None:
    """Write a text to a descriptor, and wait as long as that takes.

    A buffered file would keep the rest of a write that blocks, and its lock, until the exit.

    :raises OSError: it cannot be written.
    """
    rest = memoryview(text.encode("utf-8", "backslashreplace"))
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()


def _to_syslog(prefix: str, settings: Settings, worker: int) -> LogOutput:
    syslog.openlog(prefix)

    def write(text: str, event: LogEvent) -> None:
        level = event.get("log_level", LogLevel.info)
        for line in text.splitlines():
            syslog.syslog(_PRIORITIES[level.name], line)

    return _output(write, settings, text_without_time, worker)


def _to_file(name: str, settings: Settings, worker: int) -> LogOutput:
    try:
        file = LogFile.fromFullPath(name)
    except OSError as error:
        raise OperatorError(
            f"the log {name!r} cannot be written: {error.strerror}; twistd --logfile must name a "
            "file in a folder that this user may write to"
        ) from error

    output = _output(lambda line, _: file.write(line), settings, text_line, worker)
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda *_: output.writer.submit(file.rotate))
    return output
