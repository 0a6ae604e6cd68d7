"""The topics that have subscribers, as applications learn of them: occupied and vacated.

Owns: which topics are watched, and the grace period of topics that have lost their last subscriber.
Must not import: Twisted, the edges. The clock is handed in.

Nothing is kept of a topic that nobody watches, nor of a watched topic except during its grace
period.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from wampush.broker.presence.delay_queue import DelayQueue
from wampush.clock import Clock
from wampush.topics import is_reserved, matches

#: Topics that are within their grace period at once; any more are vacated without one. Clients
#: choose the names of topics, so this limits what they make the node keep: about 15 MB.
MOST_WAITING: Final = 10_000

Listener = Callable[[str, bool], None]
"""Learns that a topic is occupied (True) or vacated (False). For one topic these alternate."""


class Occupancy:
    """Notifies listeners of the first subscriber of a topic, and of the loss of its last.

    :param grace: seconds for which a topic without subscribers still counts as occupied. If
        subscribers come and go within this time, up to twice as long.
    :param clock: for the grace periods.
    """

    def __init__(self, grace: float, clock: Clock) -> None:
        self._delay = DelayQueue(grace, clock)
        self._grace = grace
        self._watches: tuple[_Watch, ...] = ()
        #: Topics that have lost their last subscriber not long ago, perhaps occupied again.
        self._waiting: dict[str, _Waiting] = {}

    def watch(
        self, patterns: Sequence[str], listener: Listener, *, is_of_node: bool = True
    ) -> None:
        """Notify a listener from now on.

        :param patterns: of its topics; the topics of wampush itself are left out.
        :param is_of_node: whether what it does for a topic happens in this node, so that it has to
            stop when another node does it.
        """
        self._watches = (*self._watches, _Watch(tuple(patterns), listener, is_of_node))

    # Notifications by the broker.

    def on_first(self, topic: str) -> None:
        """Handle the first subscriber of a topic."""
        if not self._is_watched(topic):
            return
        waiting = self._waiting.get(topic)
        if waiting is None:
            self._on_changed(topic, True)
        else:
            waiting.is_vacant = False

    def on_last(self, topic: str) -> None:
        """Handle the loss of the last subscriber of a topic."""
        if not self._is_watched(topic):
            return
        waiting = self._waiting.get(topic)
        if waiting is not None:
            waiting.is_vacant = waiting.is_renewed = True
        elif not self._grace or len(self._waiting) >= MOST_WAITING:
            self._on_changed(topic, False)
        else:
            self._waiting[topic] = waiting = _Waiting(self, topic)
            self._delay.add(waiting)

    # Sessions that move to another process.

    @property
    def waiting(self) -> Collection[str]:
        """The topics within their grace period."""
        return self._waiting.keys()

    def is_watched(self, topic: str) -> bool:
        """Whether a listener learns of a topic."""
        return self._is_watched(topic)

    def resume(self, topic: str, is_vacant: bool) -> None:
        """Begin the grace period of a topic that counted as occupied in another process.

        :param is_vacant: whether it has no subscriber here.
        """
        if is_vacant and self._is_watched(topic) and topic not in self._waiting:
            self.on_last(topic)

    def stop(self) -> None:
        """End all grace periods: no client is left, and none will come."""
        self._end_waiting()
        self._watches = ()

    def _end_waiting(self) -> None:
        self._delay.stop()
        waiting, self._waiting = self._waiting, {}
        for topic, each in waiting.items():
            if each.is_vacant:
                self._on_changed(topic, False)

    def on_elapsed(self, waiting: _Waiting) -> None:
        """Handle the end of a grace period."""
        if waiting.is_vacant and waiting.is_renewed:
            # One entry per topic, however often its subscribers come and go.
            waiting.is_renewed = False
            self._delay.add(waiting)
        elif self._waiting.pop(waiting.topic, None) is not None and waiting.is_vacant:
            self._on_changed(waiting.topic, False)

    def _is_watched(self, topic: str) -> bool:
        return any(watch.covers(topic) for watch in self._watches) and not is_reserved(topic)

    def _on_changed(self, topic: str, is_occupied: bool) -> None:
        """Handle a topic that this node counts as occupied now, or no longer."""
        self._notify(topic, is_occupied)

    def _notify(self, topic: str, is_occupied: bool) -> None:
        for watch in self._watches:
            if watch.covers(topic):
                watch.listener(topic, is_occupied)


@dataclass(frozen=True, slots=True)
class _Watch:
    """A listener and its topics; see :meth:`Occupancy.watch`."""

    patterns: tuple[str, ...]
    listener: Listener
    is_of_node: bool

    def covers(self, topic: str) -> bool:
        """Return whether a topic is among those of the listener."""
        return any(matches(each, topic) for each in self.patterns)


class _Waiting:
    """The grace period of one topic.

    :ivar is_vacant: whether the topic has no subscriber now.
    :ivar is_renewed: whether it has had one since the period began.
    """

    __slots__ = ("_owner", "is_renewed", "is_vacant", "topic")

    def __init__(self, owner: Occupancy, topic: str) -> None:
        self._owner = owner
        self.topic = topic
        self.is_vacant = True
        self.is_renewed = False

    def on_elapsed(self) -> None:
        """Report the end to the owner."""
        self._owner.on_elapsed(self)
