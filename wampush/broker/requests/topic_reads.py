"""Requests about topics that have to be read first, because several nodes share them.

Owns: which requests these are, and what they need. Must not import: Twisted, the edges.

A SUBSCRIBE without an answer takes effect at once, and what the topic keeps follows.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import NamedTuple

from wampush.broker.mirrors.mirrors import Mirrors
from wampush.broker.publication import Position
from wampush.broker.requests.history import SubscribeSince, topic_to_read
from wampush.broker.requests.procedures import MayLearn
from wampush.broker.requests.streams import StreamSubscribe
from wampush.broker.subscriber import Subscriber
from wampush.wamp.messages import Call
from wampush.wamp.session import Request


class _Need(NamedTuple):
    """What a request needs to know.

    :ivar topic: of which.
    :ivar since: the position that the client knows.
    :ivar is_newest: whether only the newest state will do.
    """

    topic: str
    since: Position | None
    is_newest: bool


class TopicReads:
    """Has topics read for requests.

    :param mirrors: what this node knows of topics.
    :param procedures: those that the broker answers, by URI.
    :param may_learn: returns whether a session may subscribe to a topic.
    """

    def __init__(self, mirrors: Mirrors, procedures: Container[str], may_learn: MayLearn) -> None:
        self._mirrors = mirrors
        self._procedures = procedures
        self._may_learn = may_learn

    def is_ready(self, subscriber: Subscriber, request: Request) -> bool:
        """Return whether a request can take effect; if not, reading its topic begins."""
        needs = self._needs(subscriber, request)
        return needs is None or self._mirrors.is_ready(
            needs.topic, needs.since, is_newest=needs.is_newest
        )

    def wait(self, subscriber: Subscriber, request: Request, on_ready: Callable[[], None]) -> None:
        """Call a function once the topic of a request is read, or cannot be.

        :param on_ready: may be called at once.
        """
        needs = self._needs(subscriber, request)
        if needs is None:
            on_ready()
        else:
            self._mirrors.wait(needs.topic, needs.since, lambda _: on_ready())

    def _needs(self, subscriber: Subscriber, request: Request) -> _Need | None:
        if isinstance(request, SubscribeSince | StreamSubscribe):
            return _Need(request.topic, request.since, False)
        if isinstance(request, Call) and request.procedure in self._procedures:
            found = topic_to_read(request)
            if found is not None and self._may_learn(subscriber, found[0]):
                return _Need(*found, True)
        return None
