"""The outcome of every input, and the end of every connection.

Owns: the counters, the last refusals, and how often a refusal is logged.
Must not import: Twisted, the edges. Clock and logger are handed in.

Every input has exactly one outcome: it is accepted, or refused with a reason from ``errors``. For
each source, what was received is what was accepted and what was refused.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, unique
from types import MappingProxyType
from typing import Final, Protocol

from wampush.errors import CloseReason, InputRefused, Refusal
from wampush.excerpts import printable
from wampush.log_limit import LogLimiter

REMEMBERED_REFUSALS: Final = 100
EXCERPT_BYTES: Final = 200
# A JSON Web Token begins with the Base64 of an object's brace.
_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,}[A-Za-z0-9_.=-]*")
_TOKEN_BYTES: Final = re.compile(_TOKEN.pattern.encode())


class Report(Protocol):
    """Logs a warning."""

    def __call__(self, message: str, **fields: object) -> None:
        """Log a message.

        :param message: contains the names of the fields in braces, as ``str.format`` takes them.
        """


@unique
class Source(Enum):
    """The origin of an input."""

    ZEROMQ = "zeromq"
    HTTP = "http"
    CLIENT = "client"
    COMPONENT = "component"
    CONNECTION = "backend connection"
    REDIS = "redis"
    WEBHOOK = "webhook"
    BACKPLANE = "backplane"

    # Each input is counted under its source; Enum's own hash is a call in Python.
    __hash__ = object.__hash__


#: What one input of each source is called in the log.
INPUT_NAMES: Final[Mapping[Source, str]] = MappingProxyType(
    {
        Source.ZEROMQ: "push over ZeroMQ",
        Source.HTTP: "HTTP request",
        Source.CLIENT: "client message",
        Source.COMPONENT: "message to a component",
        Source.CONNECTION: "backend connection",
        Source.REDIS: "Redis message",
        Source.WEBHOOK: "push in a webhook response",
        Source.BACKPLANE: "message of another node",
    }
)

#: The origins of pushes.
PUSH_SOURCES: Final = (Source.ZEROMQ, Source.HTTP, Source.REDIS, Source.WEBHOOK)


@dataclass(frozen=True, slots=True)
class RefusedInput:
    """One refused input, kept for inspection.

    :param time: when, in seconds of the ledger's clock.
    :param source: the kind of its origin.
    :param origin: the ZeroMQ address, the Redis server and channel, the session id, or the address
        of a backend that tried to connect.
    :param refusal: the reason.
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
        """Return the refusal for inspection; bytes that are not UTF-8 become escapes."""
        return {
            "time": self.time,
            "source": self.source.value,
            "origin": self.origin,
            "reason": self.refusal.code,
            "sentence": self.refusal.sentence,
            "detail": self.detail,
            "excerpt": self.excerpt.decode("utf-8", "backslashreplace"),
        }


@dataclass(frozen=True, slots=True)
class RefusedHandshake:
    """One refused handshake, kept for inspection.

    :param time: when, in seconds of the ledger's clock.
    :param peer: the client's address.
    :param reason: the reason.
    :param detail: what exactly was found.
    """

    time: float
    peer: str
    reason: CloseReason
    detail: str

    def as_json(self) -> Mapping[str, object]:
        """Return the refusal for inspection, with the keys of refused inputs."""
        return {
            "time": self.time,
            "source": "handshake",
            "origin": self.peer,
            "reason": self.reason.code,
            "sentence": self.reason.sentence,
            "detail": self.detail,
            "excerpt": "",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerState:
    """What a ledger has counted, as JSON values; see :class:`Ledger`."""

    accepted: Mapping[str, int] = field(default_factory=dict)
    refused: Sequence[tuple[str, str, int]] = ()
    ended: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    unheard: Mapping[str, int] = field(default_factory=dict)
    connections_opened: int = 0
    sessions_opened: int = 0
    deliveries: int = 0
    delivered_bytes: int = 0


class Ledger:
    """Counts inputs and their outcomes, connections and their ends.

    :param now: the time in seconds, for the rate of log lines and the times of refusals.
    :param report: logs a refusal or an end; called at most once per second for each reason.
    """

    def __init__(self, now: Callable[[], float], report: Report) -> None:
        self._now = now
        self._report = report
        # Counted for each push; increasing an item of a Counter takes three times as long.
        self.accepted: defaultdict[Source, int] = defaultdict(int)
        self.refused: Counter[tuple[Source, Refusal]] = Counter()
        self.ended: Counter[CloseReason] = Counter()
        self.dropped_events: Counter[str] = Counter()
        #: Pushes that no session received.
        self.unheard: defaultdict[Source, int] = defaultdict(int)
        #: TCP connections to the WebSocket listeners since the start.
        self.connections_opened = 0
        #: WAMP sessions since the start.
        self.sessions_opened = 0
        #: Events times receivers, and the bytes of their topics and payloads; counted per batch.
        self.deliveries = 0
        self.delivered_bytes = 0
        self.recent: deque[RefusedInput] = deque(maxlen=REMEMBERED_REFUSALS)
        #: Apart, so that clients that try again and again do not displace the refused inputs.
        self.recent_handshakes: deque[RefusedHandshake] = deque(maxlen=REMEMBERED_REFUSALS)
        self._log_limiter = LogLimiter(now)

    @property
    def received(self) -> Mapping[Source, int]:
        """How many inputs of each source there were; added up at each call."""
        received = Counter(self.accepted)
        for (source, _), count in self.refused.items():
            received[source] += count
        return received

    def accept(self, source: Source) -> None:
        """Count an input that was carried out."""
        self.accepted[source] += 1

    def refuse(
        self, source: Source, origin: str, error: InputRefused, raw: bytes, **about: str
    ) -> None:
        """Count an input that was refused, keep it for inspection, and log it.

        :param origin: see :class:`RefusedInput`.
        :param error: the reason.
        :param raw: the input; only its first 200 bytes are kept, without signed tokens.
        :param about: further fields of the log line, such as ``session``, ``address``, ``topic``
            and ``push_id``; empty ones are left out.
        """
        refusal = error.refusal
        self.refused[source, refusal] += 1
        detail = _TOKEN.sub("[token]", error.detail)
        excerpt = _TOKEN_BYTES.sub(b"[token]", bytes(raw[:EXCERPT_BYTES]))
        refused = RefusedInput(self._now(), source, origin, refusal, detail, excerpt)
        self.recent.append(refused)
        suffix = self._log_limiter.suffix(refusal)
        if suffix is None:
            return
        beginning = printable(excerpt.decode("utf-8", "backslashreplace"))
        message = "refused {input} from {origin}: {reason}: {sentence}"
        message += " {detail}" if detail else ""
        message += " It began with: {beginning}" if beginning else ""
        self._report(
            message + suffix,
            input=INPUT_NAMES[source],
            source=source.value,
            origin=origin,
            reason=refusal.code,
            sentence=refusal.sentence,
            detail=detail,
            beginning=beginning,
            **{
                name: _TOKEN.sub("[token]", value[:EXCERPT_BYTES])
                for name, value in about.items()
                if value
            },
        )

    def end(self, reason: CloseReason, address: str, detail: str = "", session: str = "") -> None:
        """Count a connection that ended or whose handshake was refused; log it if that matters.

        :param address: of the client.
        :param detail: what exactly was found.
        :param session: its id, for the log; "" for none.
        """
        self.ended[reason] += 1
        if reason.refuses_handshake:
            self.recent_handshakes.append(RefusedHandshake(self._now(), address, reason, detail))
        if not reason.value.is_logged:
            return
        suffix = self._log_limiter.suffix(reason)
        if suffix is not None:
            self._report(
                "{address}: {reason}: {sentence}" + (" {detail}" if detail else "") + suffix,
                address=address,
                reason=reason.code,
                sentence=reason.sentence,
                detail=detail,
                **({"session": session} if session else {}),
            )

    # Another process goes on counting.

    def snapshot(self) -> LedgerState:
        """Return what has been counted so far."""
        return LedgerState(
            accepted={source.value: count for source, count in self.accepted.items()},
            refused=[
                (source.value, refusal.code, count)
                for (source, refusal), count in self.refused.items()
            ],
            ended={reason.code: count for reason, count in self.ended.items()},
            dropped=dict(self.dropped_events),
            unheard={source.value: count for source, count in self.unheard.items()},
            connections_opened=self.connections_opened,
            sessions_opened=self.sessions_opened,
            deliveries=self.deliveries,
            delivered_bytes=self.delivered_bytes,
        )

    def resume(self, state: LedgerState) -> None:
        """Go on from what another process has counted, deliveries to the sessions here included."""
        sources = {source.value: source for source in Source}
        refusals = {refusal.code: refusal for refusal in Refusal}
        reasons = {reason.code: reason for reason in CloseReason}
        for name, count in state.accepted.items():
            if name in sources:
                self.accepted[sources[name]] += count
        for name, count in state.unheard.items():
            if name in sources:
                self.unheard[sources[name]] += count
        for name, code, count in state.refused:
            if name in sources and code in refusals:
                self.refused[sources[name], refusals[code]] += count
        for code, count in state.ended.items():
            if code in reasons:
                self.ended[reasons[code]] += count
        self.dropped_events.update(state.dropped)
        self.connections_opened += state.connections_opened
        self.sessions_opened += state.sessions_opened
        self.deliveries = state.deliveries
        self.delivered_bytes = state.delivered_bytes

    def drop_event(self, policy: str, count: int = 1) -> None:
        """Count events that a slow client does not get.

        :param policy: of the topic, see :class:`wampush.choices.SlowClient`.
        """
        self.dropped_events[policy] += count

    def time(self) -> float:
        """Return the time in seconds."""
        return self._now()

    def warn(self, message: str, **fields: object) -> None:
        """Log a message; the caller limits how often."""
        self._report(message, **fields)

    def refusals(self) -> Mapping[str, int]:
        """Return how often each reason was met, by its code."""
        totals: Counter[str] = Counter()
        for (_, refusal), count in self.refused.items():
            totals[refusal.code] += count
        return totals

    def ends(self) -> Mapping[str, int]:
        """Return how often connections ended for each reason, by its code."""
        return {reason.code: count for reason, count in self.ended.items()}
