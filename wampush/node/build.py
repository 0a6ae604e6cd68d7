"""The parts of one node, put together.

Owns: which part gets which other one. Only ``service`` may import it, and late: importing txzmq
installs a reactor, and making a ZeroMQ context starts threads. Neither may happen before twistd has
chosen its reactor and forked. What a setting turns on is imported with it, because every upgrade
waits for what a node imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from wampush.apps.chain import ChainLink
from wampush.apps.components.registry import Components
from wampush.apps.python.loading import load_apps
from wampush.broker.access.policy import Publishing
from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.durable_publishing import DurablePublishing
from wampush.broker.history.journal import Journal
from wampush.broker.history.late_journal import LateJournal
from wampush.broker.presence.presence import Presence
from wampush.broker.requests.handler import RequestHandler
from wampush.config.settings import Settings
from wampush.edges.access_log import AccessLog
from wampush.edges.acknowledged_pushes import AcknowledgedPushes
from wampush.edges.auth.authenticator import Authenticator
from wampush.edges.http.files import shared_client_files
from wampush.edges.redis.sources import RedisSources
from wampush.edges.sse.route import PATH, EventStreamRoute
from wampush.edges.topic_route import PATHS, TopicRoute
from wampush.edges.websocket.admission import Admission
from wampush.edges.websocket.component import ComponentRoute
from wampush.edges.websocket.conversation import PlainRoute, Routes
from wampush.edges.websocket.message_budgets import ClientLimits, MessageBudgets
from wampush.edges.websocket.server import SERVER, WebSocketEdge
from wampush.edges.websocket.wamp_v1 import WampRoute
from wampush.edges.zeromq.pull_sockets import PullSockets
from wampush.log_limit import LogLimiter
from wampush.net.origins import Origins
from wampush.net.trusted_proxies import Proxies
from wampush.node.apps import NodeApps
from wampush.node.backplane import NodeBackplane
from wampush.node.core import Core, make_core, make_requests
from wampush.node.history import history_reader
from wampush.node.monitoring.all_nodes import AllNodes
from wampush.node.monitoring.collector_pauses import CollectorPauses
from wampush.node.monitoring.inspection import Inspection
from wampush.node.monitoring.loop_lag import LoopLag
from wampush.node.monitoring.replacements import Replacements
from wampush.node.sources import (
    acknowledged_pushes,
    join_over_redis,
    pull_sockets,
    redis_sources,
)
from wampush.wamp.session import PrefixLimits
from wampush.wamp.uris import DIALECTS

if TYPE_CHECKING:
    from wampush.edges.backplane.redis_bus import RedisBus
    from wampush.node.webhooks import NodeWebhooks

_log = Logger(namespace="wampush.node")
_broker_log = Logger(namespace="wampush.broker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The parts that a service starts and stops.

    :param core: the broker and what belongs to it.
    :param requests: handles the messages of clients.
    :param authenticator: determines the identities of clients.
    :param websocket: the factory for WebSocket listeners.
    :param pull: the ZeroMQ sockets.
    :param redis: the sources in Redis.
    :param acknowledged_pushes: pushes over HTTP, whose senders wait for a response.
    :param components: plain WebSocket components, each with a path of its own.
    :param apps: application code in Python.
    :param webhooks: requests to the web application; None where none are configured.
    :param inspection: what operators may see.
    :param all_nodes: likewise of all nodes; ends sessions.
    :param loop_lag: measures how late the event loop is.
    :param collector_pauses: measures the pauses of the garbage collector.
    :param access_log: gets a line for each ended connection; None where it is off.
    :param late_journal: stores the publications of durable topics once another process does not;
        None where none does.
    :param replacements: counts upgrades and reloads.
    """

    core: Core
    requests: RequestHandler
    authenticator: Authenticator
    websocket: WebSocketEdge
    pull: PullSockets
    redis: RedisSources
    acknowledged_pushes: AcknowledgedPushes
    components: Components
    apps: NodeApps
    webhooks: NodeWebhooks | None
    inspection: Inspection
    all_nodes: AllNodes
    loop_lag: LoopLag
    access_log: AccessLog | None
    late_journal: LateJournal | None
    collector_pauses: CollectorPauses = field(default_factory=CollectorPauses)
    replacements: Replacements = field(default_factory=Replacements)

    @property
    def broker(self) -> Broker:
        """Delivers publications to receivers."""
        return self.core.broker

    @property
    def backpressure(self) -> Backpressure:
        """Pauses sources while clients cannot keep up."""
        return self.core.backpressure

    @property
    def presence(self) -> Presence:
        """Which users are online."""
        return self.core.presence

    @property
    def durable(self) -> DurablePublishing | None:
        """What stores publications to durable topics; None where no topic is durable."""
        return self.core.durable

    @property
    def backplane(self) -> NodeBackplane | None:
        """What joins the node to others; None for a single node."""
        return self.core.backplane

    @property
    def redis_bus(self) -> RedisBus | None:
        """The link to other nodes over Redis; None for a single node."""
        if self.backplane is None:
            return None
        from wampush.edges.backplane.redis_bus import RedisBus

        bus = self.backplane.bus
        return bus if isinstance(bus, RedisBus) else None

    def open_journal(self) -> None:
        """Open the database of durable topics, which another process has closed.

        :raises OperatorError: it cannot be used.
        """
        if self.late_journal is not None:
            self.late_journal.open()

    def start_measuring(self) -> None:
        """Measure the event loop and the garbage collector from now on."""
        self.loop_lag.start()
        self.collector_pauses.start()

    def stop_measuring(self) -> None:
        """Measure no longer."""
        self.loop_lag.stop()
        self.collector_pauses.stop()

    def set_publishing(self, publishing: Publishing) -> None:
        """Set which clients may PUBLISH where no permission decides."""
        self.broker.policy = self.broker.policy.with_publishing(publishing)


def build(
    settings: Settings,
    reactor: Any,
    max_connections: int,
    folder: Path | None = None,
    *,
    before_database: Callable[[], object] = lambda: None,
    takes_over: bool = False,
    name: str = "",
) -> Node:
    """Return a node; its clients may not publish until :meth:`Node.set_publishing` is called.

    :param settings: all of them.
    :param reactor: for timers and the end of a turn (``IReactorTime``).
    :param max_connections: of WebSocket clients at the same time.
    :param folder: of the configuration file; application code may be next to it.
    :param before_database: called last before the database of durable topics is opened.
    :param takes_over: whether another process has it until this node takes its sessions over.
    :param name: what people call the node; "" for the name of the machine.
    :raises OperatorError: application code, or a file that the settings name, cannot be used.
    """
    loaded_apps = load_apps(settings.apps, folder)
    authenticator = Authenticator(settings, reactor, time)
    journal = _journal(settings, reactor, before_database, takes_over=takes_over)
    join = partial(join_over_redis, settings, reactor) if settings.backplane.url else None
    core = make_core(settings, reactor, journal=journal, join=join, node_name=name)
    components, webhooks = _components(core, folder), _webhooks(core)
    apps, requests = make_requests(core, loaded_apps, _others(webhooks), authenticator)
    routes = _routes(core, requests, apps, components)
    access = AccessLog(reactor.callLater) if settings.log.access else None
    websocket = _websocket(core, max_connections, authenticator, apps, routes, access_log=access)
    redis = redis_sources(core)
    inspection = _inspection(core, requests, websocket, redis, webhooks)
    return Node(
        core=core,
        requests=requests,
        authenticator=authenticator,
        websocket=websocket,
        pull=pull_sockets(core),
        redis=redis,
        acknowledged_pushes=acknowledged_pushes(core),
        components=components,
        apps=apps,
        webhooks=webhooks,
        inspection=inspection,
        all_nodes=AllNodes(inspection, core.ends, core.broker.nodes),
        loop_lag=LoopLag(reactor.seconds, reactor.callLater),
        access_log=access,
        late_journal=journal if isinstance(journal, LateJournal) else None,
    )


def _journal(
    settings: Settings, reactor: Any, before_database: Callable[[], object], *, takes_over: bool
) -> Journal | None:
    """Return what stores the publications of durable topics; None without such topics."""
    if not any(each.durable for each in settings.topics):
        return None
    from wampush.edges.storage.sqlite_database import SqliteDatabase
    from wampush.edges.storage.sqlite_journal import SqliteJournal

    def open_journal() -> Journal:
        """Return the journal over the database, which nobody else may have open."""
        database = SqliteDatabase(Path(settings.history.database))
        _log.info(
            "durable topics: the database is {path}, with {topics} topics",
            path=str(database.path),
            topics=database.topic_count,
        )
        return SqliteJournal(database, reactor.callFromThread)

    if takes_over:
        return LateJournal(open_journal)
    before_database()
    return open_journal()


def _components(core: Core, folder: Path | None) -> Components:
    settings = core.settings
    limits = settings.limits
    return Components(
        routes=settings.routes,
        folder=folder,
        max_pending=limits.pending_per_session,
        max_pending_bytes=limits.pending_bytes_per_session,
        memory=core.broker.memory,
        call_later=core.reactor.callLater,
    )


def _webhooks(core: Core) -> NodeWebhooks | None:
    if not core.settings.webhooks.url:
        return None
    from wampush.node.webhooks import NodeWebhooks

    return NodeWebhooks(
        settings=core.settings.webhooks,
        reactor=core.reactor,
        ingest=core.ingest,
        broker=core.broker,
        backpressure=core.backpressure,
    )


def _others(webhooks: NodeWebhooks | None) -> Sequence[ChainLink]:
    """Return the applications that are asked after those in Python."""
    return () if webhooks is None else (webhooks.application,)


def _routes(core: Core, requests: RequestHandler, apps: NodeApps, components: Components) -> Routes:
    settings = core.settings
    ledger = requests.broker.ledger
    websocket, limits = settings.websocket, settings.limits
    wamp = WampRoute(
        handler=requests,
        dialect=DIALECTS[websocket.dialect],
        server=SERVER,
        prefixes=PrefixLimits(limits.prefixes_per_session, limits.topic_bytes),
        require_subprotocol=websocket.require_subprotocol,
    )
    by_path = {
        route.path: ComponentRoute(
            host,
            ledger,
            Origins(route.origins, websocket.allow_null_origin) if route.origins else None,
            route.subprotocols,
        )
        for route, host in zip(settings.routes, components.hosts, strict=True)
    }
    for route in settings.routes:
        _log.info(
            "serving component {component} at {path}", path=route.path, component=route.component
        )
    plain = _plain_routes(core, requests, apps)
    return Routes(wamp, by_path, plain, shared_client_files())


def _plain_routes(core: Core, requests: RequestHandler, apps: NodeApps) -> Mapping[str, PlainRoute]:
    application, settings = apps.application, core.settings
    retry = settings.websocket.event_stream_retry
    return {
        PATH: EventStreamRoute(requests, retry),
        PATHS: TopicRoute(
            requests.broker,
            history_reader(settings, requests.broker),
            lambda: application is not None and application.judges_subscribing,
        ),
    }


def _websocket(
    core: Core,
    max_connections: int,
    authenticator: Authenticator,
    apps: NodeApps,
    routes: Routes,
    *,
    access_log: AccessLog | None,
) -> WebSocketEdge:
    settings, limits = core.settings, core.settings.limits
    application = apps.application
    decides = application is not None and application.judges_connecting
    of_client = ClientLimits(
        settings.clients.queue_bytes, limits.messages_per_second, limits.message_burst
    )
    return WebSocketEdge(
        settings=settings.websocket,
        limits=of_client,
        admission=Admission(
            max_connections=max_connections,
            max_per_address=limits.connections_per_address,
            max_per_user=limits.connections_per_user,
            origins=Origins(settings.websocket.origins, settings.websocket.allow_null_origin),
            proxies=_proxies(settings),
            budgets=MessageBudgets(of_client, limits.messages_per_second_per_address),
        ),
        authenticator=authenticator,
        connect_hook=application if decides else None,
        routes=routes,
        fanout=core.broker.fanout,
        backpressure=core.backpressure,
        memory=core.broker.memory,
        ledger=core.broker.ledger,
        now=time,
        reactor=core.reactor,
        access_log=access_log,
    )


def _proxies(settings: Settings) -> Proxies:
    limiter = LogLimiter(monotonic)

    def report(problem: str) -> None:
        suffix = limiter.suffix()
        if suffix is not None:
            _log.warn(
                "{problem}; the client counts under the proxy's address{suffix}",
                problem=problem,
                suffix=suffix,
            )

    return Proxies.of(settings.proxy.trusted, settings.proxy.header, report)


def _inspection(
    core: Core,
    requests: RequestHandler,
    websocket: WebSocketEdge,
    redis: RedisSources,
    webhooks: NodeWebhooks | None,
) -> Inspection:
    return Inspection(
        requests=requests,
        connections=lambda: len(websocket.connections),
        redis=redis.status,
        backplane=None if core.backplane is None else core.backplane.status,
        webhooks=None if webhooks is None else webhooks.application.status,
    )
