"""Subscriptions of clients that only listen.

Owns: the form of such a request. Must not import: Twisted, the edges.

A client of a stream names its topics once and cannot ask again, so it has to learn what became of
each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wampush.broker.publication import Position
from wampush.errors import MessageRefused
from wampush.wamp.messages import Subscribe


class StreamListener(Protocol):
    """Learns what becomes of subscriptions; of none after the session has ended."""

    def on_effect(self) -> None:
        """A subscription is about to take effect; nothing else happens until its outcome."""

    def on_gap(self, topic: str) -> None:
        """Events after the known position are gone; what new subscribers get follows.

        A topic without history keeps none, so there is always a gap.
        """

    def on_outcome(self, topic: str, error: MessageRefused | None) -> None:
        """The session is subscribed, or why it is not; called once for each subscription."""


@dataclass(slots=True)
class StreamSubscribe(Subscribe):
    """A SUBSCRIBE whose outcome is reported.

    :param since: the position of the newest event that the client knows; None for a new client.
    :param listener: learns of its outcome.
    """

    since: Position | None
    listener: StreamListener
