"""The stream between two nodes: records in their order, and descriptors with them.

Owns: the socket, what waits to be sent, and which descriptors belong to which record.
Must not import: the broker, the edges.
"""

from __future__ import annotations

import os
import socket
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from twisted.internet.interfaces import IReadWriteDescriptor
from zope.interface import implementer

from wampush.node.handover.records import Kind, Record, RecordReader, StreamBroken, encode

#: Descriptors in one message (``SCM_MAX_FD`` of Linux).
MOST_DESCRIPTORS: Final = 253
#: Bytes that are sent or read in one reactor turn.
TURN_BYTES: Final = 256 * 1024
#: Bytes of records in the kernel, at most; about a slice of sessions without a backlog.
PIPE_BYTES: Final = 32 * 1024
_ITEM: Final = array("i").itemsize


class _Outgoing(NamedTuple):
    """Bytes that wait, and the descriptors that go with the first of them."""

    data: memoryview
    descriptors: Sequence[int]


class Listener(Protocol):
    """Learns what happens on a stream; see :class:`RecordStream`."""

    def on_record(self, record: Record, descriptors: Callable[[int], Sequence[int]]) -> None:
        """Take a record.

        :param descriptors: returns as many of the descriptors that came with it.
        """

    def on_drained(self) -> None:
        """Handle that everything has been sent."""

    def on_broken(self, problem: str) -> None:
        """Handle the end of the stream; nothing follows."""


@implementer(IReadWriteDescriptor)
class RecordStream:
    """One end of the stream.

    :param stream_socket: an AF_UNIX stream socket; closed with the stream.
    :param reactor: watches it (``IReactorFDSet``).
    :param listener: learns what happens.
    """

    def __init__(self, stream_socket: socket.socket, reactor: Any, listener: Listener) -> None:
        stream_socket.setblocking(False)
        # What the kernel holds is what sessions on their way wait for.
        most = min(PIPE_BYTES, stream_socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2)
        stream_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, most)
        self._socket = stream_socket
        self._reactor = reactor
        self._listener = listener
        self._reader = RecordReader()
        self._outgoing: deque[_Outgoing] = deque()
        self._received: deque[int] = deque()
        self._is_open = True
        self._is_paused = False
        #: Bytes that wait to be sent.
        self.backlog = 0

    def start(self) -> None:
        """Begin to read."""
        self._reactor.addReader(self)

    def send(
        self,
        kind: Kind,
        values: object,
        parts: Sequence[bytes | memoryview] = (),
        descriptors: Sequence[int] = (),
    ) -> None:
        """Queue a record; does nothing once the stream has ended.

        :param descriptors: to hand over; they are closed once they are sent, or the stream has
            ended.
        """
        if not self._is_open:
            _close_all(descriptors)
            return
        data = memoryview(encode(kind, values, parts))
        self._outgoing.append(_Outgoing(data, descriptors))
        self.backlog += len(data)
        self._reactor.addWriter(self)

    def pause(self) -> None:
        """Take no record after the current one, until :meth:`resume`."""
        if self._is_open:
            self._is_paused = True
            self._reactor.removeReader(self)

    def resume(self) -> None:
        """Take records again from the next turn on, first those that have come before."""
        if self._is_paused and self._is_open:
            self._is_paused = False
            self._reactor.callLater(0, self._go_on)

    def _go_on(self) -> None:
        if self._is_open and not self._is_paused:
            self._read(b"")
        if self._is_open and not self._is_paused:
            self._reactor.addReader(self)

    def close(self) -> None:
        """End the stream once; the listener is not notified."""
        if self._is_open:
            self._is_open = False
            self._reactor.removeReader(self)
            self._reactor.removeWriter(self)
            self._socket.close()
            for each in self._outgoing:
                _close_all(each.descriptors)
            self._outgoing.clear()
            self.backlog = 0
            while self._received:
                os.close(self._received.popleft())

    # For the reactor.

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802 - of the interface
        """Return the name of the stream in Twisted's log."""
        return "handover"

    def doWrite(self) -> None:  # noqa: N802 - of the interface
        """Send what the socket takes, up to a share of the turn."""
        room = TURN_BYTES
        try:
            while self._outgoing and room > 0:
                sent = self._send_next()
                self.backlog -= sent
                room -= sent
        except BlockingIOError:
            return
        except OSError as error:
            self._break(error.strerror or str(error))
            return
        if not self._outgoing:
            self._reactor.removeWriter(self)
            self._listener.on_drained()

    def doRead(self) -> None:  # noqa: N802 - of the interface
        """Read what has come, up to a share of the turn."""
        space = socket.CMSG_SPACE(MOST_DESCRIPTORS * _ITEM)
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(
                TURN_BYTES, space, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError as error:
            self._break(error.strerror or str(error))
            return
        for level, kind, found in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self._received.extend(array("i", found[: len(found) - len(found) % _ITEM]))
        if flags & socket.MSG_CTRUNC:
            self._break("the system has not handed over all descriptors")
        elif not data:
            self._break("the other process has ended")
        else:
            self._read(data)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 - of the interface
        """Handle an error that the reactor has found."""
        self._break(str(getattr(reason, "value", reason)))

    def _send_next(self) -> int:
        """Send a part of what waits; return how many bytes have left."""
        data, descriptors = self._outgoing[0]
        if descriptors:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))]
            sent = self._socket.sendmsg([data], rights)
            # From here on the other process has them, whether or not the rest arrives.
            _close_all(descriptors)
        else:
            sent = self._socket.send(data)
        if sent == len(data):
            self._outgoing.popleft()
        else:
            self._outgoing[0] = _Outgoing(data[sent:], ())
        return sent

    def _read(self, data: bytes) -> None:
        try:
            for record in self._reader.feed(data):
                self._listener.on_record(record, self._take)
                if self._is_paused or not self._is_open:
                    return
        except StreamBroken as error:
            self._break(str(error))

    def _take(self, count: int) -> Sequence[int]:
        if count > len(self._received):
            raise StreamBroken(
                f"{count} descriptors belong to a record; {len(self._received)} came"
            )
        return [self._received.popleft() for _ in range(count)]

    def _break(self, problem: str) -> None:
        if self._is_open:
            self.close()
            self._listener.on_broken(problem)


def _close_all(descriptors: Sequence[int]) -> None:
    for each in descriptors:
        os.close(each)
