"""How many backends may be connected to all bound ZeroMQ sockets together.

Owns: the count, and when new connections are kept away.
Must not import: Twisted's reactor, txzmq, the broker.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from wampush.log_limit import LogLimiter

if TYPE_CHECKING:
    from wampush.edges.zeromq.accept_gate import Gate

_log = Logger(namespace="wampush.zeromq")


class PeerLimit:
    """Counts backends, and shuts the gates of their sockets while there are enough.

    :param most: ``zmq.max_connections``, or as many as there are descriptors for.
    :param now: returns the time in seconds, for the rate of log lines.
    """

    def __init__(self, most: int, now: Callable[[], float] = monotonic) -> None:
        self.most: Final = most
        self.count = 0
        self._gates: list[Gate] = []
        #: Gates that stay shut, whatever the count is.
        self._closed: list[Gate] = []
        self._limiter = LogLimiter(now)

    def add(self, gate: Gate) -> None:
        """Take charge of the gate of one more socket."""
        self._gates.append(gate)
        if self.count >= self.most:
            gate.shut()

    def remove(self, gate: Gate) -> None:
        """Leave a gate alone from now on."""
        self._gates.remove(gate)
        if gate in self._closed:
            self._closed.remove(gate)

    def close(self, gate: Gate) -> None:
        """Shut a gate until :meth:`reopen`."""
        self._closed.append(gate)
        gate.shut()

    def reopen(self, gate: Gate) -> None:
        """Open a gate again, if there is room."""
        self._closed.remove(gate)
        if self.count < self.most:
            gate.open()

    def expect(self, count: int) -> None:
        """Shut the gates now if the next backends will use up the limit."""
        if count and self.count + count >= self.most:
            for gate in self._gates:
                gate.shut()

    def enter(self) -> bool:
        """Count a backend; return whether there is room for it."""
        self.expect(1)
        self.count += 1
        if self.count >= self.most:
            suffix = self._limiter.suffix()
            if suffix is not None:
                _log.warn(
                    "ZeroMQ: {most} backends are connected, which is the limit; others wait until "
                    "one leaves" + suffix,
                    most=self.most,
                )
        return self.count <= self.most

    def leave(self) -> None:
        """Stop counting a backend that is gone."""
        self.count -= 1
        if self.count < self.most:
            for gate in self._gates:
                if gate not in self._closed:
                    gate.open()
