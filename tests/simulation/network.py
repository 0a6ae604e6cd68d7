"""Connections in memory whose bytes take time, stand still and are cut, as a simulation says.

Owns: when bytes arrive. Must not import: wampush.
"""

# ruff: noqa: N802, N803, N815 (Twisted's names)

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Final

from twisted.internet import error
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

#: Seconds that bytes take at most while nothing is wrong.
MOST_DELAY: Final = 0.004


@implementer(IAddress)
class SimulatedAddress:
    """Where the Redis server of a simulation listens."""


class SimulatedReactor(Clock):
    """The reactor of one node: a clock, and connections to the servers of a network.

    :param network: makes the connections.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def connectUNIX(
        self,
        address: str,
        factory: Any,
        timeout: float = 30,  # noqa: ARG002 - it answers at once
        checkPID: bool = False,  # noqa: ARG002 - of the interface
    ) -> Any:
        """Connect to the server."""
        assert address
        return _Connector(self, self._network, factory)

    def callFromThread(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function in the next turn."""
        self.callLater(0, function, *arguments)


class _Connector:
    """An attempt to connect, as factories see it."""

    def __init__(self, reactor: SimulatedReactor, network: Network, factory: Any) -> None:
        self._factory = factory
        self._wire: Wire | None = None
        factory.doStart()
        factory.startedConnecting(self)
        self._attempt: Any = reactor.callLater(0, self._connect, reactor, network)

    def _connect(self, reactor: SimulatedReactor, network: Network) -> None:
        server = network.accept()
        if server is None:
            self._factory.clientConnectionFailed(self, Failure(error.ConnectionRefusedError()))
            self._factory.doStop()
            return
        protocol = self._factory.buildProtocol(SimulatedAddress())
        if protocol is None:
            return
        self._wire = network.join(reactor, protocol, server, self._on_lost)

    def _on_lost(self, reason: Failure) -> None:
        self._factory.clientConnectionLost(self, reason)
        self._factory.doStop()

    def stopConnecting(self) -> None:
        """Give up."""
        if self._attempt.active():
            self._attempt.cancel()

    def disconnect(self) -> None:
        """End the connection, or the attempt."""
        if self._wire is not None:
            self._wire.ends[0].loseConnection()
        else:
            self.stopConnecting()

    def getDestination(self) -> SimulatedAddress:
        """Return where it connects to."""
        return SimulatedAddress()


class End:
    """One end of a connection: what its protocol has as a transport.

    :param wire: the connection.
    :param protocol: gets what the other end writes.
    """

    disconnecting = False

    def __init__(self, wire: Wire, protocol: Any) -> None:
        self._wire = wire
        self.protocol = protocol
        self.other: End = self
        self.connected = True
        self._paused = False
        self._is_closing = False
        #: What is on its way to this end, and when it is due.
        self.arriving: deque[tuple[float, bytes | None]] = deque()

    # For the protocol.

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self.connected and not self._is_closing:
            self._wire.send(self.other, bytes(data))

    def writeSequence(self, parts: Any) -> None:
        """Send bytes."""
        self.write(b"".join(parts))

    def loseConnection(self, *_: object) -> None:
        """End the connection once everything is sent."""
        if self.connected and not self._is_closing:
            self._is_closing = self.disconnecting = True
            self._wire.send(self.other, None)
            self._wire.send(self, None)

    def abortConnection(self) -> None:
        """End the connection at once; what was sent before may still arrive."""
        if self.connected:
            self._wire.abandon()

    def pauseProducing(self) -> None:
        """Read nothing for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Read on."""
        self._paused = False

    def stopProducing(self) -> None:
        """End the connection."""
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Never ask a producer to pause: nothing fills up here."""

    def unregisterProducer(self) -> None:
        """Forget the producer."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Do nothing."""

    def getPeer(self) -> SimulatedAddress:
        """Return the address of the server."""
        return SimulatedAddress()

    getHost = getPeer

    # For the network.

    def pump(self, now: float) -> None:
        """Hand over what is due."""
        while self.arriving and self.connected and not self._paused:
            due, data = self.arriving[0]
            if due > now:
                return
            self.arriving.popleft()
            if data is None:
                self.lose(error.ConnectionDone())
                if self.other.connected:
                    self.other.loseConnection()
            else:
                self.protocol.dataReceived(data)

    def lose(self, problem: Exception) -> None:
        """Tell the protocol that the connection is gone."""
        if self.connected:
            self.connected = False
            self.arriving.clear()
            self._wire.on_end_lost(self, Failure(problem))


class Wire:
    """One connection between a node and the server; its bytes keep their order.

    :param network: says how long bytes take.
    :param reactor: of the node.
    """

    def __init__(
        self, network: Network, reactor: SimulatedReactor, on_lost: Callable[[Failure], None]
    ) -> None:
        self._network = network
        self.reactor = reactor
        self._on_lost = on_lost
        self.ends: tuple[End, End]
        #: Whether bytes stand still, in both directions.
        self.is_mute = False
        self._is_cut = self._is_abandoned = False

    def send(self, end: End, data: bytes | None) -> None:
        """Have bytes arrive at an end, after those before."""
        due = self._network.now + self._network.delay()
        if end.arriving:
            due = max(due, end.arriving[-1][0])
        end.arriving.append((due, data))

    def cut(self) -> None:
        """Lose what is on its way, and end the connection at both ends; they learn of it later."""
        self._is_cut = True

    def abandon(self) -> None:
        """End the connection at the node, unless it is mute.

        A server that stands still has in its buffers what the node has sent, and reads it when it
        goes on, before anything else.
        """
        if self.is_mute:
            self._is_cut = True
        else:
            self._is_abandoned = True

    def _pump_abandoned(self, is_running: bool, server_is_running: bool) -> None:
        node, server = self.ends
        if is_running:
            node.lose(error.ConnectionLost())
        if server_is_running:
            server.pump(float("inf"))
            server.lose(error.ConnectionLost())

    def pump(self, is_running: bool, server_is_running: bool) -> None:
        """Hand over what is due at both ends.

        :param is_running: whether the node runs.
        :param server_is_running: whether the server runs.
        """
        node, server = self.ends
        if self._is_cut:
            server.lose(error.ConnectionLost())
            if is_running:
                node.lose(error.ConnectionLost())
            return
        if self._is_abandoned:
            self._pump_abandoned(is_running, server_is_running)
            return
        if self.is_mute:
            return
        if server_is_running:
            server.pump(self._network.now)
        if is_running:
            node.pump(self._network.now)

    @property
    def is_over(self) -> bool:
        """Whether both ends have learnt that the connection is gone."""
        return not (self.ends[0].connected or self.ends[1].connected)

    def on_end_lost(self, end: End, reason: Failure) -> None:
        """Tell the protocol of an end, and the node's factory."""
        end.protocol.connectionLost(reason)
        if end is self.ends[0]:
            self._on_lost(reason)


class Network:
    """All connections of a simulation.

    :param random: of the simulation.
    :param accept: returns the server's protocol for a new connection; None if it refuses it.
    """

    def __init__(self, random: Random, accept: Callable[[], Any]) -> None:
        self._random = random
        self.accept = accept
        self.now = 0.0
        self.most_delay = MOST_DELAY
        self.wires: list[Wire] = []

    def delay(self) -> float:
        """Return how many seconds bytes take."""
        return self._random.random() * self.most_delay

    def join(
        self,
        reactor: SimulatedReactor,
        protocol: Any,
        server: Any,
        on_lost: Callable[[Failure], None],
    ) -> Wire:
        """Connect a node to the server."""
        wire = Wire(self, reactor, on_lost)
        ends = wire.ends = End(wire, protocol), End(wire, server)
        ends[0].other, ends[1].other = ends[1], ends[0]
        self.wires.append(wire)
        server.makeConnection(ends[1])
        protocol.makeConnection(ends[0])
        return wire

    def wires_of(self, reactor: SimulatedReactor) -> list[Wire]:
        """Return the connections of a node."""
        return [wire for wire in self.wires if wire.reactor is reactor]

    def pump(
        self, now: float, is_running: Callable[[SimulatedReactor], bool], server_is_running: bool
    ) -> None:
        """Hand over everything that is due.

        :param now: the time, in seconds.
        :param is_running: whether the node with a reactor runs; others are handed nothing.
        :param server_is_running: whether the server runs.
        """
        self.now = now
        for wire in tuple(self.wires):
            wire.pump(is_running(wire.reactor), server_is_running)
        if any(wire.is_over for wire in self.wires):
            self.wires = [wire for wire in self.wires if not wire.is_over]
