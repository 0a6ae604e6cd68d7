"""libzmq's questions about peers that connect (ZAP, ZeroMQ RFC 27).

Owns: the socket over which libzmq asks, how many questions are answered in a turn.
Must not import: Autobahn, the broker; of the edges nothing.

libzmq asks over a socket of the same context, ``inproc://zeromq.zap.01``. The handler is a reader
of the reactor like any other ZeroMQ socket here; no thread is needed. A peer's handshake waits for
the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import zmq
from txzmq import ZmqConnection, ZmqFactory

_ADDRESS: Final = "inproc://zeromq.zap.01"
#: Requests answered in a reactor turn, so that a flood of connections leaves time for the rest.
TURN_REQUESTS: Final = 100


class ZapHandler(ZmqConnection):
    """Answers libzmq's questions about peers.

    :param factory: txzmq's factory, with the context of the sockets that are asked about.
    :param answer: returns the frames of the reply to the frames of a request.
    """

    socketType = zmq.REP
    read_scheduled: Any

    def __init__(
        self, factory: ZmqFactory, answer: Callable[[Sequence[bytes]], list[bytes]]
    ) -> None:
        self._answer = answer
        super().__init__(factory)
        self.socket.bind(_ADDRESS)

    def doRead(self) -> None:
        """Answer a bounded number of requests; the descriptor is edge-triggered."""
        if self.read_scheduled is not None:
            if self.read_scheduled.active():
                self.read_scheduled.cancel()
            self.read_scheduled = None
        if self.factory is None:
            return
        for _ in range(TURN_REQUESTS):
            try:
                request = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                if not self.socket.get(zmq.EVENTS) & zmq.POLLIN:
                    return
                continue
            self.socket.send_multipart(self._answer(request), zmq.NOBLOCK)
        self.read_scheduled = self.factory.reactor.callLater(0, self.doRead)
