"""The broker of a node, its applications, and the handler of what clients ask for.

Owns: how these are put together; none of them needs a socket, so that they also run in tests
without one.
Must not import: ZeroMQ, whose import installs a reactor; ``node.build``, ``node.service``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from socket import gethostname
from time import monotonic, time
from typing import Any

from twisted.logger import Logger

from wampush.apps import App
from wampush.apps.chain import ChainLink
from wampush.broker.access.auto_subscribe import AutoSubscribe
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Policy, Publishing
from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.delivery.direct_sends import SendEach
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.delivery.send_threads import SendThreads
from wampush.broker.durable_publishing import DurablePublishing
from wampush.broker.history.gaps import GapReplays
from wampush.broker.history.journal import Journal, MemoryJournal
from wampush.broker.history.replays import Replays
from wampush.broker.identity import Identity
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Ledger
from wampush.broker.memory import Memory, MemoryLimits
from wampush.broker.occupancy import Occupancy
from wampush.broker.occupancy.over_nodes import OccupancyOverNodes
from wampush.broker.presence.over_nodes import PresenceOverNodes
from wampush.broker.presence.presence import Presence
from wampush.broker.requests.authorization import RequestChecks, RequestLimits
from wampush.broker.requests.handler import RequestHandler
from wampush.broker.requests.presence import PresenceProcedures
from wampush.broker.router import Router
from wampush.broker.session_ends import SessionEnds
from wampush.broker.subscriber import Subscriber
from wampush.broker.subscription_index import SubscriptionIndex
from wampush.broker.topic_rules import TopicRule, TopicRules
from wampush.clock import Clock
from wampush.config.settings import Settings
from wampush.edges.auth.authenticator import Authenticator
from wampush.node.apps import NodeApps
from wampush.node.backplane import (
    JoinNodes,
    Joint,
    NodeBackplane,
    Surroundings,
    make_backplane,
)
from wampush.node.history import (
    durable_publishing,
    gap_replays,
    history_procedures,
    memory_history,
    replays,
    shared_topics,
)
from wampush.speedups import EXTENSION, threads_problem

_log = Logger(namespace="wampush.node")
_broker_log = Logger(namespace="wampush.broker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What the other parts share.

    :param settings: all of them.
    :param reactor: for timers and the end of a turn (``IReactorTime``).
    :param now: the time of day, in seconds since the epoch.
    :param broker: delivers publications to receivers.
    :param presence: which users are online.
    :param backpressure: pauses sources while clients cannot keep up.
    :param ingest: makes publications of pushes.
    :param durable: stores what is published to durable topics; None where no topic is durable.
    :param backplane: joins the node to others; None for a single node.
    :param ends: ends sessions at all nodes.
    """

    settings: Settings
    reactor: Any
    now: Callable[[], float]
    broker: Broker
    presence: Presence
    backpressure: Backpressure
    ingest: Ingest
    durable: DurablePublishing | None
    backplane: NodeBackplane | None
    ends: SessionEnds


def make_core(
    settings: Settings,
    reactor: Any,
    *,
    now: Callable[[], float] = time,
    elapsed: Callable[[], float] = monotonic,
    journal: Journal | None = None,
    join: JoinNodes | None = None,
    node_name: str = "",
) -> Core:
    """Return the broker and what belongs to it.

    :param settings: all of them.
    :param reactor: for timers and the end of a turn (``IReactorTime``).
    :param now: the time of day, in seconds since the epoch.
    :param elapsed: seconds of a clock that never goes back, for the rates of permissions.
    :param journal: stores the publications of durable topics; None keeps them in memory.
    :param join: makes what joins the node to others; None for a single node.
    :param node_name: what people call the node; "" for the name of the machine.
    :raises OperatorError: what is stored cannot be read.
    """
    journal = MemoryJournal(reactor.callLater) if journal is None else journal
    ledger = Ledger(now, _report)
    backpressure = _backpressure(settings, reactor)
    policy = Policy(Publishing.NOBODY, _permissions(settings, elapsed))
    fanout = _fanout(settings, reactor, backpressure, ledger)
    joint = None if join is None else join(fanout, backpressure)
    is_mirror = joint is not None and joint.open_store is not None
    history = memory_history(settings, now, reactor.seconds, journal.forget, is_mirror=is_mirror)
    router = Router(SubscriptionIndex(), fanout, policy, _topic_rules(settings), history)
    clock = Clock(reactor.seconds, reactor.callLater)
    durable = durable_publishing(journal, router, backpressure, ledger, reactor.callLater)
    stored = replays(settings, router, ledger)
    gaps = gap_replays(settings, stored, router, clock.seconds)
    around = _surroundings(settings, router, backpressure, ledger, clock)
    backplane = None if joint is None else _backplane(joint, around, stored, gaps, node_name)
    presence = _presence(settings, router, clock, backplane)
    broker = _broker(around, presence, durable, backplane, stored, gaps)
    return Core(
        settings=settings,
        reactor=reactor,
        now=now,
        broker=broker,
        presence=presence,
        backpressure=backpressure,
        ingest=_ingest(settings),
        durable=durable,
        backplane=backplane,
        ends=SessionEnds(broker, broker.nodes),
    )


def _fanout(settings: Settings, reactor: Any, backpressure: Backpressure, ledger: Ledger) -> Fanout:
    threads = _send_threads(settings.process.send_threads)
    return Fanout(
        partial(reactor.callLater, 0),
        backpressure,
        ledger,
        seconds=reactor.seconds,
        send_each=_send_each() if threads is None else threads.send_each,
        send_threads=threads,
    )


def _surroundings(
    settings: Settings, router: Router, backpressure: Backpressure, ledger: Ledger, clock: Clock
) -> Surroundings:
    return Surroundings(
        settings=settings, router=router, backpressure=backpressure, ledger=ledger, clock=clock
    )


def _backplane(
    joint: Joint,
    around: Surroundings,
    stored: Replays | None,
    gaps: GapReplays | None,
    name: str,
) -> NodeBackplane:
    keep = None
    if joint.open_store is not None and stored is not None:
        keep = partial(
            shared_topics,
            joint.open_store(stored.history.rules),
            replays=stored,
            gaps=gaps,
            router=around.router,
            backpressure=around.backpressure,
            ledger=around.ledger,
            clock=around.clock,
        )
    return make_backplane(joint, around, name or gethostname(), keep)


def _broker(
    around: Surroundings,
    presence: Presence,
    durable: DurablePublishing | None,
    backplane: NodeBackplane | None,
    stored: Replays | None,
    gaps: GapReplays | None,
) -> Broker:
    settings = around.settings
    kept = None if backplane is None else backplane.kept
    return Broker(
        around.router,
        around.ledger,
        presence,
        _automatic(settings),
        memory=_memory(settings),
        occupancy=_occupancy(settings, around.clock, backplane),
        replays=stored,
        # Settings exclude both: with several nodes, Redis keeps what is durable.
        indirect=durable if backplane is None else backplane.publishing,
        interest=None if backplane is None else backplane.interest,
        gaps=gaps,
        mirrors=None if kept is None else kept.mirrors,
        nodes=None if backplane is None else backplane.nodes,
    )


def _presence(
    settings: Settings, router: Router, clock: Clock, backplane: NodeBackplane | None
) -> Presence:
    grace = settings.presence.grace
    if backplane is None:
        return Presence(router, grace, clock)
    return PresenceOverNodes(router, grace, clock, backplane.nodes)


def _occupancy(settings: Settings, clock: Clock, backplane: NodeBackplane | None) -> Occupancy:
    grace = settings.presence.topic_grace
    if backplane is None:
        return Occupancy(grace, clock)
    return OccupancyOverNodes(grace, clock, backplane.nodes)


def _send_each() -> SendEach | None:
    """Return what sends to many outboxes at once; None without the extension."""
    send_each: SendEach | None = None if EXTENSION is None else EXTENSION.send_each
    return send_each


def _send_threads(count: int) -> SendThreads | None:
    """Return what shares the sends of a large fan-out; None if one thread does them."""
    alone = _send_each()
    if alone is None:
        if (problem := threads_problem(count)) is not None:
            _log.warn("{problem}", problem=problem)
        return None
    if count == 1:
        return None

    def start(threads: int) -> SendEach:
        together: SendEach = EXTENSION.SendThreads(threads).send_each
        return together

    return SendThreads(count, alone, start, partial(_log.error, "{problem}"))


def _backpressure(settings: Settings, reactor: Any) -> Backpressure:
    limits = settings.limits
    return Backpressure(limits.queued_bytes, reactor.callLater, limits.queued_bytes_per_address)


def _report(message: str, **fields: object) -> None:
    _broker_log.warn(message, **fields)


def _ingest(settings: Settings) -> Ingest:
    pushes = settings.pushes
    return Ingest(pushes.topic_key, pushes.max_message_bytes, settings.limits.topic_bytes)


def _topic_rules(settings: Settings) -> TopicRules:
    return TopicRules(
        [
            TopicRule(each.match, each.slow_client_in_force, each.presence)
            for each in settings.topics
        ]
    )


def _memory(settings: Settings) -> Memory:
    limits = settings.limits
    return Memory(
        MemoryLimits(
            limits.kept_bytes_per_session, limits.kept_bytes_per_address, limits.kept_bytes
        )
    )


def _permissions(settings: Settings, elapsed: Callable[[], float]) -> Permissions | None:
    """Return the permissions in force; None where all clients may do the same."""
    clients = settings.clients
    if not settings.permissions and clients.subscribe == clients.call == "allow":
        return None
    defaults = default_decisions(clients.subscribe, clients.publish, clients.call)
    _log.info(
        "permissions: {count} entries; where none decides, {defaults}",
        count=len(settings.permissions),
        defaults=", ".join(decision.why for decision in defaults.values()),
    )
    return Permissions(settings.permissions, defaults, elapsed)


def _automatic(settings: Settings) -> AutoSubscribe | None:
    """Return the topics that sessions get without asking; None where there are none."""
    patterns = settings.clients.auto_subscribe
    return AutoSubscribe(patterns, settings.limits.topic_bytes, _report) if patterns else None


def make_requests(
    core: Core,
    apps: Mapping[str, App],
    others: Sequence[ChainLink],
    authenticator: Authenticator,
) -> tuple[NodeApps, RequestHandler]:
    """Return the apps, and the handler of what clients ask for.

    :param apps: by their names.
    :param others: applications that are asked after the apps.
    :param authenticator: gives the procedures by which clients authenticate.
    :raises OperatorError: the apps and the settings do not fit together.
    """

    def become(subscriber: Subscriber, identity: Identity) -> None:
        # The procedures that change an identity are made before the handler that does the work.
        requests.become(subscriber, identity)

    node_apps = NodeApps(
        settings=core.settings,
        apps=apps,
        others=others,
        broker=core.broker,
        presence=core.presence,
        ends=core.ends,
        authenticator=authenticator,
        become=become,
        reactor=core.reactor,
        now=core.now,
    )
    requests = _requests(core, node_apps)
    return node_apps, requests


def _requests(core: Core, apps: NodeApps) -> RequestHandler:
    limits = core.settings.limits
    request_limits = RequestLimits(
        topic_bytes=limits.topic_bytes,
        subscriptions=limits.subscriptions_per_session,
        topics=limits.topics,
        pending=limits.pending_per_session,
        pending_bytes=limits.pending_bytes_per_session,
    )
    checks = RequestChecks(core.broker, request_limits, apps.application, apps.reserved)
    listing = PresenceProcedures(core.presence, checks.may_learn, core.settings.presence.list_users)
    keeping = history_procedures(core.settings, core.broker, checks.may_learn)
    procedures = {**apps.procedures, **listing.procedures, **keeping}
    return RequestHandler(core.broker, checks, procedures, apps.application)
