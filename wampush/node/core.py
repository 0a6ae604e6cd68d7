"""The broker of a node, its applications, and the handler of what clients ask for.

Owns: how these are put together; none of them needs a socket, so that they also run in tests
without one.
Must not import: ZeroMQ, whose import installs a reactor; ``node.build``, ``node.service``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.history.journal import Journal, MemoryJournal
from wampush.broker.identity import Identity
from wampush.broker.ingest import Ingest
from wampush.broker.ledger import Ledger
from wampush.broker.memory import Memory, MemoryLimits
from wampush.broker.occupancy import Occupancy
from wampush.broker.presence.delay_queue import Clock
from wampush.broker.presence.presence import Presence
from wampush.broker.requests.authorization import RequestChecks, RequestLimits
from wampush.broker.requests.handler import RequestHandler
from wampush.broker.requests.presence import PresenceProcedures
from wampush.broker.router import Router
from wampush.broker.subscriber import Subscriber
from wampush.broker.subscription_index import SubscriptionIndex
from wampush.broker.topic_rules import TopicRule, TopicRules
from wampush.config.settings import Settings
from wampush.edges.auth.authenticator import Authenticator
from wampush.node.apps import NodeApps
from wampush.node.history import (
    durable_publishing,
    gap_replays,
    history_procedures,
    memory_history,
    replays,
)

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
    """

    settings: Settings
    reactor: Any
    now: Callable[[], float]
    broker: Broker
    presence: Presence
    backpressure: Backpressure
    ingest: Ingest


def make_core(
    settings: Settings,
    reactor: Any,
    *,
    now: Callable[[], float] = time,
    elapsed: Callable[[], float] = monotonic,
    journal: Journal | None = None,
) -> Core:
    """Return the broker and what belongs to it.

    :param settings: all of them.
    :param reactor: for timers and the end of a turn (``IReactorTime``).
    :param now: the time of day, in seconds since the epoch.
    :param elapsed: seconds of a clock that never goes back, for the rates of permissions.
    :param journal: stores the publications of durable topics; None keeps them in memory.
    :raises OperatorError: what is stored cannot be read.
    """
    journal = MemoryJournal(reactor.callLater) if journal is None else journal

    ledger = Ledger(now, _report)
    backpressure = _backpressure(settings, reactor)
    router = Router(
        SubscriptionIndex(),
        Fanout(partial(reactor.callLater, 0), backpressure, ledger),
        Policy(Publishing.NOBODY, _permissions(settings, elapsed)),
        _topic_rules(settings),
        memory_history(settings, now, reactor.seconds, journal.forget),
    )
    clock = Clock(reactor.seconds, reactor.callLater)
    presence = Presence(router, settings.presence.grace, clock)
    stored = replays(settings, router, ledger)
    return Core(
        settings=settings,
        reactor=reactor,
        now=now,
        broker=Broker(
            router,
            ledger,
            presence,
            _automatic(settings),
            memory=_memory(settings),
            occupancy=Occupancy(settings.presence.topic_grace, clock),
            replays=stored,
            durable=durable_publishing(journal, router, backpressure, ledger, reactor.callLater),
            gaps=gap_replays(settings, stored, router, reactor.seconds),
        ),
        presence=presence,
        backpressure=backpressure,
        ingest=_ingest(settings),
    )


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
