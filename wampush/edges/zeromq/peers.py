"""The backends that are connected to one bound ZeroMQ socket.

Owns: what the events of libzmq's monitor say about each of them.
Must not import: Twisted, txzmq; the other edges.

libzmq names the descriptor when a connection is accepted and when it ends, but not when a handshake
succeeds (zmq_socket_monitor(3)). While several handshakes are under way, it is therefore known how
many of them have succeeded, but not which ones. A connection that ends meanwhile is assumed to be
one of those, so that the log does not blame a backend that did everything right.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final, Protocol

import zmq

from wampush.broker.ledger import Ledger, Source
from wampush.edges.zeromq.peer_limit import PeerLimit
from wampush.errors import PushRefused, Refusal

#: The events that :meth:`Peers.on_event` handles. Failures to accept are left out: without a free
#: descriptor, libzmq reports thousands of them per second.
EVENTS: Final = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_ACCEPTED: Final = int(zmq.EVENT_ACCEPTED)
_DISCONNECTED: Final = int(zmq.EVENT_DISCONNECTED)
_SUCCEEDED: Final = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)
_FAILED_AUTH: Final = int(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
_FAILED_PROTOCOL: Final = int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)


#: Seconds for which nothing of a peer may be unread before it is dismissed. At a single moment,
#: nothing is unread also in the middle of a large message, where the peer's system has not had time
#: to send on.
QUIET_SECONDS: Final = 0.02
#: Seconds for which nothing of a peer may have arrived, as far as that is known. libzmq writes a
#: burst in pieces, and the end of the connection between two of them costs it a message; the next
#: burst seldom begins just then.
SILENT_SECONDS: Final = 0.02
#: Seconds after which peers that push steadily, and so are never silent, are dismissed as well.
STEADY_SECONDS: Final = 0.2
#: Seconds after which a single moment has to do, for peers that push without a pause.
HURRY_SECONDS: Final = 2.0


class PeerSockets(Protocol):
    """Access to the sockets of peers."""

    def origin(self, descriptor: int) -> str:
        """Return the address of a peer for the log."""

    def disconnect(self, descriptor: int) -> None:
        """End the connection of a peer; libzmq reports its end later."""

    def is_quiet(self, descriptor: int) -> bool:
        """Return whether nothing of a peer is unread."""

    def silent_for(self, descriptor: int) -> float:
        """Return for how many seconds nothing of a peer has arrived; infinite if not known."""

    def dismiss(self, descriptor: int) -> bool:
        """Have a peer connect anew, unless something of it is unread; return whether it is done."""


class Peers:
    """Follows the peers of one socket, and reports those whose handshake fails.

    :param limit: counts the peers of all sockets.
    :param sockets: gives access to their sockets.
    :param ledger: counts connections that are accepted and refused.
    :param handshake_seconds: after which libzmq ends a handshake.
    :param now: returns the time in seconds.
    """

    def __init__(
        self,
        *,
        limit: PeerLimit,
        sockets: PeerSockets,
        ledger: Ledger,
        handshake_seconds: float,
        now: Callable[[], float],
    ) -> None:
        self._limit = limit
        self._sockets = sockets
        self._ledger = ledger
        self._handshake_seconds = handshake_seconds
        self._now = now
        #: The origins of the peers, by descriptor.
        self._origins: dict[int, str] = {}
        #: When those that may still be in their handshake were accepted, oldest first.
        self._handshaking: dict[int, float] = {}
        #: How many of them have an outcome already.
        self._decided = 0
        #: Those whose end says nothing about their handshake.
        self._turned_away: set[int] = set()
        #: When peers began to be dismissed; None while they are not.
        self._leaving_since: float | None = None
        self._dismissed: set[int] = set()
        self._quiet_since: dict[int, float] = {}
        #: What libzmq found wrong; the end of that connection is its next event.
        self._failure: str | None = None

    def on_event(self, event: int, value: int) -> None:
        """Handle one event of the monitor.

        :param event: one of :data:`EVENTS`.
        :param value: a descriptor, an error number, or nothing: that depends on the event.
        """
        if event == _ACCEPTED:
            self._on_accepted(value)
        elif event == _DISCONNECTED:
            self._on_disconnected(value)
        elif event == _SUCCEEDED:
            self._ledger.accept(Source.CONNECTION)
            self._decide()
        elif event == _FAILED_AUTH:
            # Counted when libzmq asked about the peer.
            self._decide()
        elif event == _FAILED_PROTOCOL:
            self._failure = f"libzmq reports the protocol error {value:#x}."
        elif value == errno.EAGAIN:
            self._failure = f"It was not complete after {self._handshake_seconds:g} s."
        else:
            self._failure = "The peer closed the connection."

    def dismiss(self) -> None:
        """Have peers connect anew, also those that connect here from now on.

        Those that have just sent something, or of which something was unread a moment ago, are left
        for the next calls.
        """
        now = self._now()
        if self._leaving_since is None:
            self._leaving_since = now
        waited = now - self._leaving_since
        patience = QUIET_SECONDS if waited < HURRY_SECONDS else 0.0
        silence = SILENT_SECONDS if waited < STEADY_SECONDS else 0.0
        self._turned_away.update(self._handshaking)
        self._handshaking.clear()
        self._decided = 0
        for descriptor in self._origins.keys() - self._dismissed:
            if not self._sockets.is_quiet(descriptor):
                self._quiet_since.pop(descriptor, None)
            elif (
                now - self._quiet_since.setdefault(descriptor, now) >= patience
                and self._sockets.silent_for(descriptor) >= silence
                and self._sockets.dismiss(descriptor)
            ):
                self._dismissed.add(descriptor)

    def forget(self) -> None:
        """Stop counting the peers; the socket is being closed."""
        for _ in self._origins:
            self._limit.leave()
        self._origins.clear()

    def _on_accepted(self, descriptor: int) -> None:
        has_room = self._limit.enter()
        origin = self._origins[descriptor] = self._sockets.origin(descriptor)
        if has_room and self._leaving_since is None:
            self._handshaking[descriptor] = self._now()
            return
        self._turned_away.add(descriptor)
        if self._leaving_since is not None:
            return
        self._refuse(origin, Refusal.BACKEND_LIMIT, f"{self._limit.most} are allowed.")
        self._sockets.disconnect(descriptor)

    def _on_disconnected(self, descriptor: int) -> None:
        failure, self._failure = self._failure, None
        origin = self._origins.pop(descriptor, None)
        if origin is None:
            return
        self._limit.leave()
        self._dismissed.discard(descriptor)
        self._quiet_since.pop(descriptor, None)
        if descriptor in self._turned_away:
            self._turned_away.discard(descriptor)
            return
        self._forget_old()
        if self._handshaking.pop(descriptor, None) is None:
            return
        if failure is None and self._decided:
            self._decided -= 1
        else:
            self._refuse(origin, Refusal.BACKEND_HANDSHAKE, failure or "")
        self._settle()

    def _decide(self) -> None:
        """Take note that one of the handshakes has an outcome."""
        self._forget_old()
        if self._handshaking:
            self._decided += 1
            self._settle()

    def _settle(self) -> None:
        if self._decided >= len(self._handshaking):
            self._handshaking.clear()
            self._decided = 0

    def _forget_old(self) -> None:
        """Forget handshakes that libzmq would have ended by now, so they have succeeded."""
        # Twice, because the events may be handled late.
        oldest = self._now() - 2 * self._handshake_seconds
        while self._handshaking:
            descriptor, since = next(iter(self._handshaking.items()))
            if since > oldest:
                return
            del self._handshaking[descriptor]
            self._decided = max(0, self._decided - 1)

    def _refuse(self, origin: str, reason: Refusal, detail: str) -> None:
        error = PushRefused(reason, detail)
        self._ledger.refuse(Source.CONNECTION, origin, error, b"", address=origin)
