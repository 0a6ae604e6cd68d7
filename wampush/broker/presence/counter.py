"""A number that sessions can subscribe to.

Owns: when its subscribers get it. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Callable

from wampush.broker.presence.delay_queue import DelayQueue
from wampush.broker.presence.host import PresenceHost
from wampush.broker.presence.publisher import RateLimitedPublisher
from wampush.broker.publication import Publication
from wampush.broker.subscriber import Subscriber


class CounterTopic(RateLimitedPublisher):
    """A topic that shows a number.

    :param topic: where the number is published.
    :param read: returns the number.
    :param host: the way to the subscribers.
    :param interval: the shortest time between two publications.
    """

    __slots__ = ("_host", "_read", "_topic", "published")

    def __init__(
        self, topic: str, read: Callable[[], int], host: PresenceHost, interval: DelayQueue
    ) -> None:
        super().__init__(interval)
        self._topic = topic
        self._read = read
        self._host = host
        #: The number that all subscribers know; None while they know different ones.
        self.published: int | None = None

    def on_change(self) -> None:
        """Handle a change of the number."""
        if self._host.subscriptions.subscribers(self._topic):
            self.request()

    def on_subscribe(self, subscriber: Subscriber) -> None:
        """Send the number to a session that has subscribed."""
        number = self._read()
        if len(self._host.subscriptions.subscribers(self._topic)) == 1:
            self.published = number
        elif number != self.published:
            self.published = None
        self._host.send(subscriber, self._topic, b"%d" % number)

    @property
    def has_news(self) -> bool:
        """Whether there are subscribers that know another number."""
        return self._read() != self.published and bool(
            self._host.subscriptions.subscribers(self._topic)
        )

    def publish(self) -> int:
        """Publish the number."""
        self.published = self._read()
        return self._host.publish(Publication(self._topic, b"%d" % self.published))

    def idle(self) -> None:
        """Do nothing: the topic stays."""
