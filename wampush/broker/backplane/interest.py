"""The topics that a node follows, because somebody there needs them.

Owns: who holds a topic, when it is followed, and how long after the last holder it is left.
Must not import: Twisted, the edges. Clock and timers are handed in.

The cost of a node follows what its clients are subscribed to: other topics do not reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import count
from typing import Final

from wampush.broker.backplane.arrivals import Arrivals
from wampush.broker.backplane.contract import TOPIC_CHANNEL, Bus, topic_channel
from wampush.broker.presence.delay_queue import DelayQueue
from wampush.clock import Clock

#: Seconds for which a topic without holders is still followed: a page that is loaded again comes
#: back within that.
LEAVE_SECONDS: Final = 1.0


class Interest:
    """Follows the topics that have holders: subscribers, or whatever reads them.

    :param bus: brings what is published.
    :param clock: for the time after the last holder.
    """

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._delay = DelayQueue(LEAVE_SECONDS, clock)
        #: The holders of each topic that is followed; 0 after the last one.
        self._holders: dict[str, int] = {}
        #: What the present time of following each of them is called; another one gets another name.
        self._names: dict[str, int] = {}
        self._numbers = count(1)
        #: How often the bus has been asked for a topic and has not confirmed it.
        self._unconfirmed: dict[str, int] = {}
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        #: Topics whose time after the last holder runs.
        self._leaving: set[str] = set()
        #: Reports when everything has arrived.
        self.arrivals: Final = Arrivals(bus)

    def __len__(self) -> int:
        """Return how many topics are followed."""
        return len(self._holders)

    # Holders.

    def on_first(self, topic: str) -> None:
        """Handle the first subscriber of a topic."""
        self.hold(topic)

    def on_last(self, topic: str) -> None:
        """Handle the loss of the last subscriber of a topic."""
        self.release(topic)

    def hold(self, topic: str, on_followed: Callable[[], None] | None = None) -> None:
        """Follow a topic until it is released as often as it was held.

        :param on_followed: called once everything that is published from then on arrives here, at
            once if that is so already.
        """
        known = self._holders.get(topic)
        self._holders[topic] = 1 + (known or 0)
        if known is None:
            self._names[topic] = next(self._numbers)
            self._ask_for(topic)
        if on_followed is not None:
            self.call_when_followed(topic, on_followed)

    def release(self, topic: str) -> None:
        """End one holder's interest in a topic."""
        self._holders[topic] -= 1
        if not self._holders[topic] and topic not in self._leaving:
            self._leaving.add(topic)
            self._delay.add(_Leaving(self, topic))

    def following(self, topic: str) -> int:
        """Return what the present time of following a topic is called; 0 for a topic that is not
        followed, or not yet.

        What is sent to a topic comes back only while this stays the same.
        """
        return 0 if topic in self._unconfirmed else self._names.get(topic, 0)

    def wanted(self, topic: str) -> int:
        """Return what the present time of following a topic is called, be it confirmed or not.

        :returns: 0 for a topic that nobody holds.
        """
        return self._names.get(topic, 0)

    def still_follows(self, topic: str, following: int) -> bool:
        """Return whether a time of following a topic has not ended, be the link lost meanwhile.

        :param following: as :meth:`following` returned it.
        """
        return self._names.get(topic) == following

    @property
    def is_complete(self) -> bool:
        """Whether everything that is published to topics with holders arrives here."""
        return self._bus.is_joined and not self._unconfirmed

    def is_awaited(self, topic: str) -> bool:
        """Return whether a topic will be followed as soon as the bus confirms it."""
        return topic in self._unconfirmed

    def call_when_followed(self, topic: str, callback: Callable[[], None]) -> None:
        """Call a function once everything that is published to a topic arrives here.

        :param topic: one that has a holder.
        """
        if topic in self._unconfirmed:
            self._waiting.setdefault(topic, []).append(callback)
        else:
            callback()

    def stop(self) -> None:
        """Leave nothing any more; for the end of the process."""
        self._delay.stop()

    # The bus.

    def on_followed(self, channels: Collection[str]) -> None:
        """Take note of channels that the bus has confirmed."""
        for channel in channels:
            if channel.startswith(TOPIC_CHANNEL):
                self._confirm(channel.removeprefix(TOPIC_CHANNEL))
        self.arrivals.on_followed(channels)

    def on_left(self) -> None:
        """Take note that nothing is followed until the bus has confirmed everything again."""
        self._unconfirmed = dict.fromkeys(self._holders, 1)
        self.arrivals.on_left()

    def _ask_for(self, topic: str) -> None:
        # What is asked for while the link is lost is confirmed once, with everything else.
        before = self._unconfirmed.get(topic, 0) if self._bus.is_joined else 0
        self._unconfirmed[topic] = before + 1
        self._bus.follow((topic_channel(topic),))

    def _confirm(self, topic: str) -> None:
        left = self._unconfirmed.get(topic, 1) - 1
        if left:
            self._unconfirmed[topic] = left
            return
        self._unconfirmed.pop(topic, None)
        for callback in self._waiting.pop(topic, ()):
            callback()

    def on_elapsed(self, topic: str) -> None:
        """Leave a topic, unless it has been held again."""
        self._leaving.discard(topic)
        if self._holders.get(topic) == 0:
            del self._holders[topic], self._names[topic]
            if not self._bus.is_joined:
                # The bus will never have heard of it, and so never confirms it.
                self._unconfirmed.pop(topic, None)
                self._waiting.pop(topic, None)
            self._bus.unfollow((topic_channel(topic),))


class _Leaving:
    """The time after the last holder of a topic."""

    __slots__ = ("_interest", "_topic")

    def __init__(self, interest: Interest, topic: str) -> None:
        self._interest = interest
        self._topic = topic

    def on_elapsed(self) -> None:
        """Report the end."""
        self._interest.on_elapsed(self._topic)
