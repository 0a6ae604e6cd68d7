"""All WebSocket connections of a node.

Owns: the factory that listeners use, the set of connections, admission, the end of all of them.
Must not import: the composition root, any conversation; what is said over a connection is the
business of its route.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import time
from typing import Any, Final

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime

from wampush import __version__
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.ledger import Ledger
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.auth.authenticator import Authenticator
from wampush.edges.websocket.admission import Admission
from wampush.edges.websocket.connection import Connection
from wampush.edges.websocket.conversation import Routes
from wampush.edges.websocket.doorkeeper import ConnectHook
from wampush.edges.websocket.timer_wheel import TimerWheel
from wampush.errors import CloseReason
from wampush.net.listeners import RejectedConnection

SERVER: Final = f"wampush/{__version__}"


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What one client may cost.

    :param queue_bytes: how much may wait for it.
    :param messages_per_second: how much it may send for long.
    :param message_burst: how much it may send at once.
    """

    queue_bytes: int
    messages_per_second: float
    message_burst: int


class WebSocketEdge(WebSocketServerFactory):
    """Makes and keeps the connections.

    :param settings: the ``[websocket]`` table.
    :param limits: what one client may cost.
    :param admission: who may connect.
    :param authenticator: who clients are.
    :param routes: what is said over connections.
    :param fanout: the way to the outboxes.
    :param pressure: told of what waits.
    :param ledger: told how connections end.
    :param reactor: for timers.
    """

    protocol = Connection
    noisy = False

    def __init__(
        self,
        settings: WebSocketSettings,
        limits: ClientLimits,
        admission: Admission,
        authenticator: Authenticator,
        routes: Routes,
        fanout: Fanout,
        pressure: Backpressure,
        ledger: Ledger,
        reactor: IReactorTime,
    ) -> None:
        super().__init__(reactor=reactor, server=SERVER)
        self.settings = settings
        self.limits = limits
        self.admission = admission
        self.authenticator = authenticator
        #: Decides last whether a client is let in; None where nobody has to be asked.
        self.doorkeeper: ConnectHook | None = None
        #: Seconds since the epoch, by which identities expire.
        self.now = time
        self.routes = routes
        self.fanout = fanout
        self.pressure = pressure
        self.ledger = ledger
        self.connections: set[Connection] = set()
        shortest = min(
            settings.handshake_timeout,
            settings.ping_interval,
            settings.silence_timeout - settings.ping_interval,
        )
        self.wheel = TimerWheel(reactor, min(1.0, shortest / 4))
        self._all_gone: Deferred[None] | None = None

    def start(self) -> None:
        """Begin to keep time."""
        self.wheel.start()

    def buildProtocol(self, addr: IAddress) -> Any:
        """A connection for an accepted socket; one that ends at once, far beyond a limit."""
        peer = str(getattr(addr, "host", None) or "unix socket")
        reason = self.admission.refuses(len(self.connections), peer)
        if reason is not None:
            self.ledger.end(reason, peer)
            return RejectedConnection()
        connection = Connection()
        connection.factory = self
        return connection

    def gone(self, connection: Connection) -> None:
        """A connection is lost."""
        self.connections.discard(connection)
        if self._all_gone is not None and not self.connections:
            self._all_gone.callback(None)
            self._all_gone = None

    def stop(self, patience: float) -> Deferred[None]:
        """End all connections once what is queued for them is sent.

        They end without a Close frame: a clean close would end pages for good (AutobahnJS retries
        unclean ends only).

        :param patience: seconds; who has not read everything by then is dropped.
        :returns: fires when none is left.
        """
        self.admission.stopping = True
        self.fanout.flush_all()
        done: Deferred[None] = Deferred()
        timer = self.reactor.callLater(patience, self._abort_all)

        def finished(result: None) -> None:
            if timer.active():
                timer.cancel()
            self.wheel.stop()

        done.addCallback(finished)
        if not self.connections:
            done.callback(None)
            return done
        self._all_gone = done
        for connection in list(self.connections):
            connection.end(CloseReason.SERVER_STOPPED)
        return done

    def _abort_all(self) -> None:
        for connection in list(self.connections):
            connection.transport.abortConnection()
