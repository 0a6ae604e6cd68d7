"""Pushes that come one at a time, from senders that wait for an answer.

Owns: what becomes of each of them, and the waiting while the sources of pushes pause.
Must not import: Autobahn, ZeroMQ, the other edges.

ZeroMQ's senders wait by its high-water marks; here a push waits itself, so that HTTP can not pass
by a pause which all others keep to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, succeed

from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.errors import InputRefused, PushRefused, Refusal

#: Seconds that a push may wait for the end of a pause.
PATIENCE: Final = 20.0
_SHOWN_BYTES: Final = 200
_SHOWN_PARTS: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    publication: Publication
    parts: Sequence[bytes]
    origin: str
    done: Deferred[int]
    timer: Any


class AcknowledgedPushes:
    """Publishes pushes of one source, and tells each sender how it went.

    :param source: under which the ledger counts them.
    :param ingest: makes publications of pushes.
    :param broker: publishes them.
    :param pressure: says when to pause.
    :param call_later: calls a function after so many seconds.
    """

    def __init__(
        self,
        source: Source,
        ingest: Ingest,
        broker: Broker,
        pressure: Backpressure,
        call_later: Callable[..., Any],
    ) -> None:
        self._source = source
        self._ingest = ingest
        self._broker = broker
        self._pressure = pressure
        self._call_later = call_later
        self._waiting: deque[_Waiting] = deque()
        self._stopping = False
        pressure.on_release(self._released)

    def publish(self, parts: Sequence[bytes], origin: str) -> Deferred[int]:
        """Publish one push; at once, unless the sources pause.

        :param parts: as of a ZeroMQ message.
        :param origin: who sent it, for refusals.
        :returns: fires with the number of receivers; fails with PushRefused.
        """
        try:
            publication = self._publication(parts)
        except PushRefused as error:
            self.refuse(error, origin, parts)
            return fail(error)
        if not self._waiting and not self._pressure.paused:
            return succeed(self._now(publication))
        # A sender that goes away meanwhile takes nothing back: it has sent the whole push.
        done: Deferred[int] = Deferred()
        timer = self._call_later(PATIENCE, self._give_up)
        self._waiting.append(_Waiting(publication, parts, origin, done, timer))
        return done

    def refuse(self, error: InputRefused, origin: str, parts: Sequence[bytes]) -> None:
        """Count a push that is refused."""
        raw = b"|".join(part[:_SHOWN_BYTES] for part in parts[:_SHOWN_PARTS])
        self._broker.ledger.refuse(self._source, origin, error, raw)

    def stop(self) -> None:
        """Refuse whatever waits or is still to come; for the end of the process."""
        self._stopping = True
        while self._waiting:
            self._refuse_first(PushRefused(Refusal.STOPPING))

    def _publication(self, parts: Sequence[bytes]) -> Publication:
        if self._stopping:
            raise PushRefused(Refusal.STOPPING)
        return self._ingest.publication(parts)

    def _now(self, publication: Publication) -> int:
        receivers = self._broker.publish(publication)
        self._broker.ledger.accept(self._source)
        return receivers

    def _released(self) -> None:
        # Not now: whoever ended the pause may be in the middle of sending.
        if self._waiting:
            self._call_later(0, self._go_on)

    def _go_on(self) -> None:
        while self._waiting and not self._pressure.paused:
            first = self._waiting.popleft()
            first.timer.cancel()
            first.done.callback(self._now(first.publication))

    def _give_up(self) -> None:
        # Each waits equally long, so the one whose time is up is the first.
        self._refuse_first(PushRefused(Refusal.CLIENTS_BEHIND))

    def _refuse_first(self, error: PushRefused) -> None:
        first = self._waiting.popleft()
        if first.timer.active():
            first.timer.cancel()
        self.refuse(error, first.origin, first.parts)
        first.done.errback(error)
