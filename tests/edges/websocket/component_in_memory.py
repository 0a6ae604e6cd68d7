"""A WebSocket edge that serves one component only: no WAMP, no broker, no ZeroMQ, no HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from tests.apps.sample_components import Scripted
from tests.edges.websocket.in_memory import ADDRESS, Frame, MemoryTransport, frames, masked, request
from tests.support.log_lines import reporting_to
from wampush.apps.component import Component
from wampush.apps.components.host import ComponentHost
from wampush.apps.incidents import Incidents
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.identity import Identity
from wampush.broker.ledger import Ledger
from wampush.broker.memory import UNLIMITED, Memory
from wampush.config.settings import Settings
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.auth.authenticator import Authenticator
from wampush.edges.websocket.admission import Admission
from wampush.edges.websocket.component import ComponentRoute
from wampush.edges.websocket.connection import Connection
from wampush.edges.websocket.conversation import Routes
from wampush.edges.websocket.message_budgets import ClientLimits, MessageBudgets
from wampush.edges.websocket.opening_handshake import ConnectHook
from wampush.edges.websocket.server import WebSocketEdge
from wampush.net.origins import Origins
from wampush.net.trusted_proxies import Proxies


@dataclass
class Client:
    """The far end of one connection."""

    edge: ComponentEdge
    connection: Connection
    transport: Any

    def send(self, data: bytes) -> None:
        """Deliver bytes in one read."""
        if not self.transport.disconnecting:
            self.connection.dataReceived(data)
        self.edge.turn()

    def text(self, text: str) -> None:
        """Send a text message."""
        self.send(masked(text.encode()))

    def take(self) -> bytes:
        """What the server has sent since the last look."""
        self.edge.turn()
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def frames(self) -> list[Frame]:
        """The same, split into frames."""
        return frames(self.take())

    def texts(self) -> list[str]:
        """The same, which must be text messages only."""
        found = self.frames()
        assert {frame.first for frame in found} <= {0x81}
        return [frame.payload.decode() for frame in found]

    def shake(self, *more: str, **how: Any) -> bytes:
        """Request a WebSocket; return the server's whole response."""
        how.setdefault("subprotocol", None)
        self.send(request(*more, **how))
        return self.take()

    def lose(self) -> None:
        """The TCP connection is gone."""
        self.transport.connected = False
        self.connection.connectionLost()
        self.edge.turn()


@dataclass
class ComponentEdge:
    """An edge with one component for every path."""

    component: Component = field(default_factory=Scripted)
    settings: WebSocketSettings = field(default_factory=WebSocketSettings)
    #: Who every client is; None for nobody in particular, which is not asked for.
    identity: Identity | None = None
    queue_bytes: int = 1_048_576
    per_second: float = 1000.0
    burst: int = 100_000
    origins: Origins | None = None
    subprotocols: tuple[str, ...] = ()
    connect_hook: ConnectHook | None = None

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        self.ledger = Ledger(self.clock.seconds, reporting_to(self.lines.append))
        pressure = Backpressure(2**28, self.clock.callLater)
        fanout = Fanout(
            lambda flush: self.clock.callLater(0, flush),
            pressure,
            self.ledger,
            seconds=self.clock.seconds,
        )
        memory = Memory(UNLIMITED)
        self.host = ComponentHost(
            name="shop:Chat",
            component=self.component,
            max_pending=100,
            max_pending_bytes=2**20,
            numbers=count(1),
            incidents=Incidents(self.clock.seconds),
            call_later=self.clock.callLater,
            memory=memory,
        )
        own = Origins(self.settings.origins, self.settings.allow_null_origin)
        authenticator: Any = Authenticator(Settings(), self.clock, self.clock.seconds)
        if self.identity is not None:
            authenticator.all_anonymous = False
            authenticator.authenticate = lambda _: succeed(self.identity)
        self.route = ComponentRoute(self.host, self.ledger, self.origins, self.subprotocols)
        limits = ClientLimits(self.queue_bytes, self.per_second, self.burst)
        self.edge = WebSocketEdge(
            settings=self.settings,
            limits=limits,
            admission=Admission(
                max_connections=1000,
                max_per_address=0,
                max_per_user=0,
                origins=own,
                proxies=Proxies(()),
                budgets=MessageBudgets(limits, 2000.0),
            ),
            authenticator=authenticator,
            connect_hook=self.connect_hook,
            routes=Routes(self.route),
            fanout=fanout,
            backpressure=pressure,
            memory=memory,
            ledger=self.ledger,
            now=self.clock.seconds,
            reactor=self.clock,
        )
        self.edge.start()

    def turn(self) -> None:
        """The end of a reactor turn."""
        self.clock.advance(0)

    def connect(self) -> Client:
        """A TCP connection, accepted."""
        connection = self.edge.buildProtocol(ADDRESS)
        transport = MemoryTransport()
        connection.makeConnection(transport)
        return Client(self, connection, transport)

    def open(self, *more: str, **how: Any) -> Client:
        """A client after its handshake; what the component sent at once is not taken yet."""
        client = self.connect()
        answer = client.shake(*more, **how)
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), answer
        client.transport.write(rest)
        return client

    def pass_time(self, seconds: float) -> None:
        """Time goes by in steps shorter than a tick."""
        for _ in range(int(seconds * 2)):
            self.clock.advance(0.5)
