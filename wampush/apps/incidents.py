"""Log lines about application code that raises or is late.

Owns: incident numbers, tracebacks, and the rate of these lines.
Must not import: the edges, the broker.
"""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Callable
from time import monotonic
from typing import Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from wampush.excerpts import printable, printable_lines
from wampush.log_limit import LogLimiter

_log = Logger(namespace="wampush.apps")

_MAX_FRAMES: Final = 100
#: What asyncio raises where its event loop does not run.
_NEEDS_ASYNCIO: Final = frozenset(("no running event loop", "await wasn't used with future"))
#: Of a traceback; its end says most.
_MAX_CHARACTERS: Final = 16_000


class Incidents:
    """Errors in application code, logged under numbers that clients may see.

    Clients never see the errors themselves. A client can make the same line of code fail again and
    again, so all failures of one line within a second are one incident: they have the number of the
    first, which is logged with its traceback.

    :param now: seconds of a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._limiter = LogLimiter(now)

    def report(self, action: str, failure: Failure, code: str = "", **about: str) -> str:
        """Log an error.

        :param action: what the code was called for, and for whom.
        :param code: the name of the code.
        :param about: further fields of the log line, such as ``session`` and ``address``.
        :returns: the number of the incident.
        """
        kind = f"{code} {type(failure.value).__qualname__} {_place(failure)}"
        incident = secrets.token_hex(4)
        suffix = self._limiter.suffix(kind, incident)
        if suffix is None:
            return self._limiter.reference(kind)
        _log.error(
            "incident {incident}: {action}{suffix}\n{traceback}",
            incident=incident,
            action=printable(action),
            suffix=suffix,
            # The texts of errors often quote what a client has sent.
            traceback=printable_lines(_traceback(failure) + _hint(failure.value)),
            code=code,
            **about,
        )
        return incident

    def warn(self, kind: str, message: str, **fields: object) -> None:
        """Log a message, at most one of its kind per second.

        :param message: a format string for the fields.
        """
        suffix = self._limiter.suffix(kind)
        if suffix is not None:
            _log.warn(f"{message}{{suffix}}", suffix=suffix, **fields)


def _place(failure: Failure) -> str:
    """Return the file and line where it was raised."""
    last = None if failure.value is None else failure.value.__traceback__
    if last is None:
        return "unknown line"
    while last.tb_next is not None:
        last = last.tb_next
    return f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}"


def _hint(error: BaseException | None) -> str:
    """Return a further line about an error whose text alone does not help."""
    text = str(error) if isinstance(error, RuntimeError) else ""
    if type(error).__name__ == "AsyncLibraryNotFoundError" or text in _NEEDS_ASYNCIO:
        return (
            "\nhint: code that uses asyncio needs a handler of an app with asyncio=True, such as "
            '@app.procedure("NAME", asyncio=True)'
        )
    if text.startswith("Task got bad yield: <Deferred"):
        return "\nhint: a handler with asyncio=True cannot await a Deferred; remove asyncio=True"
    return ""


def _traceback(failure: Failure) -> str:
    """Return the traceback with the causes of the error, as Python prints it, cut to a limit."""
    # The last frames of a deep recursion say most.
    lines = traceback.format_exception(failure.value, limit=-_MAX_FRAMES)
    text = "".join(lines).rstrip()
    return text if len(text) <= _MAX_CHARACTERS else f"…{text[-_MAX_CHARACTERS:]}"
