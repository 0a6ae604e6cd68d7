"""Subscriptions of clients that only listen.

Owns: the form of such a request. Must not import: Twisted, the edges.

A client of a stream names its topics once and cannot ask again, so it has to learn what became of
each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wampush.broker.publication import Position
from wampush.errors import MessageRefused
from wampush.wamp.messages import Subscribe

Outcome = Callable[[str, MessageRefused | None], None]
"""Takes the topic, and why it is refused; None when the session is subscribed."""


@dataclass(slots=True)
class StreamSubscribe(Subscribe):
    """A SUBSCRIBE whose outcome is reported.

    :param since: the position of the newest event that the client knows; None for a new client.
    :param on_gap: called with the topic if events after ``since`` are gone, before the client gets
        what new subscribers get.
    :param on_outcome: called once, when the request has taken effect or is refused; not at all if
        the session ends before.
    """

    since: Position | None
    on_gap: Callable[[str], None]
    on_outcome: Outcome
