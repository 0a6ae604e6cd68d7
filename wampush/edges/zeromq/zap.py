"""libzmq's questions about peers that connect (ZAP, ZeroMQ RFC 27).

Owns: the socket over which libzmq asks.
Must not import: Autobahn, the broker; of the edges nothing.

libzmq asks over a socket of the same context, ``inproc://zeromq.zap.01``. The handler is a reader
of the reactor like any other ZeroMQ socket here; no thread is needed. A peer's handshake waits for
the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import zmq
from txzmq import ZmqFactory

from wampush.edges.zeromq.control_reader import ControlReader

_ADDRESS: Final = "inproc://zeromq.zap.01"


class ZapHandler(ControlReader):
    """Answers libzmq's questions about peers.

    :param factory: txzmq's factory, with the context of the sockets that are asked about.
    :param answer: returns the frames of the reply to the frames of a request.
    """

    socketType = zmq.REP

    def __init__(
        self, factory: ZmqFactory, answer: Callable[[Sequence[bytes]], list[bytes]]
    ) -> None:
        self._answer = answer
        super().__init__(factory)
        self.socket.bind(_ADDRESS)

    def on_message(self, frames: Sequence[bytes]) -> None:
        """Answer one question."""
        self.socket.send_multipart(self._answer(frames), zmq.NOBLOCK)
