"""The mirrors of a node: its copies of the topics with history that it follows.

Owns: which topics are followed, the rule by which an event is next, late or after a hole, and the
requests that wait for a topic. Must not import: Twisted, the edges. Clock and timers are handed in.

A node follows a topic first and reads it then, so that nothing falls between; live events wait once
per topic meanwhile. After that, the event with the next offset is delivered, an older one is
dropped, and what lies between is read. So nothing depends on the order or the completeness of what
the link brings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from wampush.broker.backplane.interest import Interest
from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.history.rule import HistoryRule
from wampush.broker.ledger import Ledger
from wampush.broker.mirrors.announcements import Announcements
from wampush.broker.mirrors.contract import SharedStore, Top, Unreadable
from wampush.broker.mirrors.idle_topics import IdleTopics
from wampush.broker.mirrors.loading import Loading
from wampush.broker.mirrors.loss import Known
from wampush.broker.mirrors.mirror import Arrival, Mirror, MirrorState, Wait
from wampush.broker.publication import Position, Publication
from wampush.broker.router import Router
from wampush.broker.subscriber import Subscriber
from wampush.clock import Clock
from wampush.excerpts import shown
from wampush.log_limit import LogLimiter

#: Seconds that a request waits for a topic.
PATIENCE: Final = 5.0
#: Seconds until a topic that could not be read is read again.
RETRY: Final = 1.0


class Mirrors:
    """Keeps the mirrors of a node up to date.

    :param store: keeps topics for all nodes.
    :param interest: follows topics, whose live events arrive then.
    :param history: has what mirrors keep; no other part may write to it.
    :param router: delivers events on this node.
    :param announcements: bring sessions up to date.
    :param ledger: has the clock and the logger.
    :param clock: for timers.
    """

    def __init__(
        self,
        store: SharedStore,
        interest: Interest,
        *,
        history: MemoryHistory,
        router: Router,
        announcements: Announcements,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self._store = store
        self._interest = interest
        self._history = history
        #: What topics keep.
        self.rules: Final = history.rules
        self._router = router
        self._announcements = announcements
        self._ledger = ledger
        self._clock = clock
        self._limiter = LogLimiter(ledger.time)
        self._loading = Loading(store, history, self._deliver, self._on_loaded, self._on_unreadable)
        self._mirrors: dict[str, Mirror] = {}
        self._idle = IdleTopics(self._leave, clock)
        #: Events that came twice or late.
        self.dropped = 0
        #: Holes that were filled.
        self.filled = 0

    # What the node needs.

    def rule(self, topic: str) -> HistoryRule | None:
        """Return what is kept of a topic; None where it has no history."""
        return self.rules.of(topic)

    @property
    def topics(self) -> Sequence[str]:
        """The topics that are followed."""
        return tuple(self._mirrors)

    @property
    def loaded(self) -> int:
        """How many of them are loaded."""
        return sum([each.is_loaded for each in self._mirrors.values()])

    @property
    def holes(self) -> int:
        """How many holes could not be filled."""
        return self._announcements.holes

    def known(self, topic: str) -> Known | None:
        """Return what is known of a topic; None where that is nothing yet."""
        mirror = self._mirrors.get(topic)
        return None if mirror is None else mirror.known

    def on_subscribe(self, subscriber: Subscriber, topic: str) -> bool:
        """Follow the topic of a new subscription.

        :returns: whether what the topic keeps can be queued for the session now; if not, it is
            queued as soon as it is known.
        """
        rule = self.rule(topic)
        if rule is None:
            return True
        mirror = self._want(topic, rule)
        if mirror.known is not None:
            # It is brought up to date with all others if the topic is being read anew.
            return True
        mirror.newcomers[subscriber] = None
        return False

    def on_unsubscribe(self, subscriber: Subscriber, topic: str) -> None:
        """Take note of a subscription that has ended."""
        mirror = self._mirrors.get(topic)
        if mirror is not None:
            mirror.newcomers.pop(subscriber, None)
            if not self._router.subscriptions.subscribers(topic):
                self._idle.note(topic)

    def adopt(self) -> None:
        """Go on with the topics that another process has followed, and has sent everything of.

        What it has sent goes up to the positions in the history, so that what has come since is a
        hole like any other one.
        """
        for topic in self._history.topics:
            rule, position = self.rule(topic), self._history.position(topic)
            if topic in self._mirrors or rule is None or position is None:
                continue
            if self._router.subscriptions.subscribers(topic):
                mirror = self._mirrors[topic] = Mirror(topic, rule)
                mirror.known = Known(position, "")
                self._interest.hold(topic, partial(self._on_followed, mirror))
            else:
                # Nobody would bring it up to date.
                self._history.forget(topic)
        for topic in list(self._router.subscriptions.occupied_topics):
            rule = self.rule(topic)
            if rule is not None:
                self._want(topic, rule)

    # Requests that wait.

    def is_ready(self, topic: str, since: Position | None, *, is_newest: bool = False) -> bool:
        """Return whether a request about a topic need not wait.

        :param since: the position that its client knows; None for a client that knows nothing.
        :param is_newest: whether only the newest state will do.
        """
        rule = self.rule(topic)
        if rule is None:
            return True
        mirror = self._want(topic, rule)
        if is_newest and mirror.state is not MirrorState.LIVE:
            return False
        return mirror.covers(since)

    def is_current(self, topic: str) -> bool:
        """Return whether what is known of a topic is what the store has, but for a moment."""
        if self.rule(topic) is None:
            return True
        mirror = self._mirrors.get(topic)
        return (
            mirror is not None
            and mirror.is_loaded
            and mirror.state in (MirrorState.LIVE, MirrorState.FILLING)
        )

    def call_when_readable(
        self, topic: str, since: Position | None, on_ready: Callable[[], None]
    ) -> None:
        """Call a function once what a topic keeps is known, or it is known why it is not.

        :param since: as for :meth:`is_ready`.
        :param on_ready: may be called at once.
        """
        if self.is_ready(topic, since, is_newest=True):
            on_ready()
        else:
            self.wait(topic, since, lambda _: on_ready())

    def wait(self, topic: str, since: Position | None, on_ready: Callable[[str], None]) -> None:
        """Call a function when a topic is loaded, and as new as the position that a client knows.

        :param since: as for :meth:`is_ready`.
        :param on_ready: gets "", or why it could not be loaded in time; may be called at once.
        """
        rule = self.rule(topic)
        if rule is None or not self._store.is_joined:
            on_ready("" if rule is None else self._store.problem)
            return
        mirror = self._want(topic, rule)
        wait = Wait(mirror.reading, since, on_ready)
        mirror.waiting.append(wait)
        self._clock.call_later(PATIENCE, partial(self._end_wait, mirror, wait))
        if mirror.state is MirrorState.LIVE:
            # A client that comes from another node may know more than this one.
            self._loading.fill(mirror)

    def _end_wait(self, mirror: Mirror, wait: Wait) -> None:
        if wait in mirror.waiting:
            mirror.waiting.remove(wait)
            self._idle.note(mirror.topic)
            wait.on_ready(f"the topic could not be read within {PATIENCE:g} s")

    # What the link brings.

    def on_left(self, problem: str) -> None:
        """Take note that live events do not arrive any more.

        :param problem: why.
        """
        for topic, mirror in list(self._mirrors.items()):
            self._interest.call_when_followed(topic, partial(self._on_followed, mirror))
            mirror.drop_held()
            mirror.reading += 1
            mirror.reload = None
            if mirror.state is not MirrorState.FOLLOWING:
                is_known = mirror.known is not None
                if mirror.state is not MirrorState.STALE:
                    mirror.move(MirrorState.STALE if is_known else MirrorState.FOLLOWING)
            self._settle(mirror, problem)

    def on_arrival(self, arrival: Arrival) -> int | None:
        """Take an event.

        :returns: to how many sessions it was delivered; None if it was not, or not yet.
        """
        mirror = self._mirrors.get(arrival.publication.topic)
        if mirror is None or mirror.state in (MirrorState.FOLLOWING, MirrorState.STALE):
            # It will be read.
            return None
        if mirror.state is MirrorState.LIVE and mirror.continues(arrival):
            return self._deliver(mirror, arrival)
        if mirror.has(arrival):
            self.dropped += 1
            return None
        mirror.hold(arrival)
        if mirror.state is MirrorState.LIVE:
            self._loading.fill(mirror)
        return None

    def on_told(self, publication: Publication) -> bool:
        """Take an event that another process has forwarded, and that the link brings as well.

        :returns: whether its topic is followed here, so that nothing else is to be done.
        """
        mirror, position = self._mirrors.get(publication.topic), publication.position
        if mirror is None or position is None:
            return False
        if mirror.known is not None:
            time = self._ledger.time()
            self.on_arrival(Arrival(publication, position, time, mirror.known.run))
        return True

    def check(self, tops: Sequence[tuple[str, Top | None]]) -> int:
        """Compare where topics are with what is known of them; read those that lag behind.

        :returns: how many these are.
        """
        behind = 0
        for topic, top in tops:
            mirror = self._mirrors.get(topic)
            if mirror is None or mirror.state is not MirrorState.LIVE or mirror.known is None:
                continue
            if top != Top(mirror.known.position, mirror.known.run) and not _is_ahead(mirror, top):
                behind += 1
                self._loading.fill(mirror)
        return behind

    # Inside.

    def _want(self, topic: str, rule: HistoryRule) -> Mirror:
        mirror = self._mirrors.get(topic)
        if mirror is None:
            mirror = self._mirrors[topic] = Mirror(topic, rule)
            self._interest.hold(topic, partial(self._on_followed, mirror))
        if not self._router.subscriptions.subscribers(topic):
            self._idle.note(topic)
        return mirror

    def _on_followed(self, mirror: Mirror) -> None:
        """Read a topic whose live events arrive from now on."""
        is_wanted = self._mirrors.get(mirror.topic) is mirror
        if is_wanted and mirror.state in (MirrorState.FOLLOWING, MirrorState.STALE):
            self._loading.fill(mirror)

    def _deliver(self, mirror: Mirror, arrival: Arrival) -> int:
        publication = self._history.append_stored(
            arrival.publication, arrival.position, arrival.time
        )
        mirror.known = Known(arrival.position, arrival.run)
        return self._router.deliver(publication)

    def _on_loaded(self, mirror: Mirror) -> None:
        """Go on with what waits for a topic that is read."""
        reload, mirror.reload = mirror.reload, None
        if reload is not None:
            present = self._router.subscriptions.subscribers(mirror.topic) - set(mirror.newcomers)
            if present:
                self._announcements.bring_up_to_date(mirror, reload, present)
        else:
            self.filled += 1
        self._announcements.welcome(mirror)
        must_read = mirror.has_lost_held
        mirror.has_lost_held = False
        while mirror.held:
            arrival = mirror.take_held()
            if mirror.continues(arrival):
                self._deliver(mirror, arrival)
            elif mirror.has(arrival):
                self.dropped += 1
            else:
                # What it announces is read; nothing is believed of it but that there is something.
                must_read = True
                mirror.drop_held()
        uncertain = [
            each
            for each in mirror.waiting
            if each.reading == mirror.reading and not mirror.covers(each.since)
        ]
        if must_read or uncertain:
            # What came meanwhile leaves another hole, or a client knows more than was read.
            self._loading.fill(mirror)
            waiting = [each for each in mirror.waiting if each not in uncertain]
        else:
            mirror.move(MirrorState.LIVE)
            waiting = mirror.waiting
        self._settle(mirror, "", waiting)

    def _on_unreadable(self, mirror: Mirror, problem: Unreadable) -> None:
        suffix = self._limiter.suffix()
        if suffix is not None:
            self._ledger.warn(
                "could not read topic {topic}: {problem}{suffix}",
                topic=shown(mirror.topic),
                problem=problem.problem,
                suffix=suffix,
            )
        self._clock.call_later(RETRY, partial(self._retry, mirror, mirror.reading))
        self._settle(mirror, problem.problem)

    def _retry(self, mirror: Mirror, reading: int) -> None:
        if self._mirrors.get(mirror.topic) is mirror and mirror.reading == reading:
            self._loading.again(mirror)

    def _settle(self, mirror: Mirror, problem: str, waiting: Sequence[Wait] | None = None) -> None:
        """Let requests go on.

        :param problem: why they cannot have what they need; "" if they can.
        :param waiting: which ones; None for all.
        """
        ready = list(mirror.waiting if waiting is None else waiting)
        mirror.waiting = [each for each in mirror.waiting if each not in ready]
        if ready:
            self._idle.note(mirror.topic)
        for each in ready:
            each.on_ready(problem)

    def _leave(self, topic: str) -> None:
        """Follow a topic no longer, unless somebody needs it; see :class:`IdleTopics`."""
        mirror = self._mirrors.get(topic)
        is_needed = bool(self._router.subscriptions.subscribers(topic))
        if mirror is not None and not is_needed and not mirror.waiting:
            del self._mirrors[topic]
            mirror.reading += 1
            self._history.forget(topic)
            self._interest.release(topic)


def _is_ahead(mirror: Mirror, top: Top | None) -> bool:
    """Return whether more is known than was read a moment ago."""
    known = mirror.known
    return (
        known is not None
        and top is not None
        and top.run == known.run
        and top.position.epoch == known.position.epoch
        and top.position.offset <= known.position.offset
    )
