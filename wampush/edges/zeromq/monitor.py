"""libzmq's monitor of one bound socket, read by the reactor.

Owns: the socket over which libzmq reports events (zmq_socket_monitor(3)), the sockets of the peers.
Must not import: Autobahn; the other edges.

libzmq sends an event when a peer connects, when its handshake ends, and when it leaves; none is
sent for a push. No thread is needed: the monitor is a reader of the reactor like any other socket.
"""

from __future__ import annotations

import fcntl
import math
import os
import socket
import struct
import sys
import termios
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final

import zmq
from txzmq import ZmqFactory

from wampush.broker.ledger import Ledger
from wampush.edges.zeromq.accept_gate import Gate
from wampush.edges.zeromq.borrowed_sockets import BorrowedSockets, accepted_by
from wampush.edges.zeromq.control_reader import ControlReader
from wampush.edges.zeromq.peer_limit import PeerLimit
from wampush.edges.zeromq.peers import EVENTS, Peers

_ACCEPTED: Final = int(zmq.EVENT_ACCEPTED)
_LISTENING: Final = int(zmq.EVENT_LISTENING)
_CLOSED: Final = int(zmq.EVENT_CLOSED)
#: Milliseconds that libzmq's thread may take to stop listening; far more than it needs.
_CLOSE_PATIENCE: Final = 1000
_EVENT: Final = struct.Struct("=Hi")
_COUNT: Final = struct.Struct("i")
# <linux/tcp.h>: struct tcp_info begins with 8 bytes, and tcpi_last_data_recv (milliseconds) is the
# twelfth number after them.
_TCP_INFO: Final = struct.Struct("=8x44xI")


class MonitorReader(ControlReader):
    """Reads the events of one socket.

    :param factory: txzmq's factory, with the context of the socket.
    :param watched: the socket, which is not bound yet.
    :param on_events: takes the events of a turn: the number of each, and its value.
    """

    socketType = zmq.PAIR

    def __init__(
        self,
        factory: ZmqFactory,
        watched: zmq.Socket[bytes],
        on_events: Callable[[Sequence[tuple[int, int]]], None],
    ) -> None:
        self._watched = watched
        self._on_events = on_events
        self._events: list[tuple[int, int]] = []
        # txzmq's high-water mark is 0: libzmq's thread must never wait for this reader.
        super().__init__(factory)
        address = f"inproc://wampush.monitor.{self.fd}"
        watched.monitor(address, EVENTS | _LISTENING | _CLOSED)
        self.socket.connect(address)

    def on_message(self, frames: Sequence[bytes]) -> None:
        """Keep one event until the others of this turn are read."""
        number, value = _EVENT.unpack_from(frames[0])
        self._events.append((number, value))

    def on_turn(self) -> None:
        """Handle the events of a turn."""
        events, self._events = self._events, []
        if events:
            self._on_events(events)

    def wait(self, milliseconds: int) -> bool:
        """Wait for an event, and have it handled; return whether there was one."""
        if not self.socket.poll(milliseconds):
            return False
        self.doRead()
        return True

    def shutdown(self) -> None:
        """Stop the monitor, and only then close this end of it: libzmq would wait for a reader."""
        if self.factory is None:
            # Already done: txzmq's factory shuts down its sockets in any order.
            return
        if not self._watched.closed:
            self._watched.disable_monitor()
        super().shutdown()


class PeerMonitor:
    """Watches the backends of one bound socket, and keeps them away while there are too many.

    :param factory: txzmq's factory.
    :param watched: the socket, which is not bound yet.
    :param address: where it will be bound, for the log.
    :param limit: counts the peers of all sockets.
    :param ledger: counts connections that are accepted and refused.
    :param handshake_seconds: after which libzmq ends a handshake.
    """

    def __init__(
        self,
        factory: ZmqFactory,
        watched: zmq.Socket[bytes],
        address: str,
        *,
        limit: PeerLimit,
        ledger: Ledger,
        handshake_seconds: float,
    ) -> None:
        self._watched = watched
        self._address = address
        self._limit = limit
        self._gate: Gate | None = None
        self._is_listening = False
        self._borrowed = BorrowedSockets()
        self._peers = Peers(
            limit=limit,
            sockets=self,
            ledger=ledger,
            handshake_seconds=handshake_seconds,
            now=monotonic,
        )
        self._reader: MonitorReader | None = MonitorReader(factory, watched, self._on_events)

    def read(self) -> None:
        """Handle the events that have arrived."""
        if self._reader is not None:
            self._reader.doRead()

    def dismiss_peers(self) -> None:
        """Have the backends connect anew, to another process that listens on the same socket.

        Only this side of their connections ends: libzmq in the backend notices that, closes its
        side and connects again. What it has sent before is read here. It would lose what it could
        not send because the connection took no more, or because it was in the middle of a burst, so
        this waits for a moment at which nothing of the backend is unread, and for a while nothing
        has come: call it again until none is connected.
        """
        self.read()
        self._peers.dismiss()

    def close_if_alone(self) -> bool:
        """Keep new connections away, unless a backend is connected or is just connecting.

        Asks the system, because what libzmq has accepted a moment ago is not reported yet.

        :returns: whether nobody is connected, and nobody will be until :meth:`reopen`.
        """
        gate = self._gate
        if gate is None:
            return True
        self._limit.close(gate)
        if not gate.has_waiting() and not self._borrowed.has_accepted(gate.listener):
            return True
        self._limit.reopen(gate)
        return False

    def reopen(self) -> None:
        """Let backends connect again after :meth:`close_if_alone`."""
        if self._gate is not None:
            self._limit.reopen(self._gate)

    def wait_until_closed(self) -> None:
        """Wait until libzmq's thread has closed the listening socket, as requested before."""
        while self._is_listening and self._reader is not None:
            if not self._reader.wait(_CLOSE_PATIENCE):
                return

    def stop(self) -> None:
        """Stop watching, and let everybody connect."""
        reader, self._reader = self._reader, None
        if reader is None:
            return
        reader.shutdown()
        self._peers.forget()
        gate, self._gate = self._gate, None
        if gate is not None:
            self._limit.remove(gate)
            gate.release()
        self._borrowed.close()

    def origin(self, descriptor: int) -> str:
        """Return the address of a peer; that of the socket when it is not known."""
        with self._borrowed.borrow(descriptor) as peer:
            if peer is None or not self._is_peer(peer) or peer.family == socket.AF_UNIX:
                return self._address
            try:
                return str(peer.getpeername()[0])
            except OSError:
                # It has left already.
                return self._address

    def disconnect(self, descriptor: int) -> None:
        """End the connection of a peer; libzmq reports its end later."""
        with self._borrowed.borrow(descriptor) as peer:
            if peer is not None and self._is_peer(peer):
                _shut_down(peer, socket.SHUT_RDWR)

    def is_quiet(self, descriptor: int) -> bool:
        """Return whether nothing of a peer is unread."""
        with self._borrowed.borrow(descriptor) as peer:
            return peer is None or not self._is_peer(peer) or not _has_unread(peer)

    def silent_for(self, descriptor: int) -> float:
        """Return for how many seconds nothing of a peer has arrived; infinite if not known."""
        with self._borrowed.borrow(descriptor) as peer:
            if peer is None or not self._is_peer(peer):
                return math.inf
            return _silent_for(peer)

    def dismiss(self, descriptor: int) -> bool:
        """Have a peer connect anew, unless something of it is unread; return whether it is done."""
        with self._borrowed.borrow(descriptor) as peer:
            if peer is None or not self._is_peer(peer):
                return True
            if _has_unread(peer):
                return False
            _shut_down(peer, socket.SHUT_WR)
            return True

    def _is_peer(self, peer: socket.socket) -> bool:
        return self._gate is not None and accepted_by(peer, self._gate.listener)

    def _on_events(self, events: Sequence[tuple[int, int]]) -> None:
        # Shut the gate before anything else: libzmq goes on accepting meanwhile, and when it finds
        # no free descriptor, it aborts the process (``ipc://``) or tries again without a pause.
        self._limit.expect(sum(number == _ACCEPTED for number, _ in events))
        for number, value in events:
            if number == _LISTENING:
                self._on_listening(value)
            elif number == _CLOSED:
                self._is_listening = False
            else:
                self._peers.on_event(number, value)

    def _on_listening(self, descriptor: int) -> None:
        # With the real port, where the system has chosen one.
        last: Any = self._watched.get(zmq.LAST_ENDPOINT)
        self._address = str(last.rstrip(b"\0").decode())
        self._is_listening = True
        self._gate = Gate(socket.socket(fileno=os.dup(descriptor)))
        self._limit.add(self._gate)


def _shut_down(peer: socket.socket, sides: int) -> None:
    try:
        peer.shutdown(sides)
    except OSError:
        # It has left already, which libzmq reports as well.
        return


def _silent_for(peer: socket.socket) -> float:
    """Return the seconds since bytes have arrived; infinite where the system does not say that."""
    if peer.family == socket.AF_UNIX or sys.platform != "linux":
        return math.inf
    info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    if len(info) < _TCP_INFO.size:
        return math.inf
    (milliseconds,) = _TCP_INFO.unpack(info)
    return float(milliseconds) / 1000


def _has_unread(peer: socket.socket) -> bool:
    """Return whether bytes have arrived that libzmq has not read."""
    answer = fcntl.ioctl(peer.fileno(), termios.FIONREAD, bytes(_COUNT.size))
    (count,) = _COUNT.unpack(answer)
    return bool(count)
