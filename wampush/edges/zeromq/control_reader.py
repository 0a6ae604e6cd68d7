"""A ZeroMQ socket for what libzmq itself sends, the events of a monitor and ZAP, and no pushes.

Owns: the read loop of these sockets, a bounded number of messages per reactor turn. Pushes are read
by ``pull_socket``.
Must not import: Autobahn, the broker; of the edges nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import zmq
from txzmq import ZmqConnection

#: Messages handled in a reactor turn, so that a flood of connections leaves time for the rest.
TURN_MESSAGES: Final = 100


class ControlReader(ZmqConnection):
    """Reads whole messages; the descriptor is edge-triggered, so reading goes on in later turns."""

    read_scheduled: Any

    @abstractmethod
    def on_message(self, frames: Sequence[bytes]) -> None:
        """Handle one message."""

    def doRead(self) -> None:
        """Read a bounded number of messages."""
        if self.read_scheduled is not None:
            if self.read_scheduled.active():
                self.read_scheduled.cancel()
            self.read_scheduled = None
        if self.factory is None:
            return
        is_empty = self._read()
        self.on_turn()
        if not is_empty and self.factory is not None:
            self.read_scheduled = self.factory.reactor.callLater(0, self.doRead)

    def on_turn(self) -> None:
        """Take note that the messages of this turn have been read."""

    def _read(self) -> bool:
        """Read the messages of a turn; return whether no more wait."""
        for _ in range(TURN_MESSAGES):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                if not self.socket.get(zmq.EVENTS) & zmq.POLLIN:
                    return True
                continue
            self.on_message(frames)
        return False
