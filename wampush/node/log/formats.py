"""The forms of a line in the log.

Owns: plain text as Twisted writes it, and one JSON object per line.
Must not import: the parts of a node.
"""

from __future__ import annotations

import json
from typing import Final

from twisted.logger import (
    LogEvent,
    formatEvent,
    formatEventAsClassicLogText,
    formatTime,
)

from wampush.excerpts import printable_lines

#: What Twisted adds to events for old observers; the JSON has it in keys of its own.
_LEGACY: Final = frozenset(("format", "isError", "message", "system", "time"))


def text_line(event: LogEvent, worker: int = 0) -> str:
    """Return ``TIME [NAMESPACE#LEVEL] MESSAGE`` with a line break, or "" for an empty event.

    :param worker: the number of the worker, which comes before the message; 0 where there is one.

    Further lines of a message, such as of a traceback, are indented. Control characters, which a
    terminal would obey, are escaped.
    """
    line = formatEventAsClassicLogText(event, formatTime=formatTime)
    # Without the last line break, most lines are seen to be printable at once.
    return printable_lines(_about(worker, line.removesuffix("\n"))) + "\n" if line else ""


def text_without_time(event: LogEvent, worker: int = 0) -> str:
    """Return the line without the time and the line break, for a log that adds its own.

    :param worker: see :func:`text_line`.
    """
    line = formatEventAsClassicLogText(event, formatTime=lambda _: "-") or ""
    return printable_lines(_about(worker, line.removeprefix("-").strip("\n").lstrip()))


def _about(worker: int, line: str) -> str:
    """Insert the worker after the brackets of a line."""
    if not worker:
        return line
    head, bracket, message = line.partition("] ")
    return f"{head}{bracket}worker {worker}: {message}" if bracket else line


def json_line(event: LogEvent, worker: int = 0) -> str:
    """Return ``{"time", "level", "logger", "message", "fields"}`` with a line break.

    ``fields`` are the values in the message that are numbers, strings, booleans or null; others are
    in the message only. A failure adds ``traceback``. Nothing in it is not ASCII.

    :param worker: the number of the worker, which is ``worker`` then; 0 where there is one.
    """
    level = event.get("log_level")
    failure = event.get("log_failure")
    line: dict[str, object] = {
        "time": formatTime(event.get("log_time")),
        "level": "info" if level is None else level.name,
        "logger": event.get("log_namespace", "-"),
    }
    if worker:
        line["worker"] = worker
    line["message"] = formatEvent(event)
    fields = {
        name: value
        for name, value in event.items()
        if isinstance(value, str | int | float | None)
        and not name.startswith("log_")
        and name not in _LEGACY
    }
    if fields:
        line["fields"] = fields
    if failure is not None:
        line["traceback"] = failure.getTraceback()
    return f"{json.dumps(line)}\n"
