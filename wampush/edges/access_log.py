"""The access log: a line for each ended connection and each HTTP request.

Owns: what a line has, and when lines are written.
Must not import: the edges, whose connections these are.

When ten thousand clients are lost at once, pushes to others come first: what is to be logged waits,
and each reactor turn writes lines for a millisecond.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from twisted.logger import Logger

#: Of the log lines.
NAMESPACE: Final = "wampush.access"
#: Seconds of a turn in which lines are written.
TURN_SECONDS: Final = 0.001
#: Lines that may wait to be written; further ones are counted.
MOST_WAITING: Final = 50_000
#: Characters of the longest path.
_PATH: Final = 200

_log = Logger(namespace=NAMESPACE)


@dataclass(slots=True)
class AccessRecord:
    """What is known of a connection to the WebSocket port, or of an HTTP request.

    :param began: seconds of a clock that never goes back, the same one for all processes.
    :param address: of the client.
    :param request: what the client asked for: a method and a path; "" while that is not known.
    :param user: None for nobody.
    :param session: the id of the session; "" for none.
    :param received: bytes.
    :param sent: bytes handed to the system.
    """

    began: float
    address: str
    request: str = ""
    user: str | int | None = None
    session: str = ""
    received: int = 0
    sent: int = 0

    def on_request(self, method: str, target: str) -> None:
        """Note what the client asks for.

        :param target: path and query as sent; queries may hold tokens, and are left out.
        """
        self.request = f"{method} {target.partition('?')[0][:_PATH]}"

    def on_sent(self, size: int) -> None:
        """Count bytes."""
        self.sent += size


class AccessLog:
    """Writes lines in turns that follow.

    :param call_later: calls a function after some seconds.
    :param now: seconds of a clock that never goes back.
    """

    def __init__(
        self, call_later: Callable[..., Any], now: Callable[[], float] = monotonic
    ) -> None:
        self._call_later = call_later
        self._now = now
        self._waiting: deque[tuple[AccessRecord, str, float]] = deque()
        self._left_out = 0
        self._is_scheduled = False

    def begin(self, address: str) -> AccessRecord:
        """Return the record of a connection or request that begins.

        :param address: of the client, as far as it is known.
        """
        return AccessRecord(self._now(), address)

    def end(self, record: AccessRecord, reason: str) -> None:
        """Log the end; the record does not change from now on.

        :param reason: the code of the end, or the status of the response.
        """
        if len(self._waiting) >= MOST_WAITING:
            self._left_out += 1
            return
        self._waiting.append((record, reason, self._now() - record.began))
        self._schedule()

    def flush(self) -> None:
        """Write everything that waits; for the end of the process."""
        while self._waiting:
            self._write_next()
        self._report_left_out()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_later(0, self._write)

    def _write(self) -> None:
        self._is_scheduled = False
        until = self._now() + TURN_SECONDS
        while self._waiting:
            self._write_next()
            if self._now() >= until:
                break
        if self._waiting:
            self._schedule()
        else:
            self._report_left_out()

    def _write_next(self) -> None:
        record, reason, seconds = self._waiting.popleft()
        request, seconds = record.request or "no request", round(seconds, 3)
        fields: dict[str, object] = {
            "address": record.address,
            "request": request,
            "reason": reason,
            "seconds": seconds,
            "received": record.received,
            "sent": record.sent,
        }
        message = (
            f"{record.address}: {request}: {reason} after {seconds} s, {record.received} bytes "
            f"received, {record.sent} sent"
        )
        if record.user is not None:
            message += f", user {record.user}"
            fields["user"] = record.user
        if record.session:
            message += f", session {record.session}"
            fields["session"] = record.session
        # Twisted would take longer to insert the fields than for all the rest.
        _log.info(message.replace("{", "{{").replace("}", "}}"), **fields)

    def _report_left_out(self) -> None:
        count, self._left_out = self._left_out, 0
        if count:
            _log.warn(
                "{count} lines of the access log were left out, because {most} were waiting",
                count=count,
                most=MOST_WAITING,
            )
