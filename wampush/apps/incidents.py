"""What is logged when application code raises, and when it is late.

Owns: incident numbers, and how often one place in the code is worth a traceback or a line.
Must not import: the edges, the broker.
"""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger(namespace="wampush")

SECONDS_BETWEEN_TRACEBACKS: Final = 1.0
_MOST_PLACES: Final = 1000
_MOST_FRAMES: Final = 100
#: Of a traceback; its end tells most.
_MOST_CHARACTERS: Final = 16_000


@dataclass(slots=True)
class _Shown:
    """What was logged last of one place.

    :param more: how often it was met since.
    """

    at: float
    incident: str
    more: int = 0


class Incidents:
    """Logs errors under numbers that may be told to clients; the errors themselves may not.

    A client can make the same place of the code fail again and again. So within a second all
    failures of one place are one incident: the number of the first, which stands in the log with
    its traceback.

    :param now: seconds, of any clock that does not go back.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._shown: dict[str, _Shown] = {}

    def report(self, doing: str, failure: Failure, code: str = "") -> str:
        """Log an error.

        :param doing: what the code was asked to do, and for whom.
        :param code: which code that is.
        :returns: the number of the incident, which stands in the log.
        """
        shown, more = self._due(f"{code} {type(failure.value).__qualname__} {_place(failure)}")
        if shown is None:
            return more
        _log.error(
            "incident {incident}: {doing}{more}\n{traceback}",
            incident=shown.incident,
            doing=doing,
            more=more,
            traceback=_traceback(failure),
        )
        return shown.incident

    def say(self, what: str, line: str) -> None:
        """Log a line, at most one a second of its kind.

        :param what: the kind.
        """
        shown, more = self._due(what)
        if shown is not None:
            _log.warn("{line}{more}", line=line, more=more)

    def _due(self, key: str) -> tuple[_Shown | None, str]:
        """Whether to log now, with the words about those that were not.

        :returns: None, and the number of the last incident, when it is too early.
        """
        now = self._now()
        last = self._shown.pop(key, None)
        if last is not None and now - last.at < SECONDS_BETWEEN_TRACEBACKS:
            last.more += 1
            self._shown[key] = last
            return None, last.incident
        while len(self._shown) >= _MOST_PLACES:
            # The one that was met least recently.
            del self._shown[next(iter(self._shown))]
        shown = self._shown[key] = _Shown(now, secrets.token_hex(4))
        return shown, f" ({last.more} more like it had no line)" if last and last.more else ""


def _place(failure: Failure) -> str:
    """File and line where it was raised."""
    last = None if failure.value is None else failure.value.__traceback__
    if last is None:
        return "unknown place"
    while last.tb_next is not None:
        last = last.tb_next
    return f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}"


def _traceback(failure: Failure) -> str:
    """The traceback with the causes of the error, as Python writes it; of bounded length."""
    # The last frames of a deep recursion tell most.
    lines = traceback.format_exception(failure.value, limit=-_MOST_FRAMES)
    text = "".join(lines).rstrip()
    return text if len(text) <= _MOST_CHARACTERS else f"…{text[-_MOST_CHARACTERS:]}"
