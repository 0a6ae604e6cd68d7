"""The ZeroMQ PULL sockets as a source of pushes.

Owns: the sockets of a node, what becomes of each push, the order of starting and stopping.
Must not import: Autobahn; the other edges.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Final

from txzmq import ZmqFactory

from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Source
from wampush.edges.push_excerpts import excerpt
from wampush.edges.zeromq.peer_limit import PeerLimit
from wampush.edges.zeromq.pull_socket import CONNECT, PullSocket
from wampush.edges.zeromq.security import ZmqSecurity
from wampush.errors import PushRefused
from wampush.net.turn_budget import TurnBudget, bytes_per_source

#: Bytes that all sockets together may read in a reactor turn.
TURN_BYTES: Final = 256 * 1024
#: libzmq itself drops a peer that sends more than this multiple of the limit, so that a hostile
#: length cannot take the memory that a refusal needs.
_HARD_LIMIT_FACTOR: Final = 16
# Read once per push; reading a member from its enumeration takes as long as a call.
_SOURCE: Final = Source.ZEROMQ


class PullSockets:
    """Reads the pushes of backends from all addresses of ``zmq.pull`` and publishes them.

    :param addresses: as in ``zmq.pull``.
    :param high_water_mark: messages that libzmq may hold for each peer.
    :param ingest: turns pushes into publications.
    :param broker: publishes them.
    :param backpressure: says when to pause.
    :param queue_bytes: what may wait for one client, in bytes; limits what a turn reads.
    :param factory: txzmq's factory.
    :param security: decides which backends may connect.
    :param max_connections: backends that may be connected to bound sockets at the same time.
    :param seconds: returns the time in seconds; the clock of the fan-out.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        high_water_mark: int,
        ingest: Ingest,
        broker: Broker,
        backpressure: Backpressure,
        queue_bytes: int,
        factory: ZmqFactory,
        security: ZmqSecurity,
        max_connections: int,
        seconds: Callable[[], float],
    ) -> None:
        self._ingest = ingest
        self._broker = broker
        self._ledger = broker.ledger
        self._backpressure = backpressure
        self._factory = factory
        self.security: Final = security
        self._limit = PeerLimit(max_connections)
        turn_bytes = bytes_per_source(TURN_BYTES, queue_bytes, len(addresses))
        self._sockets = [
            PullSocket(
                factory,
                address,
                high_water_mark=high_water_mark,
                hard_limit=ingest.max_bytes * _HARD_LIMIT_FACTOR,
                budget=TurnBudget(turn_bytes, seconds),
                on_message=self._on_message,
                backpressure=backpressure,
                fanout=broker.fanout,
            )
            for address in addresses
        ]
        backpressure.call_on_release(self._wake)

    def inherit(self, listening: Callable[[str], socket.socket | None]) -> None:
        """Use sockets that listen already; call it before :meth:`start`.

        :param listening: returns the one for an address; None if it must be bound.
        """
        for each in self._sockets:
            if not each.address.startswith(CONNECT):
                inherited = listening(each.address)
                if inherited is not None:
                    each.inherit(inherited, self.security)

    def start(self) -> list[str]:
        """Bind and connect.

        :returns: the address of each socket in full; a port of ``*`` is replaced by the real one.
        :raises ListenError: for the first address that cannot be used.
        """
        self.security.start(self._factory)
        for each in self._sockets:
            each.open(self.security, self._limit)
        return [each.bound_address() for each in self._sockets]

    @property
    def connections(self) -> int:
        """The number of backends that are connected to bound sockets."""
        return self._limit.count

    def problems(self) -> list[tuple[str, str]]:
        """Return the address of each socket as configured, with why it takes no pushes or ""."""
        return [(each.address, each.problem) for each in self._sockets]

    def local_address(self) -> str | None:
        """Return where programs on this machine can push to; None when no socket is bound."""
        for each in self._sockets:
            address = each.bound_address()
            if not address.startswith(CONNECT):
                ipv4 = address.replace("tcp://0.0.0.0:", "tcp://127.0.0.1:")
                return ipv4.replace("tcp://[::]:", "tcp://[::1]:")
        return None

    def socket_files(self) -> list[str]:
        """Return the paths of bound ``ipc://`` sockets."""
        bound = [each.bound_address() for each in self._sockets]
        paths = [each.removeprefix("ipc://") for each in bound if each.startswith("ipc://")]
        return [each for each in paths if not each.startswith("@")]

    def dismiss_peers(self) -> None:
        """Have backends connect anew, to another process that listens on the same sockets.

        What they have sent before is still read here. Call it again until :meth:`stop_listening`
        has closed all sockets.
        """
        for each in self._sockets:
            each.dismiss_peers()

    def stop_listening(self) -> bool:
        """Publish what has arrived at bound sockets without backends, and close these.

        Sockets that connect go on. Call it again until all bound sockets are closed; a backend
        that has come back meanwhile has to be dismissed before.

        :returns: whether all bound sockets are closed.
        """
        if self._limit.count or self._backpressure.paused:
            return False
        bound = [each for each in self._sockets if not each.address.startswith(CONNECT)]
        # Each is tried, also after one that cannot be closed yet.
        closed = [each.drain_if_alone(lambda: self._backpressure.paused) for each in bound]
        return all(closed)

    def drain(self) -> None:
        """Publish what has arrived already, and stop listening."""
        for each in self._sockets:
            each.drain(lambda: self._backpressure.paused)

    def read_next(self) -> None:
        """Look for pushes in the next turn, whether or not the descriptors have reported any."""
        if not self._backpressure.paused:
            for each in self._sockets:
                each.read_next()

    def stop(self) -> None:
        """Close the sockets and end the ZeroMQ context."""
        self._factory.shutdown()

    def _wake(self) -> None:
        for each in self._sockets:
            each.wake()

    def _on_message(self, pull_socket: PullSocket, parts: Sequence[bytes]) -> int:
        """Publish or refuse one push; return its size in bytes."""
        size = len(parts[0]) if len(parts) == 1 else sum(map(len, parts))
        try:
            self._broker.push(_SOURCE, self._ingest.publication(parts))
        except PushRefused as error:
            self._ledger.refuse(_SOURCE, pull_socket.address, error, excerpt(parts))
        return size
