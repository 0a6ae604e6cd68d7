"""What present sessions get when their node reads a topic anew.

Owns: the events and values that they get, and the notice that some are missing.
Must not import: Twisted, the edges.

A hole that cannot be filled is never silent. Sessions that see positions notice it by the next
offset, event streams get a notice, and all get the present values, so that a page is right again.
"""

from __future__ import annotations

from collections.abc import Iterable

from wampush.broker.history.gaps import GapReplays
from wampush.broker.history.replays import Replays
from wampush.broker.ledger import Ledger
from wampush.broker.mirrors.mirror import Mirror, Reload
from wampush.broker.publication import Position
from wampush.broker.subscriber import Subscriber
from wampush.excerpts import shown
from wampush.log_limit import LogLimiter


class Announcements:
    """Brings sessions up to date.

    :param replays: queue stored events.
    :param gaps: know what sessions have received; None where no topic needs that.
    :param ledger: has the clock and the logger.
    """

    def __init__(self, replays: Replays, gaps: GapReplays | None, ledger: Ledger) -> None:
        self._replays = replays
        self._gaps = gaps
        self._ledger = ledger
        self._limiter = LogLimiter(ledger.time)
        #: Holes that could not be filled.
        self.holes = 0

    def welcome(self, mirror: Mirror) -> None:
        """Queue for new subscribers what the topic keeps for them."""
        newcomers = list(mirror.newcomers)
        mirror.newcomers.clear()
        if newcomers:
            self._replays.fanout.end_batch()
        source = self._replays if self._gaps is None else self._gaps
        for subscriber in newcomers:
            source.on_subscribe(subscriber, mirror.topic)

    def bring_up_to_date(
        self, mirror: Mirror, reload: Reload, subscribers: Iterable[Subscriber]
    ) -> None:
        """Queue for present subscribers what is new to them, and values if something is missing.

        :param mirror: of the topic; what was read is in the history.
        :param reload: what was read, and what of it is new.
        :param subscribers: those that have got what was kept before.
        """
        topic, known = mirror.topic, mirror.known
        if known is None:
            return
        self._replays.fanout.end_batch()
        log = self._replays.history.log(topic)
        first = known.position.offset + 1 if log is None or not log.events else log.events[0].offset
        new_after = reload.new_after
        # What is gone at the store as well is missing, whatever is left after it.
        is_complete = reload.is_lossless and new_after is not None and first <= new_after + 1
        start = known.position.offset if new_after is None else max(new_after, first - 1)
        since = Position(known.position.epoch, min(start, known.position.offset))
        rule, present = mirror.rule, list(subscribers)
        sends_values = not is_complete and (rule.last or bool(rule.last_by))
        # Where one event is kept, it is the value.
        sends_events = since.offset < known.position.offset and not (
            sends_values and rule.events == 1
        )
        for subscriber in present:
            if is_complete:
                if _reads_on(subscriber, topic, since.epoch):
                    continue
            else:
                subscriber.outbox.end_catch_up(topic)
                self._notify(subscriber, topic)
            if sends_events:
                self._replays.recover(subscriber, topic, since)
            if sends_values:
                # After the events, so that the page ends with the present values.
                self._replays.on_subscribe(subscriber, topic)
        if not is_complete:
            self._report(topic, len(present))

    def _notify(self, subscriber: Subscriber, topic: str) -> None:
        if self._gaps is not None:
            self._gaps.on_drop(subscriber, topic)
        if subscriber.peer is not None:
            subscriber.peer.on_gap(topic)

    def _report(self, topic: str, subscribers: int) -> None:
        self.holes += 1
        suffix = self._limiter.suffix()
        if suffix is not None:
            self._ledger.warn(
                "events of topic {topic} are lost, because Redis has lost them or keeps too few; "
                "{subscribers} subscribers of this node were sent what it keeps now{suffix}",
                topic=shown(topic),
                subscribers=subscribers,
                suffix=suffix,
            )


def _reads_on(subscriber: Subscriber, topic: str, epoch: str) -> bool:
    """Have a client that is behind on a topic read on from where it is, in the present epoch.

    :returns: whether it is behind; then it gets what is new when it is its turn.
    """
    catch_up = subscriber.outbox.catch_up
    if catch_up is None or topic not in catch_up:
        return False
    catch_up.go_on_in(topic, epoch)
    return True
