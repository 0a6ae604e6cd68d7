"""ZeroMQ PULL sockets to the broker.

Owns: the sockets of backends, how much is read from them in a reactor turn, refusals of pushes.
Must not import: Autobahn; of the edges only ``zmq_security``.

txzmq alone reads until nothing is left before the reactor runs again, and its default high-water
mark is 0, which means none. Here a turn reads a bounded share. ZeroMQ's descriptor is
edge-triggered (zmq_getsockopt(3), ``ZMQ_FD``): it may stay silent while messages wait, so a read
that stopped early is taken up again by a call, never by waiting for the descriptor.
"""

from __future__ import annotations

import errno
import socket
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Final

import zmq
from txzmq import ZmqEndpoint, ZmqEndpointType, ZmqFactory, ZmqPullConnection

from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Ledger, Source
from wampush.edges.zeromq.security import ZmqSecurity
from wampush.errors import ListenError, PushRefused

CONNECT: Final = "connect:"
#: What one socket may be read in a reactor turn, whichever comes first.
TURN_MESSAGES: Final = 1000
TURN_BYTES: Final = 256 * 1024
TURN_SECONDS: Final = 0.005
#: Parts of one message that are kept; one more than a push may have. What follows is thrown away.
_MOST_PARTS: Final = 4
# As plain numbers: pyzmq's enumerations take longer than what is done with them here.
_NOBLOCK: Final = int(zmq.NOBLOCK)
_POLLIN: Final = int(zmq.POLLIN)
#: How long a socket is read at the end of the process; its peers may go on sending meanwhile.
DRAIN_SECONDS: Final = 0.5
#: libzmq itself drops the connection of a peer that sends more than this multiple of the limit, so
#: that a hostile length can not take the memory that a refusal needs.
_HARD_LIMIT_FACTOR: Final = 16


class BoundedPull(ZmqPullConnection):
    """A PULL socket that reads a bounded share a turn.

    :param factory: txzmq's factory with the ZeroMQ context.
    :param address: as in ``zmq.pull``.
    :param high_water_mark: messages that libzmq may hold for each peer.
    :param hard_limit: bytes after which libzmq cuts a peer off.
    :param on_message: takes a message and returns its size in bytes.
    :param may_read: whether this is a time to read.
    :param fanout: flushed after each share, which is sooner than at the end of the turn.
    """

    read_scheduled: Any

    def __init__(
        self,
        factory: ZmqFactory,
        address: str,
        high_water_mark: int,
        hard_limit: int,
        on_message: Callable[[BoundedPull, Sequence[bytes]], int],
        may_read: Callable[[], bool],
        fanout: Fanout,
    ) -> None:
        self.address = address
        self.highWaterMark = high_water_mark
        self._on_message = on_message
        self._may_read = may_read
        self._fanout = fanout
        self.turn_bytes = TURN_BYTES
        self.reading = True
        #: Whether the next frame belongs to a message that is refused already.
        self._skipping = False
        super().__init__(factory)
        self.socket.set(zmq.MAXMSGSIZE, hard_limit)
        # Only where it is asked for: libzmq would bind IPv4 addresses as mapped ones.
        self.socket.set(zmq.IPV6, int("[" in address))

    def open(self, security: ZmqSecurity) -> None:
        """Bind or connect.

        :param security: protects the socket when it is bound.
        :raises ListenError: when libzmq can not.
        """
        kind = ZmqEndpointType.bind
        address = self.address
        if address.startswith(CONNECT):
            kind = ZmqEndpointType.connect
            address = address.removeprefix(CONNECT)
        else:
            _refuse_taken_file(address)
            security.protect(self.socket, address)
        try:
            with security.files_are_ours():
                self.addEndpoints([ZmqEndpoint(kind, address)])
        except zmq.ZMQError as error:
            raise ListenError(self.address, str(error), _remedy(address, error)) from error
        if kind == ZmqEndpointType.bind:
            security.bound(self.where())

    def where(self) -> str:
        """The address in full: a port of ``*`` is filled in."""
        if self.address.startswith(CONNECT):
            return self.address
        last: Any = self.socket.get(zmq.LAST_ENDPOINT)
        return str(last.rstrip(b"\0").decode())

    def doRead(self) -> None:
        """Read this turn's share; the reactor calls it for the descriptor, and we for the rest."""
        if self.read_scheduled is not None:
            if self.read_scheduled.active():
                self.read_scheduled.cancel()
            self.read_scheduled = None
        if self.factory is None or not self.reading or not self._may_read():
            return
        self._fanout.defer_flush()
        try:
            is_empty = self.read_share()
        finally:
            self._fanout.flush()
        # The flush may have woken this socket already, by the end of a pause.
        if not is_empty and self.factory is not None and self.read_scheduled is None:
            self.read_scheduled = self.factory.reactor.callLater(0, self.doRead)

    def read_share(self) -> bool:
        """Read until nothing waits or this turn's share is used up.

        :returns: whether nothing waits.
        """
        left = self.turn_bytes
        deadline = monotonic() + TURN_SECONDS
        receive = self.socket.recv
        for count in range(TURN_MESSAGES):
            try:
                # Not copied yet: a frame knows whether more follow, which else is one more question
                # to libzmq for each.
                frame = receive(_NOBLOCK, False)
            except zmq.Again:
                if self._is_empty():
                    return True
                continue
            if self._skipping:
                self._skipping = frame.more
            elif frame.more:
                left -= self._on_message(self, self._parts(frame))
            else:
                left -= self._on_message(self, (frame.bytes,))
            if left < 0 or (not count & 15 and monotonic() > deadline):
                return False
            # Mostly a push comes alone, and asking takes less time than being told by an error.
            if not count and self._is_empty():
                return True
        return False

    def _is_empty(self) -> bool:
        """Whether nothing waits; asking also re-arms the descriptor."""
        return not self.socket.get(zmq.EVENTS) & _POLLIN

    def _parts(self, frame: zmq.Frame) -> list[bytes]:
        """The parts of a message; libzmq hands over whole messages, so none has to be awaited.

        Of a message with endless parts the rest is left to the next turns.
        """
        parts = [frame.bytes]
        while frame.more and len(parts) < _MOST_PARTS:
            frame = self.socket.recv(_NOBLOCK, False)
            parts.append(frame.bytes)
        self._skipping = frame.more
        return parts


def _refuse_taken_file(address: str) -> None:
    """Spare a file that libzmq would replace without a word.

    :raises ListenError: it is no socket, or somebody listens there.
    """
    path = address.removeprefix("ipc://")
    if path == address or path.startswith("@"):
        return
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            raise ListenError(
                address, "a file that is no socket is there", "remove it, or choose another path"
            )
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.setblocking(False)
            attempt.connect(path)
    except BlockingIOError:
        # Somebody listens, and has no time for more connections.
        pass
    except OSError:
        # Nothing is there, or what a dead process has left; else libzmq will say what is wrong.
        return
    raise ListenError(
        address,
        "another program listens there",
        "stop the other program, or choose another address with --pull",
    )


def _remedy(address: str, error: zmq.ZMQError) -> str:
    if error.errno == zmq.EADDRINUSE:
        return "stop the other program, or choose another address with --pull"
    if error.errno in (zmq.EADDRNOTAVAIL, errno.ENODEV):
        return (
            "name an address of this machine, as in tcp://127.0.0.1:5555, or tcp://*:5555 for all"
        )
    if error.errno == errno.EACCES and address.startswith("tcp://"):
        return "choose a port from 1024 on, or start as root, with --uid and --gid"
    if address.startswith("ipc://"):
        return "ipc://PATH needs a folder that is there and that this user may write to"
    return "an address is tcp://HOST:PORT or ipc://PATH, with connect: before it to connect"


class PullBridge:
    """Reads the pushes of backends and publishes them.

    :param addresses: as in ``zmq.pull``.
    :param high_water_mark: messages that libzmq may hold for each peer.
    :param ingest: makes publications of pushes.
    :param broker: publishes them.
    :param pressure: says when to pause.
    :param queue_bytes: what may wait for one client; a turn reads a quarter of it at most, so that
        a client that keeps up is never over its limit.
    :param factory: txzmq's factory.
    :param security: who may connect.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        high_water_mark: int,
        ingest: Ingest,
        broker: Broker,
        pressure: Backpressure,
        queue_bytes: int,
        factory: ZmqFactory,
        security: ZmqSecurity,
    ) -> None:
        self._ingest = ingest
        self._broker = broker
        self._ledger: Ledger = broker.ledger
        self._pressure = pressure
        self._factory = factory
        self.security = security
        hard_limit = ingest.max_bytes * _HARD_LIMIT_FACTOR
        self._pulls = [
            BoundedPull(
                factory,
                address,
                high_water_mark,
                hard_limit,
                self._push,
                self._may_read,
                broker.fanout,
            )
            for address in addresses
        ]
        for pull in self._pulls:
            pull.turn_bytes = min(TURN_BYTES, queue_bytes // 4) // len(self._pulls)
        pressure.on_release(self._read_on)

    def start(self) -> list[str]:
        """Bind and connect.

        :returns: what each address became; a port of ``*`` is filled in.
        :raises ListenError: for the first address that can not be used.
        """
        self.security.start(self._factory)
        for pull in self._pulls:
            pull.open(self.security)
        return [pull.where() for pull in self._pulls]

    def local_address(self) -> str | None:
        """Where programs of this machine can push to; None when no socket is bound."""
        for pull in self._pulls:
            where = pull.where()
            if not where.startswith(CONNECT):
                every = "tcp://0.0.0.0:", "tcp://[::]:"
                return where.replace(every[0], "tcp://127.0.0.1:").replace(every[1], "tcp://[::1]:")
        return None

    def files(self) -> list[str]:
        """The paths of bound ``ipc://`` sockets."""
        bound = [pull.where() for pull in self._pulls]
        paths = [each.removeprefix("ipc://") for each in bound if each.startswith("ipc://")]
        return [each for each in paths if not each.startswith("@")]

    def drain(self) -> None:
        """Publish what has arrived already, and stop listening.

        Reading comes first, because libzmq ends connections together with their listener, and
        throws away what it has not handed over by then.
        """
        for pull in self._pulls:
            pull.reading = False
            self._read_rest(pull)
            self._stop_listening(pull)
            self._read_rest(pull)

    def stop(self) -> None:
        """Close the sockets and end the ZeroMQ context."""
        self._factory.shutdown()

    def _read_rest(self, pull: BoundedPull) -> None:
        deadline = monotonic() + DRAIN_SECONDS
        while not pull.read_share() and monotonic() < deadline:
            self._broker.fanout.flush_all()
            if self._pressure.paused:
                # More would only cut off the clients that have to read what they have.
                break

    def _stop_listening(self, pull: BoundedPull) -> None:
        last: bytes = pull.socket.get(zmq.LAST_ENDPOINT)
        if last and not pull.address.startswith(CONNECT):
            pull.socket.unbind(last.rstrip(b"\0").decode())

    def _may_read(self) -> bool:
        return not self._pressure.paused

    def _read_on(self) -> None:
        for pull in self._pulls:
            if pull.factory is not None and pull.reading and pull.read_scheduled is None:
                pull.read_scheduled = pull.factory.reactor.callLater(0, pull.doRead)

    def _push(self, pull: BoundedPull, parts: Sequence[bytes]) -> int:
        """Publish or refuse one push; returns its size in bytes."""
        size = len(parts[0]) if len(parts) == 1 else sum(map(len, parts))
        try:
            publication = self._ingest.publication(parts)
        except PushRefused as error:
            raw = b"|".join(part[:200] for part in parts)
            self._ledger.refuse(Source.ZEROMQ, pull.address, error, raw)
        else:
            self._broker.publish(publication)
            self._ledger.accept(Source.ZEROMQ)
        return size
