"""Many backends and many clients that come at once, and stay until standard input ends.

    python -m bench.crowd PORT FEED_PORT BACKENDS CLIENTS

Prints "ready" when all of them are on their way. Clients that are refused come again after a
second, backends after a tenth of one, which is ZeroMQ's own interval.

Owns: the strangers. Must not import: wampush, scenarios.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

import zmq

from bench.peer import upgrade

_AGAIN_SECONDS = 1.0
_TURN_SECONDS = 0.05


class Strangers:
    """Clients that ask for a WebSocket connection.

    :param port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        #: When refused clients come again.
        self._late: list[float] = []

    def come(self) -> None:
        """Begin a connection."""
        stranger = socket.socket()
        stranger.setblocking(False)
        stranger.connect_ex(("127.0.0.1", self._port))
        self._selector.register(stranger, selectors.EVENT_WRITE)

    def turn(self) -> None:
        """Go on with all connections for a moment."""
        for key, events in self._selector.select(_TURN_SECONDS):
            stranger = key.fileobj
            assert isinstance(stranger, socket.socket)
            try:
                if events & selectors.EVENT_WRITE:
                    stranger.sendall(upgrade())
                    self._selector.modify(stranger, selectors.EVENT_READ)
                elif not stranger.recv(4096):
                    raise ConnectionError
            except OSError:
                self._selector.unregister(stranger)
                stranger.close()
                self._late.append(time.monotonic() + _AGAIN_SECONDS)
        now = time.monotonic()
        late, self._late = self._late, [each for each in self._late if each > now]
        for _ in range(len(late) - len(self._late)):
            self.come()


def main(port: int, feed: int, backends: int, clients: int) -> None:
    """Come, and stay; the arguments are described above."""
    context = zmq.Context()
    context.set(zmq.MAX_SOCKETS, backends + 10)
    pushers = []
    for _ in range(backends):
        pusher = context.socket(zmq.PUSH)
        pusher.set(zmq.LINGER, 0)
        pusher.connect(f"tcp://127.0.0.1:{feed}")
        pushers.append(pusher)
    strangers = Strangers(port)
    for _ in range(clients):
        strangers.come()
    print("ready", flush=True)
    with selectors.DefaultSelector() as end:
        end.register(sys.stdin, selectors.EVENT_READ)
        while not end.select(0):
            strangers.turn()
    context.destroy(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
