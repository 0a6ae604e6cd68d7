"""Pushes from senders that wait for an answer.

Owns: the outcome of each push, its repetitions, and how long pushes wait while the sources pause.
Must not import: Autobahn, ZeroMQ, the other edges.

ZeroMQ's high-water marks make its senders wait. Here the push itself waits, so that HTTP cannot
bypass a pause that applies to all sources.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple, cast

from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.python.failure import Failure

from wampush.broker.backplane.contract import Accepted
from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.history.reading import position_as_json
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Source
from wampush.broker.memory_costs import positions_bytes
from wampush.broker.publication import Position, Publication, PushKey
from wampush.broker.push_list import listed_pushes
from wampush.edges.push_excerpts import excerpt
from wampush.edges.push_ids import KnownPush, PushIds, check_id, digest_of
from wampush.errors import InputRefused, PushRefused, Refusal
from wampush.net.turn_budget import TurnBudget

#: Seconds that a push may wait for the end of a pause.
MAX_WAIT: Final = 20.0


class Published(NamedTuple):
    """What became of a push.

    :ivar receivers: how many there are.
    :ivar positions: of its publications, by topic; without topics that have no history.
    :ivar is_repeated: whether it was published before, and not again.
    """

    receivers: int
    positions: Sequence[tuple[str, Position]] = ()
    is_repeated: bool = False

    def as_json(self) -> Mapping[str, object]:
        """Return what its sender learns."""
        answer: dict[str, object] = {"receivers": self.receivers}
        if len(self.positions) == 1:
            answer |= position_as_json(self.positions[0][1])
        elif self.positions:
            answer["positions"] = {
                topic: position_as_json(position) for topic, position in self.positions
            }
        if self.is_repeated:
            answer["repeated"] = True
        return answer


@dataclass(frozen=True, slots=True, eq=False)
class _HeldPush:
    """A push that waits for the end of a pause.

    :param publication: what it asks for.
    :param parts: as it came, for refusals.
    :param origin: who sent it, for refusals.
    :param done: fires when it is published.
    :param timer: ends the waiting.
    :param arrived: when it has arrived, by the clock of the fan-out.
    """

    publication: Publication
    parts: Sequence[bytes]
    origin: str
    done: Deferred[Published]
    timer: Any
    arrived: float


class AcknowledgedPushes:
    """Publishes the pushes of one source and reports the outcome of each to its sender.

    :param source: under which the ledger counts them.
    :param ingest: turns pushes into publications.
    :param broker: publishes them.
    :param backpressure: says when to pause.
    :param clock: for timers and the time (``IReactorTime``).
    """

    def __init__(
        self,
        source: Source,
        *,
        ingest: Ingest,
        broker: Broker,
        backpressure: Backpressure,
        clock: Any,
    ) -> None:
        self._source = source
        self._ingest = ingest
        self._broker = broker
        self._backpressure = backpressure
        self._call_later = clock.callLater
        self._budget = TurnBudget(0, clock.seconds)
        #: The ids that are known.
        self.ids: Final[PushIds[Published]] = PushIds(
            clock.seconds,
            lambda published: published._replace(is_repeated=True),
            lambda published: positions_bytes([topic for topic, _ in published.positions]),
        )
        self._held: deque[_HeldPush] = deque()
        #: Whether a turn that publishes held pushes is to come.
        self._is_scheduled = False
        self._stopping = False
        backpressure.call_on_release(self._on_release)
        backpressure.call_when_ready(self._on_release)

    @property
    def held(self) -> int:
        """The number of pushes that wait for their turn, or for the end of a pause."""
        return len(self._held)

    def publish(
        self, parts: Sequence[bytes], origin: str, push_id: str = ""
    ) -> Deferred[Published]:
        """Publish one push, at once unless the sources pause.

        :param parts: as of a ZeroMQ message.
        :param origin: who sent it, for refusals.
        :param push_id: with which it is published once, however often it is sent; "" for none.
        :returns: fails with PushRefused.
        """
        try:
            check_id(push_id)
            publication = self._publication(parts)
        except PushRefused as error:
            return self._refused(error, origin, parts, push_id=push_id)
        self._begin_turn()
        return self._publish_once(publication, parts, origin, push_id)

    def publish_list(
        self, body: bytes, origin: str, push_id: str = ""
    ) -> Deferred[list[Published | PushRefused]]:
        """Publish a list, as far as the time of this turn goes; the rest follows.

        :param body: as :func:`~wampush.broker.push_list.listed_pushes` reads it.
        :param origin: who sent it, for refusals.
        :param push_id: for elements without an id of their own; "" for none.
        :returns: fires with the outcome of each element; fails with PushRefused, and publishes
            nothing, when one is not valid.
        """
        try:
            self._check_going_on()
            check_id(push_id)
            pushes = listed_pushes(body, self._ingest)
            for each in pushes:
                check_id(each.push_id)
        except PushRefused as error:
            return self._refused(error, origin, [body], push_id=push_id)
        self._begin_turn()
        done = []
        for index, each in enumerate(pushes):
            one_id = each.push_id or (f"{push_id}#{index}" if push_id else "")
            one = self._publish_once(each.publication, each.parts, origin, one_id)
            done.append(one.addErrback(_trapped))
        self._publish_held_soon()
        # A Deferred of its own: when the sender goes away, the pushes go on.
        outcomes: Deferred[list[Published | PushRefused]] = Deferred()
        gatherResults(done).chainDeferred(outcomes)
        return outcomes

    def refuse(
        self, error: InputRefused, origin: str, parts: Sequence[bytes], **about: str
    ) -> None:
        """Count a push that is refused.

        :param error: why.
        :param origin: who sent it.
        :param parts: as it came; only the beginning is kept.
        :param about: ``topic`` and ``push_id`` for the log, as far as they are known.
        """
        self._broker.ledger.refuse(self._source, origin, error, excerpt(parts), **about)

    def known_values(self, push_id: str) -> Sequence[Any] | None:
        """Return what is known of a push with an id, as JSON values; None if that is nothing."""
        known = self.ids.known(push_id)
        if known is None:
            return None
        positions = [(topic, at.epoch, at.offset) for topic, at in known.outcome.positions]
        receivers = known.outcome.receivers
        return push_id, known.digest.hex(), known.seconds, receivers, positions

    def restore_known(self, values: Sequence[Any]) -> None:
        """Take note of a push that another process has published.

        :param values: from :meth:`known_values`; more of them are ignored.
        """
        push_id, digest, seconds, receivers, positions = values[:5]
        places = [(topic, Position(epoch, offset)) for topic, epoch, offset in positions]
        outcome = Published(receivers, places)
        self.ids.restore(push_id, KnownPush(bytes.fromhex(digest), seconds, outcome))

    def stop(self) -> None:
        """Refuse all pushes that wait or are still to come, because the process ends."""
        self._stopping = True
        while self._held:
            self._refuse_first(PushRefused(Refusal.STOPPING))

    def _publication(self, parts: Sequence[bytes]) -> Publication:
        self._check_going_on()
        return self._ingest.publication(parts)

    def _check_going_on(self) -> None:
        if self._stopping:
            raise PushRefused(Refusal.STOPPING)

    def _begin_turn(self) -> None:
        self._budget.begin()
        self._broker.fanout.note_pushes()

    def _publish_once(
        self, publication: Publication, parts: Sequence[bytes], origin: str, push_id: str
    ) -> Deferred[Published]:
        if not push_id:
            return self._publish_or_hold(publication, parts, origin)
        if self._broker.mirrors is not None:
            # The push may be sent again to another node.
            key = PushKey(push_id, digest_of(parts).hex())
            publication = replace(publication, push=key)
        publish = partial(self._publish_or_hold, publication, parts, origin)
        try:
            return self.ids.once(push_id, parts, publish)
        except PushRefused as error:
            topic = publication.topic
            return self._refused(error, origin, parts, topic=topic, push_id=push_id)

    def _publish_or_hold(
        self, publication: Publication, parts: Sequence[bytes], origin: str
    ) -> Deferred[Published]:
        if not self._held and not self._backpressure.paused_for_all and not self._budget.is_late():
            try:
                return self._publish_now(publication)
            except PushRefused as error:
                return self._refused(error, origin, parts, topic=publication.topic)
        # The push stays valid when its sender disconnects meanwhile: all of it was received.
        done: Deferred[Published] = Deferred()
        timer = self._call_later(MAX_WAIT, self._refuse_late_push)
        arrived = self._broker.fanout.push_timer.arrived
        self._held.append(_HeldPush(publication, parts, origin, done, timer, arrived))
        if not self._backpressure.paused_for_all:
            # Only late: a busy machine may have stopped this process just now.
            self._publish_held_soon()
        return done

    def _publish_now(self, publication: Publication) -> Deferred[Published]:
        """Publish one push.

        :returns: fires when it is stored, if it must be; fails with PushRefused, which is counted
            then.
        :raises PushRefused: it is not counted.
        """
        stored: Deferred[Published] = Deferred()
        on_done = partial(self._on_stored, publication, stored)
        receivers = self._broker.push(self._source, publication, on_done)
        return stored if receivers is None else succeed(self._published(publication, receivers))

    def _on_stored(
        self,
        publication: Publication,
        stored: Deferred[Published],
        outcome: int | Accepted | PushRefused,
    ) -> None:
        if isinstance(outcome, PushRefused):
            stored.errback(outcome)
        elif isinstance(outcome, Accepted):
            stored.callback(
                Published(outcome.receivers or 0, outcome.positions, outcome.is_repeated)
            )
        else:
            stored.callback(self._published(publication, outcome))

    def _published(self, publication: Publication, receivers: int) -> Published:
        replays = self._broker.replays
        if replays is None or self._broker.elsewhere is not None:
            return Published(receivers)
        # In the same turn, so that no other publication is in between.
        position = replays.history.position
        topics = (publication.topic, *publication.further_topics)
        known = [(topic, position(topic)) for topic in topics]
        return Published(receivers, [(topic, at) for topic, at in known if at is not None])

    def _refused(
        self, error: PushRefused, origin: str, parts: Sequence[bytes], **about: str
    ) -> Deferred[Any]:
        self.refuse(error, origin, parts, **about)
        return fail(error)

    def _on_release(self) -> None:
        # In a turn of its own: the pause may have ended in the middle of a flush.
        self._publish_held_soon()

    def _publish_held_soon(self) -> None:
        # Once per turn: each call has the time of a whole turn.
        if self._held and not self._is_scheduled:
            self._is_scheduled = True
            self._call_later(0, self._publish_held)

    def _publish_held(self) -> None:
        self._is_scheduled = False
        self._budget.begin()
        while self._held and not self._backpressure.paused_for_all:
            if self._budget.is_late():
                self._publish_held_soon()
                return
            first = self._held[0]
            self._broker.fanout.note_pushes(first.arrived)
            try:
                published = self._publish_now(first.publication)
            except PushRefused as error:
                self._refuse_first(error)
            else:
                self._held.popleft()
                first.timer.cancel()
                published.chainDeferred(first.done)

    def _refuse_late_push(self) -> None:
        # All wait equally long, so the push whose time is up is the first.
        self._refuse_first(PushRefused(Refusal.CLIENTS_BEHIND))

    def _refuse_first(self, error: PushRefused) -> None:
        first = self._held.popleft()
        if first.timer.active():
            first.timer.cancel()
        self.refuse(error, first.origin, first.parts, topic=first.publication.topic)
        first.done.errback(error)


def _trapped(failure: Failure) -> PushRefused:
    failure.trap(PushRefused)
    return cast("PushRefused", failure.value)
