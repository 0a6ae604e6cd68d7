"""One ZeroMQ PULL socket, read in bounded shares.

Owns: the states of the socket, when it is read, and how parts become messages.
Must not import: Autobahn; the other edges.

txzmq reads until the queue is empty before it returns to the reactor, and its default high-water
mark is 0, which means unlimited. This socket reads a bounded share per turn. ZeroMQ's descriptor is
edge-triggered (zmq_getsockopt(3), ``ZMQ_FD``): it may stay silent while messages wait, so a read
that stopped early is continued by a call in the next turn, never by waiting for the descriptor.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, unique
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any, Final

import zmq
from txzmq import ZmqEndpoint, ZmqEndpointType, ZmqFactory, ZmqPullConnection

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.edges.zeromq.binding import refuse_taken_file, remedy_for
from wampush.edges.zeromq.messages import receiver
from wampush.edges.zeromq.monitor import PeerMonitor
from wampush.edges.zeromq.peer_limit import PeerLimit
from wampush.edges.zeromq.security import ZmqSecurity
from wampush.errors import ListenError
from wampush.net.turn_budget import TurnBudget
from wampush.state_machine import moved

CONNECT: Final = "connect:"
#: Seconds for which a socket is read when the process ends; its peers may go on sending meanwhile.
DRAIN_SECONDS: Final = 0.5


@unique
class SocketState(Enum):
    """How far a socket is."""

    #: Created; neither bound nor connected.
    NEW = "new"
    #: Bound or connected; it is read whenever messages wait and pushes do not pause.
    OPEN = "open"
    #: The process ends: what has arrived is being read, and nothing after that.
    DRAINING = "draining"
    #: Closed; the descriptor is gone.
    CLOSED = "closed"


# Read with each share; reading a member from its enumeration takes as long as a call.
_OPEN: Final = SocketState.OPEN

MOVES: Final[Mapping[SocketState, frozenset[SocketState]]] = MappingProxyType(
    {
        SocketState.NEW: frozenset(
            {SocketState.OPEN, SocketState.DRAINING, SocketState.CLOSED},
        ),
        SocketState.OPEN: frozenset({SocketState.DRAINING, SocketState.CLOSED}),
        SocketState.DRAINING: frozenset({SocketState.CLOSED}),
        SocketState.CLOSED: frozenset(),
    }
)
"""The legal moves of a socket."""


PROBLEMS: Final[Mapping[SocketState, str]] = MappingProxyType(
    {
        SocketState.NEW: "it is not open yet",
        SocketState.DRAINING: "it takes nothing new",
        SocketState.CLOSED: "it is closed",
    }
)
"""Why a socket takes no pushes, in all states but OPEN."""


class PullSocket(ZmqPullConnection):
    """A PULL socket that reads a bounded share per reactor turn.

    :param factory: txzmq's factory, which has the ZeroMQ context.
    :param address: as in ``zmq.pull``.
    :param high_water_mark: messages that libzmq may hold for each peer.
    :param hard_limit: bytes of a message above which libzmq drops the peer.
    :param budget: what may be read in a turn.
    :param on_message: takes this socket and the parts of a message; returns its size in bytes.
    :param backpressure: says whether pushes may be read now.
    :param fanout: flushed after each share, without waiting for the end of the turn.
    """

    # Without probes (tcp(7)), a host that vanished would keep its descriptor. ZeroMQ's heartbeats
    # are not used: libzmq 4.0 and 4.1 do not answer them, and would be disconnected while idle.
    tcpKeepalive = 1
    tcpKeepaliveIdle = 30
    tcpKeepaliveInterval = 10
    tcpKeepaliveCount = 3
    read_scheduled: Any

    def __init__(
        self,
        factory: ZmqFactory,
        address: str,
        *,
        high_water_mark: int,
        hard_limit: int,
        budget: TurnBudget,
        on_message: Callable[[PullSocket, Sequence[bytes]], int],
        backpressure: Backpressure,
        fanout: Fanout,
    ) -> None:
        self.address = address
        # txzmq reads this attribute when it creates the socket.
        self.highWaterMark = high_water_mark
        self._budget = budget
        self._on_message = on_message
        self._backpressure = backpressure
        self._fanout = fanout
        self._state = SocketState.NEW
        self._receive = receiver()
        #: Whether the next frame belongs to a message that was refused already.
        self._skipping = False
        #: A listening socket that another process keeps open, too; None for one of its own.
        self._inherited: socket.socket | None = None
        #: Watches the peers of a socket that is bound.
        self._monitor: PeerMonitor | None = None
        super().__init__(factory)
        self.socket.set(zmq.MAXMSGSIZE, hard_limit)
        # Only for IPv6 addresses: with this option, libzmq binds IPv4 addresses as mapped ones.
        self.socket.set(zmq.IPV6, int("[" in address))

    def inherit(self, listening: socket.socket, security: ZmqSecurity) -> None:
        """Use a socket that listens already in place of binding one.

        :param listening: is closed when this socket is opened or shut down.
        :param security: sets the mode of its file, for which it may be too late at :meth:`open`.
        :raises OperatorError: the mode cannot be set.
        """
        self._inherited = listening
        security.on_bound(_address_of(listening))

    def open(self, security: ZmqSecurity, limit: PeerLimit) -> None:
        """Bind or connect.

        :param security: protects the socket when it is bound.
        :param limit: counts its peers when it is bound.
        :raises ListenError: libzmq rejects the address.
        """
        kind = ZmqEndpointType.bind
        address = self.address
        is_inherited = self._inherited is not None
        if address.startswith(CONNECT):
            kind = ZmqEndpointType.connect
            address = address.removeprefix(CONNECT)
        else:
            self._use_inherited(address)
            security.protect(self.socket, address)
            self._monitor = security.monitor(self.factory, self.socket, address, limit)
        try:
            with security.private_files():
                self.addEndpoints([ZmqEndpoint(kind, address)])
        except zmq.ZMQError as error:
            raise ListenError(self.address, str(error), remedy_for(address, error)) from error
        self._move(SocketState.OPEN)
        if kind == ZmqEndpointType.bind and not is_inherited:
            security.on_bound(self.bound_address())
        if self._monitor is not None:
            # From here on, new connections can be kept away.
            self._monitor.read()

    def _use_inherited(self, address: str) -> None:
        """Give the inherited socket to libzmq; without one, see that no file is in the way."""
        inherited, self._inherited = self._inherited, None
        if inherited is None:
            refuse_taken_file(address)
        else:
            # libzmq closes it.
            self.socket.set(zmq.USE_FD, inherited.detach())

    def bound_address(self) -> str:
        """Return the address in full: a port of ``*`` is replaced by the real one.

        Before the socket is open, it is the address as configured.
        """
        if self.address.startswith(CONNECT) or self._state is SocketState.NEW:
            return self.address
        last: Any = self.socket.get(zmq.LAST_ENDPOINT)
        return str(last.rstrip(b"\0").decode())

    @property
    def problem(self) -> str:
        """Why it takes no pushes; "" if it does."""
        if self._state is not SocketState.OPEN:
            return PROBLEMS[self._state]
        path = self.bound_address().removeprefix("ipc://")
        is_file = self.bound_address() != path and not path.startswith("@")
        return "its file has been removed" if is_file and not Path(path).exists() else ""

    def wake(self) -> None:
        """Read on in the next turn, after a pause."""
        if self._state is SocketState.OPEN:
            self.factory.reactor.addReader(self)
            if self.read_scheduled is None:
                self._schedule()

    def read_next(self) -> None:
        """Read in the next turn, whether or not the descriptor has reported messages."""
        if self._state is SocketState.OPEN and self.read_scheduled is None:
            self._schedule()

    def dismiss_peers(self) -> None:
        """Have backends connect anew, to another process; see :class:`PeerMonitor`."""
        if self._monitor is not None:
            self._monitor.dismiss_peers()

    def drain(self, is_paused: Callable[[], bool]) -> None:
        """Read what has arrived already, and stop listening; nothing happens the second time.

        Reading comes first, because libzmq ends connections together with their listener and
        discards what it has not handed over by then.

        :param is_paused: returns whether pushes pause; then reading stops early, because more
            pushes would only disconnect the clients that have a backlog.
        """
        if self._state is SocketState.DRAINING:
            return
        self._read_no_more()
        self._read_rest(is_paused)
        self._stop_listening()
        self._read_rest(is_paused)

    def drain_if_alone(self, is_paused: Callable[[], bool]) -> bool:
        """As :meth:`drain`, if no backend is connected; a bound socket only.

        Nothing can be lost: a backend that connects meanwhile reaches the other process that
        listens on the same socket.

        :returns: whether this socket drains, now or before.
        """
        if self._state is SocketState.DRAINING:
            return True
        monitor = self._monitor
        if monitor is None or not monitor.close_if_alone():
            return False
        if not self._read_rest(is_paused):
            monitor.reopen()
            return False
        self._read_no_more()
        self._unbind()
        # Until then, libzmq would accept what the monitor does not keep away any more.
        monitor.wait_until_closed()
        self._stop_monitor()
        return True

    def _read_no_more(self) -> None:
        self._move(SocketState.DRAINING)
        # Its descriptor stays readable from now on, because nobody asks the socket.
        self.factory.reactor.removeReader(self)

    def shutdown(self) -> None:
        """Close the socket; txzmq's factory calls this when it ends its context."""
        self._move(SocketState.CLOSED)
        self._stop_monitor()
        if self._inherited is not None:
            self._inherited.close()
        super().shutdown()

    def doRead(self) -> None:
        """Read a share; called for the descriptor, and in the turn after a partial read."""
        if self.read_scheduled is not None:
            if self.read_scheduled.active():
                self.read_scheduled.cancel()
            self.read_scheduled = None
        if self._state is not _OPEN:
            return
        if self._backpressure.paused:
            # The descriptor stays readable until the socket is asked, so the reactor would spin.
            self.factory.reactor.removeReader(self)
            return
        try:
            is_empty = self.read_share()
        finally:
            self._fanout.flush()
        if not is_empty or self._budget.part < 1.0:
            self._budget.adapt(not is_empty, self._backpressure.paused)
        # The flush may have ended a pause, which wakes this socket.
        if not is_empty and self._state is _OPEN and self.read_scheduled is None:
            self._schedule()

    def read_share(self) -> bool:
        """Read until no message waits or this turn's share is used up; the caller flushes then.

        :returns: whether no message waits.
        """
        budget = self._budget
        bytes_left = budget.begin()
        self._fanout.defer_flush(budget.begun)
        on_message = self._on_message
        for most in budget.batches:
            messages, _, self._skipping, is_empty = self._receive(
                self.socket, self._skipping, most, bytes_left
            )
            for parts in messages:
                bytes_left -= on_message(self, parts)
            if is_empty:
                return True
            if bytes_left < 0 or budget.is_late():
                return False
        return False

    def _schedule(self) -> None:
        self.read_scheduled = self.factory.reactor.callLater(0, self.doRead)

    def _move(self, state: SocketState) -> None:
        self._state = moved(MOVES, self._state, state)

    def _read_rest(self, is_paused: Callable[[], bool]) -> bool:
        """Read until nothing waits, or pushes pause; return whether nothing waits."""
        deadline = monotonic() + DRAIN_SECONDS
        while not self.read_share():
            self._fanout.flush_all()
            if monotonic() >= deadline or is_paused():
                return False
        return True

    def _stop_monitor(self) -> None:
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            monitor.stop()

    def _stop_listening(self) -> None:
        self._stop_monitor()
        self._unbind()

    def _unbind(self) -> None:
        last: bytes = self.socket.get(zmq.LAST_ENDPOINT)
        if last and not self.address.startswith(CONNECT):
            self.socket.unbind(last.rstrip(b"\0").decode())


def _address_of(listening: socket.socket) -> str:
    """Return the ZeroMQ address of a socket that listens."""
    name = listening.getsockname()
    if listening.family == socket.AF_UNIX:
        return f"ipc://{name}" if isinstance(name, str) else f"ipc://@{os.fsdecode(name[1:])}"
    host, port = name[:2]
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
