"""What users have missed between two of their sessions, for clients that do not ask for it.

Owns: what each session is known to have received, and where a new session of its user continues.
Must not import: Twisted, the edges.

A user here is also a browser whose user is not known; see ``visitors``.

A ping carries a mark, and the pong with the same mark proves that everything sent before has
arrived. Nothing shows which of a user's sessions a new one replaces, if any, and one that looks
open may be gone already. So a new session continues at the smallest position of all of them: it may
get events twice, but misses none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import astuple, dataclass
from typing import Any, Final, NamedTuple

from wampush.broker.history.kept_positions import KeptPositions
from wampush.broker.history.replays import Replays
from wampush.broker.history.rule import HistoryRule
from wampush.broker.history.visitors import Visitors
from wampush.broker.publication import Position
from wampush.broker.subscriber import Subscriber
from wampush.broker.users import UserIndex

#: Bytes of a subscription that is tracked but for the subscription itself: two positions, two
#: places in dictionaries. 228 measured for each of 100 topics of a session, 645 for a single one.
TRACKED_BYTES: Final = 700
#: The offset of a session that has subscribed and may not have received the topic's values yet.
_NO_VALUES: Final = -1
_MARK_BYTES: Final = 4


class _Tracked:
    """What one session is known to have received.

    :ivar confirmed: by topic: everything up to this position has arrived.
    :ivar mark: of the newest ping.
    :ivar marked: the positions when that ping was sent; None when it is answered.
    :ivar holes: the topics of which it has missed an event because it was too slow; what has
        arrived before is all that counts.
    """

    __slots__ = ("confirmed", "holes", "mark", "marked")

    def __init__(self) -> None:
        self.confirmed: dict[str, Position] = {}
        self.mark = 0
        self.marked: dict[str, Position] | None = None
        self.holes: frozenset[str] = frozenset()


class _User(NamedTuple):
    """Whose session it is.

    :ivar name: of the user or browser.
    :ivar kept: where the positions of its ended sessions are.
    :ivar sessions: the live set of its open ones.
    """

    name: str
    kept: KeptPositions
    sessions: AbstractSet[Subscriber]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedState:
    """What one session is known to have received, for another process; see :class:`_Tracked`.

    :param confirmed: epoch and offset by topic.
    :param mark: of the newest ping.
    :param marked: epoch and offset by topic.
    :param holes: topics.
    """

    confirmed: Mapping[str, Sequence[Any]]
    mark: int = 0
    marked: Mapping[str, Sequence[Any]] | None = None
    holes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptState:
    """What is kept of sessions that have ended, for another process.

    :param users: see :meth:`KeptPositions.snapshot`.
    :param visitors: likewise, of browsers without a user.
    :param key: with which their cookies are signed.
    """

    users: Sequence[Sequence[Any]] = ()
    visitors: Sequence[Sequence[Any]] = ()
    key: str = ""


class GapReplays:
    """Queues for new sessions what earlier ones of the same user have not received.

    :param replays: queue stored events.
    :param users: sessions by user.
    :param kept: positions of sessions that have ended.
    :param visitors: browsers without a user.
    """

    def __init__(
        self, replays: Replays, users: UserIndex, kept: KeptPositions, visitors: Visitors
    ) -> None:
        self.visitors: Final = visitors
        self._replays = replays
        self._history = replays.history
        self._users = users
        self._kept = kept
        self._sessions: dict[Subscriber, _Tracked] = {}
        replays.fanout.slow_clients.call_on_drop(self.on_drop)
        #: Subscriptions that began with what their users had missed.
        self.replayed = 0

    def bytes_of(self, topic: str) -> int:
        """Return the memory that a subscription to a topic may take here."""
        rule = self._history.rules.of(topic)
        return TRACKED_BYTES if rule is not None and rule.gap_replay else 0

    # Sessions.

    def on_subscribe(self, subscriber: Subscriber, topic: str) -> None:
        """Queue what a session gets that has subscribed to a topic."""
        user = self._user_of(subscriber)
        rule = self._history.rules.of(topic)
        now = self._history.position(topic)
        if user is None or rule is None or not rule.gap_replay or now is None:
            self._replays.on_subscribe(subscriber, topic)
            return
        position = self._replay(subscriber, topic, rule, now, self._candidates(user, topic))
        self._track(subscriber, topic, position)

    def on_subscribe_since(self, subscriber: Subscriber, topic: str, since: Position) -> None:
        """Note a session that has itself asked for what it has missed."""
        now = self._history.position(topic)
        if now is not None and self._is_tracked(subscriber, topic):
            is_known = since.epoch == now.epoch and 0 <= since.offset <= now.offset
            self._track(subscriber, topic, since if is_known else now)

    def on_unsubscribe(self, subscriber: Subscriber, topic: str) -> None:
        """Forget a topic that a session does not want any more."""
        tracked = self._sessions.get(subscriber)
        if tracked is None:
            return
        tracked.confirmed.pop(topic, None)
        if tracked.marked is not None:
            tracked.marked.pop(topic, None)
        if not tracked.confirmed:
            self._forget(subscriber)

    def on_lost(self, subscriber: Subscriber) -> None:
        """Keep what a session has received; it is still indexed under its user."""
        user, tracked = self._user_of(subscriber), self._forget(subscriber)
        if tracked is not None and user is not None:
            is_visitor = user.kept is self.visitors.kept
            address = subscriber.address_name if is_visitor else None
            for topic, position in tracked.confirmed.items():
                user.kept.keep(user.name, topic, position, address)

    def on_identity_changed(self, subscriber: Subscriber, topics: Iterable[str]) -> None:
        """Begin anew with a session that is another user now.

        :param topics: those that it has subscribed to.
        """
        for topic in topics:
            now = self._history.position(topic)
            if now is not None and self._is_tracked(subscriber, topic):
                self._track(subscriber, topic, now)

    # Pings.

    def is_tracking(self, subscriber: Subscriber) -> bool:
        """Whether pings to a session need marks."""
        return subscriber in self._sessions

    def mark(self, subscriber: Subscriber) -> bytes:
        """Return the payload of a ping that is queued now, after everything published so far.

        While one is not answered, the next has the same: any answer to it proves as much.
        """
        tracked = self._sessions.get(subscriber)
        if tracked is None:
            return b""
        if tracked.marked is None:
            # What is not queued before the ping is not proved by its answer.
            self._replays.fanout.end_batch()
            tracked.mark = (tracked.mark + 1) % 256**_MARK_BYTES
            topics = [topic for topic in tracked.confirmed if topic not in tracked.holes]
            positions = [(each, self._replays.sent_up_to(subscriber, each)) for each in topics]
            tracked.marked = {topic: each for topic, each in positions if each is not None}
        return tracked.mark.to_bytes(_MARK_BYTES)

    def on_drop(self, subscriber: Subscriber, topic: str) -> None:
        """Note that a session misses an event of a topic, by its policy for slow clients."""
        tracked = self._sessions.get(subscriber)
        if tracked is None or topic not in tracked.confirmed:
            return
        tracked.holes |= {topic}
        if tracked.marked is not None:
            tracked.marked.pop(topic, None)

    def on_pong(self, subscriber: Subscriber, payload: bytes) -> None:
        """Handle the answer to a ping."""
        tracked = self._sessions.get(subscriber)
        if tracked is None or tracked.marked is None:
            return
        if payload == tracked.mark.to_bytes(_MARK_BYTES):
            tracked.confirmed.update(tracked.marked)
            tracked.marked = None

    # Sessions that move to another process.

    def snapshot(self, subscriber: Subscriber) -> TrackedState | None:
        """Return what a session is known to have received; None if it is not tracked."""
        tracked = self._sessions.get(subscriber)
        if tracked is None:
            return None
        marked = tracked.marked
        return TrackedState(
            confirmed={topic: list(astuple(each)) for topic, each in tracked.confirmed.items()},
            mark=tracked.mark,
            marked=None
            if marked is None
            else {topic: list(astuple(each)) for topic, each in marked.items()},
            holes=sorted(tracked.holes),
        )

    def restore(self, subscriber: Subscriber, state: TrackedState) -> None:
        """Go on with a session that another process had; it is subscribed already."""
        confirmed = {
            topic: Position(*position)
            for topic, position in state.confirmed.items()
            if self._is_tracked(subscriber, topic)
        }
        if not confirmed or not self._is_counted(subscriber):
            return
        tracked = self._sessions[subscriber] = _Tracked()
        tracked.confirmed = confirmed
        tracked.mark = state.mark
        tracked.holes = frozenset(state.holes)
        if state.marked is not None:
            tracked.marked = {
                topic: Position(*position)
                for topic, position in state.marked.items()
                if topic in confirmed
            }

    def snapshot_kept(self) -> KeptState:
        """Return what is kept of sessions that have ended."""
        visitors = self.visitors
        return KeptState(
            users=self._kept.snapshot(), visitors=visitors.kept.snapshot(), key=visitors.key
        )

    def restore_kept(self, state: KeptState) -> None:
        """Keep what another process has kept."""
        self._kept.restore(state.users)
        self.visitors.kept.restore(state.visitors)
        if state.key:
            self.visitors.take_key(state.key)

    # Replays.

    def _user_of(self, subscriber: Subscriber) -> _User | None:
        """Return the user of a session whose client answers pings; None for any other session."""
        peer = subscriber.peer
        if peer is None or not peer.answers_pings:
            return None
        name = self._users.user_of(subscriber)
        if name is not None:
            return _User(name, self._kept, self._users.of_user(name))
        if peer.visitor is None:
            return None
        return _User(peer.visitor, self.visitors.kept, self.visitors.sessions(peer.visitor))

    def _is_tracked(self, subscriber: Subscriber, topic: str) -> bool:
        return bool(self.bytes_of(topic)) and self._user_of(subscriber) is not None

    def _track(self, subscriber: Subscriber, topic: str, position: Position) -> None:
        tracked = self._sessions.get(subscriber)
        if tracked is None:
            if not self._is_counted(subscriber):
                return
            tracked = self._sessions[subscriber] = _Tracked()
        tracked.confirmed[topic] = position
        tracked.holes -= {topic}
        if tracked.marked is not None:
            # A ping that was sent before proves nothing about events that are queued now.
            tracked.marked.pop(topic, None)

    def _is_counted(self, subscriber: Subscriber) -> bool:
        """Index a session if it is that of a browser; return False if that has too many."""
        peer = subscriber.peer
        if peer is None or peer.visitor is None or self._users.user_of(subscriber) is not None:
            return True
        return self.visitors.add(peer.visitor, subscriber)

    def _forget(self, subscriber: Subscriber) -> _Tracked | None:
        peer = subscriber.peer
        if peer is not None and peer.visitor is not None:
            self.visitors.discard(peer.visitor, subscriber)
        return self._sessions.pop(subscriber, None)

    def _candidates(self, user: _User, topic: str) -> list[Position]:
        """Return where the sessions of a user are that have ended not long ago, or seem open."""
        found = user.kept.of(user.name, topic)
        for each in user.sessions:
            tracked = self._sessions.get(each)
            if tracked is not None and topic in tracked.confirmed:
                found.append(tracked.confirmed[topic])
        return found

    def _replay(
        self,
        subscriber: Subscriber,
        topic: str,
        rule: HistoryRule,
        now: Position,
        candidates: list[Position],
    ) -> Position:
        """Queue events; return the position that is proved without them."""
        known = {each.offset for each in candidates if each.epoch == now.epoch}
        needs_start = _NO_VALUES in known
        known.discard(_NO_VALUES)
        if any(each.epoch != now.epoch for each in candidates):
            # Whatever the topic has kept since is new to that session.
            known.add(0)
            needs_start = True
        fillable = self._smallest(topic, now.epoch, known)
        if known and fillable != min(known):
            needs_start = True
        if needs_start and rule.replay:
            known.add(max(now.offset - rule.replay, 0))
            fillable = self._smallest(topic, now.epoch, known)
        if fillable is not None:
            since = Position(now.epoch, fillable)
            recovery = self._replays.recover(subscriber, topic, since)
            self.replayed += 1
            if recovery is not None and recovery.is_complete:
                if needs_start and not rule.replay:
                    # After the events, so that the page ends with the present values.
                    self._replays.on_subscribe(subscriber, topic)
                return since
        else:
            self._replays.on_subscribe(subscriber, topic)
        return _start(rule, now)

    def _smallest(self, topic: str, epoch: str, offsets: set[int]) -> int | None:
        """Return the smallest offset after which no event is gone; None if there is none."""
        for offset in sorted(offsets):
            missed = self._history.missed(topic, Position(epoch, offset))
            if missed is not None and missed.is_complete:
                return offset
        return None


def _start(rule: HistoryRule, now: Position) -> Position:
    """Return the position of a session that has just been sent what new subscribers get."""
    if rule.replay:
        return Position(now.epoch, max(now.offset - rule.replay, 0))
    return Position(now.epoch, _NO_VALUES) if rule.last or rule.last_by else now
