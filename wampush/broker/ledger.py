"""What became of every input.

Owns: the counters, the last refusals, and how often a refusal is worth a log line.
Must not import: Twisted, the edges. The clock is handed in.

Every input ends in exactly one outcome: ``accepted`` or refused with a reason of the table in
``errors``. So for each source ``received == accepted + sum(refused)`` at any moment between inputs.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, unique
from functools import partial
from typing import Final

from wampush.errors import CloseReason, InputRefused, Refusal, printable
from wampush.log_limit import LogLimiter

REMEMBERED_REFUSALS: Final = 100
SHOWN_BYTES: Final = 200
# A JSON Web Token begins with the Base64 of an object's brace.
_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,}[A-Za-z0-9_.=-]*")
_TOKEN_BYTES: Final = re.compile(_TOKEN.pattern.encode())


@unique
class Source(Enum):
    """Where an input came from."""

    ZEROMQ = "zeromq"
    HTTP = "http"
    CLIENT = "client"
    COMPONENT = "component"
    CONNECTION = "backend connection"
    REDIS = "redis"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class RefusedInput:
    """One refused input, kept for inspection.

    :param time: when, in seconds of the clock handed in.
    :param source: where it came from.
    :param origin: the ZeroMQ address, the Redis and its channel, the session id, or the address
        of who wanted to connect.
    :param refusal: why.
    :param detail: what exactly was found.
    :param excerpt: the first 200 bytes.
    """

    time: float
    source: Source
    origin: str
    refusal: Refusal
    detail: str
    excerpt: bytes

    def as_json(self) -> Mapping[str, object]:
        """The refusal for inspection; bytes that are no UTF-8 are shown as escapes."""
        return {
            "time": self.time,
            "source": self.source.value,
            "origin": self.origin,
            "reason": self.refusal.code,
            "sentence": self.refusal.sentence,
            "detail": self.detail,
            "excerpt": self.excerpt.decode("utf-8", "backslashreplace"),
        }

    def line(self) -> str:
        """The refusal for a log."""
        detail = f" {self.detail}" if self.detail else ""
        excerpt = printable(self.excerpt.decode("utf-8", "backslashreplace"))
        began = f" It began with: {excerpt}" if excerpt else ""
        return (
            f"refused {self.source.value} from {self.origin}: {self.refusal.code}: "
            f"{self.refusal.sentence}{detail}{began}"
        )


def _line_of_end(peer: str, reason: CloseReason, detail: str) -> str:
    return f"{peer}: {reason.code}: {reason.sentence} {detail}".rstrip()


class Ledger:
    """Counts inputs and their outcomes, connections and their ends.

    :param now: the time in seconds, for the rate of log lines and the times of refusals.
    :param report: gets a line for the log, at most one a second for each reason.
    """

    def __init__(self, now: Callable[[], float], report: Callable[[str], None]) -> None:
        self._now = now
        self._report = report
        self.received: Counter[Source] = Counter()
        self.accepted: Counter[Source] = Counter()
        self.refused: Counter[tuple[Source, Refusal]] = Counter()
        self.ended: Counter[CloseReason] = Counter()
        self.dropped_events: Counter[str] = Counter()
        self.recent: deque[RefusedInput] = deque(maxlen=REMEMBERED_REFUSALS)
        self._log_limiter = LogLimiter(now)

    def accept(self, source: Source, count: int = 1) -> None:
        """Inputs were carried out.

        :param count: how many; sources that read in batches count them at once.
        """
        self.received[source] += count
        self.accepted[source] += count

    def refuse(self, source: Source, origin: str, error: InputRefused, raw: bytes) -> None:
        """An input was refused.

        :param origin: the ZeroMQ address or the session id.
        :param error: why.
        :param raw: the input; only its first 200 bytes are kept, and of them no signed token.
        """
        self.received[source] += 1
        self.refused[source, error.refusal] += 1
        now = self._now()
        detail = _TOKEN.sub("[token]", error.detail)
        excerpt = _TOKEN_BYTES.sub(b"[token]", bytes(raw[:SHOWN_BYTES]))
        refused = RefusedInput(now, source, origin, error.refusal, detail, excerpt)
        self.recent.append(refused)
        self._say(error.refusal, refused.line)

    def end(self, reason: CloseReason, peer: str, detail: str = "") -> None:
        """A connection ended, or its handshake was refused.

        :param peer: the client's address.
        :param detail: what exactly was found.
        """
        self.ended[reason] += 1
        if reason.value.is_logged:
            self._say(reason, partial(_line_of_end, peer, reason, detail))

    def drop_event(self, policy: str, count: int = 1) -> None:
        """Events were left out for a slow client, as its topic's policy says."""
        self.dropped_events[policy] += count

    def refusals(self) -> Mapping[str, int]:
        """How often each reason was met, by its code."""
        totals: Counter[str] = Counter()
        for (_, refusal), count in self.refused.items():
            totals[refusal.code] += count
        return totals

    def ends(self) -> Mapping[str, int]:
        """How often connections ended for each reason, by its code."""
        return {reason.code: count for reason, count in self.ended.items()}

    def _say(self, reason: Refusal | CloseReason, line: Callable[[], str]) -> None:
        more = self._log_limiter.suffix(reason)
        if more is not None:
            self._report(line() + more)
