"""Whose turn it is to read on from the history, and for how long.

Owns: the share of a reactor turn in which clients catch up, and the order of these clients.
Must not import: Twisted, the edges, the history. The end of a turn and the clock are handed in.

Clients that catch up could keep the server busy for as long as their history lasts, and what is
published meanwhile would wait for each of them. So they give way: however many there are, they
share a bounded time of each turn. It gets shorter while everything else in a turn takes long. Where
nothing else is to be done, turns are short, and clients catch up in nearly all of the time.

A client has its turn only while its wire takes more, and keeps nothing while it waits for one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

#: Seconds of a turn of the reactor in which clients catch up, all of them together.
SHARE_SECONDS: Final = 0.0005
#: Seconds that everything else in a turn may take before the share gets shorter.
BUSY_SECONDS: Final = 0.005
#: The smallest part of the share. Clients that catch up have to be faster than their topic, or they
#: would fall out of its history.
LEAST_PART: Final = 1 / 4


class CatchingUp(Protocol):
    """The outbox of a client, as far as its turns need it."""

    def take_turn(self) -> bool:
        """Send what waits, or else the next events from the history.

        :returns: whether it waits for another turn.
        """


class CatchUpTurns:
    """Gives clients that catch up their turns, one after the other.

    :param schedule: calls a function in the next turn of the reactor.
    :param seconds: returns the time in seconds; a clock that never goes back.
    """

    def __init__(
        self,
        schedule: Callable[[Callable[[], None]], object],
        seconds: Callable[[], float],
    ) -> None:
        self._schedule = schedule
        self._seconds = seconds
        # The client whose turn it is comes first.
        self._waiting: OrderedDict[CatchingUp, None] = OrderedDict()
        # Clients for which something else than the history waits.
        self._hurried: dict[CatchingUp, None] = {}
        self._scheduled = False
        #: When the last share ended, if another one follows in the next turn.
        self._ended: float | None = None

    def __len__(self) -> int:
        """Return how many clients wait for their turns."""
        return len(self._waiting)

    def wait(self, client: CatchingUp) -> None:
        """Let a client wait for its turn; one that waits already keeps its place."""
        self._waiting[client] = None
        self._wake()

    def hurry(self, client: CatchingUp) -> bool:
        """Let a client send what waits for it, whoever else has a turn before.

        :returns: whether it waits for its turn; nothing happens otherwise.
        """
        if client not in self._waiting:
            return False
        self._hurried[client] = None
        self._wake()
        return True

    def forget(self, client: CatchingUp) -> bool:
        """Give a client no turn; return whether it has waited for one."""
        if client not in self._waiting:
            return False
        del self._waiting[client]
        return True

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._schedule(self._give_turns)

    def _give_turns(self) -> None:
        self._scheduled = False
        begun = self._seconds()
        share = self._share(begun)
        if self._hurried:
            self._send_for_hurried()
            begun = self._seconds()
        try:
            while self._waiting:
                client, _ = self._waiting.popitem(last=False)
                if client.take_turn():
                    self._waiting[client] = None
                if self._seconds() - begun >= share:
                    break
        finally:
            # Whatever happens to one client, the others have their turns.
            self._ended = self._seconds() if self._waiting else None
            if self._waiting:
                self._wake()

    def _send_for_hurried(self) -> None:
        hurried, self._hurried = self._hurried, {}
        for client in hurried:
            # It keeps its place if it waits on.
            if client in self._waiting and not client.take_turn():
                self.forget(client)

    def _share(self, now: float) -> float:
        """Return the seconds that clients get in this turn."""
        others = 0.0 if self._ended is None else now - self._ended
        if others <= BUSY_SECONDS:
            return SHARE_SECONDS
        return SHARE_SECONDS * max(LEAST_PART, BUSY_SECONDS / others)
