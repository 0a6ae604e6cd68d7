"""The parts of one node, put together.

Owns: which object gets which other one. Only ``service`` may import it, late: importing txzmq
installs the reactor, and making a ZeroMQ context starts threads, neither of which may happen before
twistd has chosen its reactor and forked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from typing import Any

from twisted.logger import Logger
from txzmq import ZmqFactory

from wampush.apps.components.registry import Components
from wampush.broker.access.auto_subscribe import AutoSubscribe
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Policy, Publishing, TopicRule
from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.hub import Hub
from wampush.broker.identity import Identity
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Ledger, Source
from wampush.broker.presence.presence import Presence
from wampush.broker.presence.timing import Clock
from wampush.broker.requests.checks import RequestChecks, RequestLimits
from wampush.broker.requests.handler import RequestHandler
from wampush.broker.requests.presence import PresenceProcedures
from wampush.broker.router import Router
from wampush.broker.subscriber import Subscriber
from wampush.config.settings import Settings
from wampush.edges.acknowledged_pushes import AcknowledgedPushes
from wampush.edges.auth.authenticator import Authenticator
from wampush.edges.redis.sources import RedisSources
from wampush.edges.websocket.admission import Admission
from wampush.edges.websocket.component import ComponentRoute
from wampush.edges.websocket.connection import ClientLimits
from wampush.edges.websocket.conversation import Routes
from wampush.edges.websocket.opening import ConnectHook
from wampush.edges.websocket.server import SERVER, WebSocketEdge
from wampush.edges.websocket.wamp_v1 import WampRoute
from wampush.edges.zeromq.pull import PullSockets
from wampush.edges.zeromq.security import ZmqSecurity
from wampush.net.origins import Origins, Proxies
from wampush.node import apps as node_apps
from wampush.node.apps import NodeApps
from wampush.node.inspection import Inspection
from wampush.node.webhooks import NodeWebhooks
from wampush.wamp.session import PrefixLimits
from wampush.wamp.uris import DIALECTS

_log = Logger(namespace="wampush")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The parts that a service starts and stops.

    :param broker: from publications to receivers.
    :param clients: what clients ask for.
    :param pressure: when sources pause.
    :param presence: who is here.
    :param authenticator: who clients are.
    :param websocket: the factory for WebSocket listeners.
    :param pull: the ZeroMQ sockets.
    :param redis: what is published on channels of Redis.
    :param acknowledged_pushes: pushes over HTTP, whose senders wait for an answer.
    :param components: what is said under paths of their own.
    :param apps: application code in Python.
    :param webhooks: the application that is asked over HTTP; None where there is none.
    :param inspection: what operators may see.
    """

    broker: Broker
    clients: RequestHandler
    pressure: Backpressure
    presence: Presence
    authenticator: Authenticator
    websocket: WebSocketEdge
    pull: PullSockets
    redis: RedisSources
    acknowledged_pushes: AcknowledgedPushes
    components: Components
    apps: NodeApps
    webhooks: NodeWebhooks | None
    inspection: Inspection

    def set_publishing(self, publishing: Publishing) -> None:
        """Set which clients may PUBLISH where no permission decides."""
        self.broker.policy = self.broker.policy.with_publishing(publishing)


def build(settings: Settings, reactor: Any, most: int, folder: Path | None = None) -> Node:
    """Make a node; its clients may not publish until :meth:`Node.set_publishing` says so.

    :param settings: what is in force.
    :param reactor: for timers and the end of a turn (``IReactorTime``).
    :param most: connections at the same time.
    :param folder: of the configuration file, which application code may lie beside.
    :raises OperatorError: when application code can not be loaded.
    """
    components = _components(settings, folder, reactor)
    found = node_apps.load(settings.apps, folder)
    pressure = Backpressure(settings.limits.queued_bytes, reactor.callLater)
    broker, presence = _broker(settings, reactor, pressure)
    ingest = _ingest(settings)
    webhooks: NodeWebhooks | None = None
    if settings.webhooks.url:
        webhooks = NodeWebhooks(settings.webhooks, reactor, ingest, broker, pressure)
    authenticator = Authenticator(settings, reactor, time)

    def become(subscriber: Subscriber, identity: Identity) -> None:
        # The procedures that change an identity are made before the handler that does the work.
        clients.become(subscriber, identity)

    apps = NodeApps(
        settings=settings,
        apps=found,
        others=() if webhooks is None else (webhooks.application,),
        broker=broker,
        presence=presence,
        authenticator=authenticator,
        become=become,
        reactor=reactor,
    )
    clients = _clients(settings, broker, presence, apps)
    application = apps.application
    routes = _routes(settings, clients, components)
    hook = application if application is not None and application.judges_connecting else None
    websocket = _websocket(settings, reactor, most, authenticator, hook, routes, broker, pressure)
    pull = _pull(settings, ingest, broker, pressure)
    redis = RedisSources(
        settings.redis_source,
        ingest=ingest,
        broker=broker,
        backpressure=pressure,
        queue_bytes=settings.clients.queue_bytes,
        reactor=reactor,
    )
    acknowledged_pushes = AcknowledgedPushes(
        Source.HTTP, ingest, broker, pressure, reactor.callLater
    )
    inspection = Inspection(
        requests=clients,
        connections=lambda: len(websocket.connections),
        redis=redis.status,
        webhooks=None if webhooks is None else webhooks.application.status,
    )
    return Node(
        broker=broker,
        clients=clients,
        pressure=pressure,
        presence=presence,
        authenticator=authenticator,
        websocket=websocket,
        pull=pull,
        redis=redis,
        acknowledged_pushes=acknowledged_pushes,
        components=components,
        apps=apps,
        webhooks=webhooks,
        inspection=inspection,
    )


def _broker(settings: Settings, reactor: Any, pressure: Backpressure) -> tuple[Broker, Presence]:
    def report(line: str) -> None:
        _log.warn("{line}", line=line)

    def end_of_turn(flush: Callable[[], None]) -> None:
        reactor.callLater(0, flush)

    ledger = Ledger(time, report)
    hub: Hub[Subscriber] = Hub()
    rules = [TopicRule(each.match, each.slow_client, each.presence) for each in settings.topics]
    policy = Policy(Publishing.NOBODY, rules, _permissions(settings))
    router = Router(hub, Fanout(end_of_turn, pressure, ledger), policy)
    clock = Clock(reactor.seconds, reactor.callLater)
    presence = Presence(router, settings.presence.grace, clock)
    return Broker(router, ledger, presence, _automatic(settings, report)), presence


def _automatic(settings: Settings, report: Callable[[str], None]) -> AutoSubscribe | None:
    """The topics that sessions get without asking; None where there are none."""
    patterns = settings.clients.auto_subscribe
    return AutoSubscribe(patterns, settings.limits.topic_bytes, report) if patterns else None


def _clients(
    settings: Settings, broker: Broker, presence: Presence, apps: NodeApps
) -> RequestHandler:
    limits = settings.limits
    allowed = RequestLimits(
        limits.topic_bytes,
        limits.subscriptions_per_session,
        limits.topics,
        limits.pending_per_session,
        limits.pending_bytes_per_session,
    )
    checks = RequestChecks(broker, allowed, apps.application, apps.reserved)
    listing = PresenceProcedures(presence, checks.may_learn, settings.presence.list_users)
    procedures = {**apps.procedures, **listing.procedures}
    return RequestHandler(broker, checks, procedures, apps.application)


def _permissions(settings: Settings) -> Permissions | None:
    """The permissions to ask; None where everybody may do the same, so that nobody has to."""
    clients = settings.clients
    if not settings.permissions and clients.subscribe == clients.call == "allow":
        return None
    defaults = default_decisions(clients.subscribe, clients.publish, clients.call)
    _log.info(
        "{count} entries of [[permissions]]; where none decides, {defaults}",
        count=len(settings.permissions),
        defaults=", ".join(decision.why for decision in defaults.values()),
    )
    return Permissions(settings.permissions, defaults, monotonic)


def _components(settings: Settings, folder: Path | None, reactor: Any) -> Components:
    limits = settings.limits
    return Components(
        settings.routes,
        folder,
        limits.pending_per_session,
        limits.pending_bytes_per_session,
        reactor.callLater,
    )


def _routes(settings: Settings, clients: RequestHandler, components: Components) -> Routes:
    ledger = clients.broker.ledger
    websocket, limits = settings.websocket, settings.limits
    wamp = WampRoute(
        handler=clients,
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
        _log.info("{path} speaks {component}", path=route.path, component=route.component)
    return Routes(wamp, by_path)


def _websocket(
    settings: Settings,
    reactor: Any,
    most: int,
    authenticator: Authenticator,
    connect_hook: ConnectHook | None,
    routes: Routes,
    broker: Broker,
    pressure: Backpressure,
) -> WebSocketEdge:
    limits = settings.limits
    return WebSocketEdge(
        settings=settings.websocket,
        limits=ClientLimits(
            settings.clients.queue_bytes, limits.messages_per_second, limits.message_burst
        ),
        admission=Admission(
            max_connections=most,
            max_per_address=limits.connections_per_address,
            max_per_user=limits.connections_per_user,
            origins=Origins(settings.websocket.origins, settings.websocket.allow_null_origin),
            proxies=Proxies.of(settings.proxy.trusted),
        ),
        authenticator=authenticator,
        connect_hook=connect_hook,
        routes=routes,
        fanout=broker.fanout,
        backpressure=pressure,
        ledger=broker.ledger,
        now=time,
        reactor=reactor,
    )


def _ingest(settings: Settings) -> Ingest:
    pushes = settings.pushes
    return Ingest(pushes.topic_key, pushes.max_message_bytes, settings.limits.topic_bytes)


def _pull(
    settings: Settings, ingest: Ingest, broker: Broker, pressure: Backpressure
) -> PullSockets:
    zmq = settings.zmq
    return PullSockets(
        zmq.pull,
        high_water_mark=zmq.high_water_mark,
        ingest=ingest,
        broker=broker,
        backpressure=pressure,
        queue_bytes=settings.clients.queue_bytes,
        factory=ZmqFactory(),
        security=ZmqSecurity(zmq, broker.ledger),
    )
