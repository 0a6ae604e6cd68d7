"""All WebSocket connections of a node.

Owns: the factory that listeners use, the set of connections, the end of all of them, and what the
access log has of each.
Must not import: the composition root, any conversation. Routes decide what is said over
connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from math import ceil
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from wampush import __version__
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.ledger import Ledger
from wampush.broker.memory import Memory
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.access_log import AccessLog, AccessRecord
from wampush.edges.auth.authenticator import Authenticator
from wampush.edges.websocket.admission import Admission, record_of
from wampush.edges.websocket.connection import Connection
from wampush.edges.websocket.conversation import Conversation, Routes
from wampush.edges.websocket.message_budgets import ClientLimits
from wampush.edges.websocket.opening_handshake import ConnectHook, OpeningRules
from wampush.edges.websocket.read_turns import ReadTurns
from wampush.edges.websocket.shared_parts import SharedParts
from wampush.edges.websocket.timer_wheel import TimerWheel
from wampush.edges.websocket.transfer.connection_state import Arrival, ConnectionState, arrive
from wampush.errors import CloseReason
from wampush.net.rejected_connection import RejectedConnection

#: Seconds between two steps of the end of all connections.
STEP_SECONDS: Final = 0.05
#: Connections that end in a step at least: where there are few, their end need not take long.
LEAST_PER_STEP: Final = 10
#: Part of the time for the end in which the connections get their turn; the rest is for slow ones.
PACED_PART: Final = 0.8

SERVER: Final = f"wampush/{__version__}"


class LoggedConnection(Connection):
    """A connection whose end gets a line in the access log.

    A class of its own, so that others pay nothing for it.

    :param shared: what all connections share.
    :param access_log: gets the line.
    """

    def __init__(self, shared: SharedParts[Connection], access_log: AccessLog) -> None:
        super().__init__(shared)
        self._access_log: Final = access_log
        self._record: AccessRecord | None = None

    def connectionMade(self) -> None:
        """The socket is accepted; count from now on."""
        super().connectionMade()
        self._log_as(self._access_log.begin(self.peer))

    def resume(self, conversation: Conversation, silent: float = 0.0) -> None:
        """Go on with a connection of another process; count on."""
        super().resume(conversation, silent)
        if self.ticket is not None:
            # The other process may not have had an access log.
            self._log_as(self.ticket.record or self._access_log.begin(self.peer))

    def _log_as(self, record: AccessRecord) -> None:
        if self.ticket is not None and self.outbox is not None:
            self.ticket.record = self._record = record
            self.outbox.count_sent(record.on_sent)

    def dataReceived(self, data: bytes) -> None:
        """Count and read bytes of the client."""
        if self._record is not None:
            self._record.received += len(data)
        super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The socket is gone: log the end."""
        record, self._record = self._record, None
        conversation = self.conversation
        if record is not None:
            record.address = self.address
            if conversation is not None:
                record.user = conversation.identity.user
                subscriber = conversation.subscriber
                record.session = "" if subscriber is None else subscriber.session_id
            # The function that counts refers to the transport, and the transport to it.
            del self.transport.write
        super().connectionLost(reason)
        if record is not None:
            self._access_log.end(record, (self.reason or CloseReason.PEER_LOST).code)


class WebSocketEdge(Factory):
    """Makes the connections of all WebSocket listeners and keeps track of them.

    :param settings: the ``[websocket]`` table.
    :param limits: what one client may use.
    :param admission: limits on how many connections are open.
    :param authenticator: finds out the identities of clients.
    :param connect_hook: has the last word on whether a client may connect; None for nobody.
    :param routes: what is said under which path.
    :param fanout: the path to the outboxes.
    :param backpressure: notified of bytes that wait for clients.
    :param memory: counts what connections make the node keep.
    :param ledger: counts how connections end.
    :param now: returns the time in seconds since the epoch, for the expiry of identities.
    :param reactor: for timers.
    :param access_log: gets a line for each ended connection; None for no access log.
    """

    noisy = False

    def __init__(
        self,
        *,
        settings: WebSocketSettings,
        limits: ClientLimits,
        admission: Admission,
        authenticator: Authenticator,
        connect_hook: ConnectHook | None,
        routes: Routes,
        fanout: Fanout,
        backpressure: Backpressure,
        memory: Memory,
        ledger: Ledger,
        now: Callable[[], float],
        reactor: Any,
        access_log: AccessLog | None = None,
    ) -> None:
        self._access_log = access_log
        # As keys: for each of 10,000, a set takes 23 bytes more.
        self._connections: Final[dict[Connection, None]] = {}
        shortest = min(
            settings.handshake_timeout,
            settings.ping_interval,
            settings.silence_timeout - settings.ping_interval,
        )
        self.timer_wheel = TimerWheel(reactor, min(1.0, shortest / 4))
        self._reactor = reactor
        self._all_lost: Deferred[None] | None = None
        self.shared = SharedParts(
            settings=settings,
            limits=limits,
            rules=OpeningRules(
                settings=settings,
                routes=routes,
                authenticator=authenticator,
                connect_hook=connect_hook,
                memory=memory,
                server=SERVER,
            ),
            admission=admission,
            timer_wheel=self.timer_wheel,
            fanout=fanout,
            backpressure=backpressure,
            read_turns=ReadTurns(fanout, backpressure, reactor.seconds, reactor.callLater),
            ledger=ledger,
            now=now,
            on_made=self._connections.setdefault,
            on_lost=self._on_lost,
        )

    @property
    def connections(self) -> AbstractSet[Connection]:
        """The live view of the connections that are not lost, in the order of their arrival."""
        return self._connections.keys()

    def start(self) -> None:
        """Start the timers of connections."""
        self.timer_wheel.start()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Make the connection of an accepted socket; far beyond a limit, one that ends at once."""
        return self.build_for_host(str(getattr(addr, "host", None) or "unix socket"))

    def build_for_host(self, peer: str) -> Any:
        """Make the connection of a socket; see :func:`.slim_sockets.accept_slim`.

        :param peer: the address at the other end of the socket.
        """
        self.shared.ledger.connections_opened += 1
        reason = self.shared.admission.rejects(peer)
        if reason is not None:
            self.shared.ledger.end(reason, peer)
            if self._access_log is not None:
                self._access_log.end(self._access_log.begin(peer), reason.code)
            return RejectedConnection()
        return self._make()

    def _make(self) -> Connection:
        if self._access_log is not None:
            return LoggedConnection(self.shared, self._access_log)
        return Connection(self.shared)

    def arrive(self, descriptor: int, state: ConnectionState, body: memoryview) -> Arrival:
        """Go on with a connection of another process; see :func:`.connection_state.arrive`."""
        try:
            return arrive(self._make(), descriptor, state, body, self._reactor)
        except OSError:
            # The client has gone on the way.
            if self._access_log is not None and state.ticket is not None:
                record = record_of(state.ticket) or self._access_log.begin(state.ticket.address)
                self._access_log.end(record, CloseReason.PEER_LOST.code)
            raise

    def snapshot_budgets(self) -> Sequence[Sequence[Any]]:
        """Return how many messages addresses may send, for another process."""
        return self.shared.admission.budgets.snapshot(self.timer_wheel.seconds)

    def restore_budgets(self, budgets: Iterable[Sequence[Any]]) -> None:
        """Take how many messages addresses may send from another process."""
        self.shared.admission.budgets.restore(budgets, self.timer_wheel.seconds)

    def stop(self, patience: float) -> Deferred[None]:
        """End all connections, a few at a time, each once everything queued for it is sent.

        They end without a Close frame: a clean close would end pages for good (AutobahnJS retries
        unclean ends only).

        :param patience: seconds after which clients that have not read everything are dropped.
        :returns: fires when all connections are lost.
        """
        self.shared.admission.stop()
        self.shared.fanout.flush_all()
        all_lost: Deferred[None] = Deferred()
        timer = self._reactor.callLater(patience, self._abort_all)

        def on_all_lost(result: None) -> None:
            if timer.active():
                timer.cancel()
            self.timer_wheel.stop()

        all_lost.addCallback(on_all_lost)
        if not self.connections:
            all_lost.callback(None)
            return all_lost
        self._all_lost = all_lost
        per_step = max(
            LEAST_PER_STEP, len(self.connections) * STEP_SECONDS / (PACED_PART * patience or 1.0)
        )
        self._end_some(list(self.connections), ceil(per_step))
        return all_lost

    def _end_some(self, connections: list[Connection], count: int) -> None:
        """End some connections, and the others a step later, so that not all come back at once."""
        for connection in connections[:count]:
            if connection in self.connections:
                connection.end(CloseReason.SERVER_STOPPED)
        rest = [each for each in connections[count:] if each in self.connections]
        if rest:
            self._reactor.callLater(STEP_SECONDS, self._end_some, rest, count)

    def _on_lost(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        if self._all_lost is not None and not self.connections:
            self._all_lost.callback(None)
            self._all_lost = None

    def _abort_all(self) -> None:
        for connection in list(self.connections):
            connection.transport.abortConnection()
