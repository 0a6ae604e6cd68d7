"""Pushes from senders that wait for an answer.

Owns: the outcome of each push, and how long pushes wait while the sources pause.
Must not import: Autobahn, ZeroMQ, the other edges.

ZeroMQ's high-water marks make its senders wait. Here the push itself waits, so that HTTP cannot
bypass a pause that applies to all sources.
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
from wampush.edges.push_excerpts import excerpt
from wampush.errors import InputRefused, PushRefused, Refusal

#: Seconds that a push may wait for the end of a pause.
MAX_WAIT: Final = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class _HeldPush:
    """A push that waits for the end of a pause.

    :param publication: what it asks for.
    :param parts: as it came, for refusals.
    :param origin: who sent it, for refusals.
    :param done: fires with the number of receivers.
    :param timer: ends the waiting.
    """

    publication: Publication
    parts: Sequence[bytes]
    origin: str
    done: Deferred[int]
    timer: Any


class AcknowledgedPushes:
    """Publishes the pushes of one source and reports the outcome of each to its sender.

    :param source: under which the ledger counts them.
    :param ingest: turns pushes into publications.
    :param broker: publishes them.
    :param backpressure: says when to pause.
    :param call_later: the reactor's ``callLater``.
    """

    def __init__(
        self,
        source: Source,
        *,
        ingest: Ingest,
        broker: Broker,
        backpressure: Backpressure,
        call_later: Callable[..., Any],
    ) -> None:
        self._source = source
        self._ingest = ingest
        self._broker = broker
        self._backpressure = backpressure
        self._call_later = call_later
        self._held: deque[_HeldPush] = deque()
        self._stopping = False
        backpressure.call_on_release(self._on_release)

    def publish(self, parts: Sequence[bytes], origin: str) -> Deferred[int]:
        """Publish one push, at once unless the sources pause.

        :param parts: as of a ZeroMQ message.
        :param origin: who sent it, for refusals.
        :returns: fires with the number of receivers; fails with PushRefused.
        """
        try:
            publication = self._publication(parts)
            if not self._held and not self._backpressure.paused:
                return succeed(self._publish_now(publication))
        except PushRefused as error:
            self.refuse(error, origin, parts)
            return fail(error)
        # The push stays valid when its sender disconnects meanwhile: all of it was received.
        done: Deferred[int] = Deferred()
        timer = self._call_later(MAX_WAIT, self._refuse_late_push)
        self._held.append(_HeldPush(publication, parts, origin, done, timer))
        return done

    def refuse(self, error: InputRefused, origin: str, parts: Sequence[bytes]) -> None:
        """Count a push that is refused.

        :param error: why.
        :param origin: who sent it.
        :param parts: as it came; only the beginning is kept.
        """
        self._broker.ledger.refuse(self._source, origin, error, excerpt(parts))

    def stop(self) -> None:
        """Refuse all pushes that wait or are still to come, because the process ends."""
        self._stopping = True
        while self._held:
            self._refuse_first(PushRefused(Refusal.STOPPING))

    def _publication(self, parts: Sequence[bytes]) -> Publication:
        if self._stopping:
            raise PushRefused(Refusal.STOPPING)
        return self._ingest.publication(parts)

    def _publish_now(self, publication: Publication) -> int:
        return self._broker.push(self._source, publication)

    def _on_release(self) -> None:
        # In a turn of its own: the pause may have ended in the middle of a flush.
        if self._held:
            self._call_later(0, self._publish_held)

    def _publish_held(self) -> None:
        while self._held and not self._backpressure.paused:
            first = self._held[0]
            try:
                receivers = self._publish_now(first.publication)
            except PushRefused as error:
                self._refuse_first(error)
            else:
                self._held.popleft()
                first.timer.cancel()
                first.done.callback(receivers)

    def _refuse_late_push(self) -> None:
        # All wait equally long, so the push whose time is up is the first.
        self._refuse_first(PushRefused(Refusal.CLIENTS_BEHIND))

    def _refuse_first(self, error: PushRefused) -> None:
        first = self._held.popleft()
        if first.timer.active():
            first.timer.cancel()
        self.refuse(error, first.origin, first.parts)
        first.done.errback(error)
