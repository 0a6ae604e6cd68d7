"""When everything that was published until now has arrived.

Owns: the questions to the bus that find out. Must not import: Twisted, the edges.

Answers to what a node sends, and messages that come to it, take ways of their own: an answer may
overtake messages that were sent before it. The confirmation of a channel takes the way of the
messages. So a channel that is followed anyway is followed again: what was published before arrives
before that is confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from wampush.broker.backplane.contract import EVERY_NODE, Bus


class Arrivals:
    """Reports when everything has arrived that was published before a question.

    :param bus: brings what is published.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        #: Those that the confirmation under way answers, and those that need another one.
        self._asked: list[Callable[[], None]] = []
        self._next: list[Callable[[], None]] = []

    def call_when_complete(self, callback: Callable[[], None]) -> None:
        """Call a function once everything that was published until now has arrived.

        It is never called when the link is lost before.

        :param callback: called after this call.
        """
        if self._asked:
            self._next.append(callback)
        else:
            self._asked.append(callback)
            self._bus.follow((EVERY_NODE,))

    def on_followed(self, channels: Collection[str]) -> None:
        """Take note of channels that the bus has confirmed."""
        if EVERY_NODE not in channels or not self._asked:
            return
        asked, self._asked, self._next = self._asked, self._next, []
        if self._asked:
            self._bus.follow((EVERY_NODE,))
        for callback in asked:
            callback()

    def on_left(self) -> None:
        """Forget all questions: what has not arrived does not arrive any more."""
        self._asked.clear()
        self._next.clear()
