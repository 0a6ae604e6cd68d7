"""The share of a reactor turn that reading from one client may take.

Owns: the time of a read, the clients that are not read for now, when they are read on.
Must not import: Autobahn, the connection.

A client is not read for two reasons:

* It has sent more than can be carried out in its share of the turn. The next turn goes on with it.
* It publishes while the sources of pushes pause. It is read on when that pause has ended.

The transport of such a client is paused, so that no more than one read waits in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout

#: Seconds that one client gets in a turn: less than a source of pushes, because many clients may
#: take theirs in the same turn.
READ_SECONDS: Final = 0.002
#: Seconds that a client gets in a turn in which another one has used up its share.
BRIEF_SECONDS: Final = READ_SECONDS / 10


class Reader(Protocol):
    """A connection, as far as its reading needs it."""

    transport: Any

    def read_on(self) -> None:
        """Go on with what is received and not read."""


class ReadTurns:
    """Divides the time for reading between clients.

    There is one read at a time, so its state is here and not in each connection.

    :param fanout: counts publications.
    :param backpressure: says when publications must wait.
    :param seconds: returns the time in seconds; a clock that never goes back.
    :param call_later: calls a function after a number of seconds.
    """

    def __init__(
        self,
        fanout: Fanout,
        backpressure: Backpressure,
        seconds: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._fanout = fanout
        self._backpressure = backpressure
        self._seconds = seconds
        self._call_later = call_later
        self._deadline = 0.0
        self._published = 0
        self._scheduled = False
        # Clients to go on with, in their order, and whether they have published during a pause.
        self._late: dict[Reader, bool] = {}
        # Clients that wait for the end of a pause of the sources.
        self._held: dict[Reader, None] = {}
        backpressure.call_on_release(self._on_release)

    def __contains__(self, reader: Reader) -> bool:
        """Whether a client is not read for now."""
        return reader in self._late or reader in self._held

    def begin(self) -> None:
        """Begin a read of one client."""
        self._begin_until(self._seconds() + (BRIEF_SECONDS if self._late else READ_SECONDS))

    def must_pause(self, *, has_more: bool) -> bool:
        """Return whether the client must not be read for now.

        :param has_more: whether more of the client has been received. The time that was used
            matters only then, because each read begins with a share of its own.
        """
        return self._is_held() or (has_more and self._seconds() > self._deadline)

    def _is_held(self) -> bool:
        """Return whether this read has published something while publications must wait."""
        return self._backpressure.paused and self._fanout.published != self._published

    def pause(self, reader: Reader) -> None:
        """Stop the current read, and read nothing more of this client for now."""
        reader.transport.pauseProducing()
        if self._is_held():
            self._held[reader] = None
        else:
            self._late[reader] = False
            self._schedule()

    def forget(self, reader: Reader) -> None:
        """Read from a client's transport again; its messages no longer matter."""
        if reader in self:
            self._late.pop(reader, None)
            self._held.pop(reader, None)
            reader.transport.resumeProducing()

    def _begin_until(self, deadline: float) -> None:
        self._deadline = deadline
        self._published = self._fanout.published

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._call_later(0, self._continue)

    def _on_release(self) -> None:
        if self._held:
            self._late.update(dict.fromkeys(self._held, True))
            self._held.clear()
            self._schedule()

    def _continue(self) -> None:
        """Go on with the clients that had to stop, as far as one share of a turn goes."""
        self._scheduled = False
        deadline = self._seconds() + READ_SECONDS
        for reader, publishes in list(self._late.items()):
            if self._late.pop(reader, None) is None:
                # It has ended meanwhile, because of what another one has sent.
                continue
            if publishes and self._backpressure.paused:
                self._held[reader] = None
                continue
            self._begin_until(deadline)
            reader.read_on()
            if reader not in self:
                reader.transport.resumeProducing()
            if self._seconds() > deadline:
                break
        if self._late:
            self._schedule()
