"""The HTTP edge of a node, put together.

Owns: which parts of a node answer HTTP requests.
Must not import: the service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any, Final

from twisted.internet.defer import Deferred

from wampush import __version__
from wampush.config.settings import Settings
from wampush.edges.http.operator_access import HttpAccess
from wampush.edges.http.routes import HttpEdge, HttpView
from wampush.edges.http.site import BoundedSite, HttpLimits
from wampush.edges.topic_requests import Answer, TopicAnswers, topic_request
from wampush.errors import CloseReason
from wampush.net import secret_files
from wampush.net.addresses import counting_key
from wampush.net.trusted_proxies import Proxies
from wampush.node.build import Node
from wampush.node.history import history_reader
from wampush.node.monitoring.all_workers import joined
from wampush.node.monitoring.node_state import NodeState
from wampush.node.monitoring.nodes_status import nodes_status
from wampush.node.monitoring.readiness import Problems, Readiness
from wampush.node.monitoring.scrape import Metrics
from wampush.node.monitoring.serving import Serving, ServingState
from wampush.node.under_parent.siblings import Answers, Siblings

#: What workers ask each other.
_METRICS: Final = "metrics"


def make_site(
    settings: Settings,
    node: Node,
    reactor: Any,
    *,
    websocket_url: Callable[[str], str | None],
    failed_tls_handshakes: Callable[[], int],
    listeners: Problems,
    serving: Serving,
    siblings: Siblings | None = None,
) -> BoundedSite:
    """Return what an endpoint serves: publishing, health, metrics, demo and static files.

    :param settings: all of them.
    :param node: which is published to and shown.
    :param reactor: for timers (``IReactorTime``).
    :param websocket_url: returns the URL that pages of a host connect to.
    :param failed_tls_handshakes: returns how many have failed.
    :param listeners: returns the WebSocket listeners, each with its problem.
    :param serving: whether the node drains or stops.
    :param siblings: the other workers; None where there are none.
    :raises OperatorError: the file of the token or the static files cannot be read.
    """
    siblings = Siblings() if siblings is None else siblings
    worker = siblings.number
    readiness = Readiness(serving, _parts(settings, node, listeners), worker)
    metrics = _metrics(
        settings, node, readiness, failed_tls_handshakes, lambda: len(site.channels), worker
    )
    siblings.answer_with(_METRICS, metrics.text)
    status = _status(settings, node, serving, worker)
    scrape = _scrape(settings, metrics, siblings, reactor)
    view = _view(settings, node, scrape, readiness, status, websocket_url)
    access = HttpAccess(secret_files.http_token(settings.http.token_file))
    end = node.broker.ledger.end
    site = HttpEdge(view, node.acknowledged_pushes, access, _limits(settings)).site(
        reactor,
        on_rejected=partial(end, CloseReason.TOO_MANY_HTTP_CONNECTIONS),
        on_wrong_protocol=partial(end, CloseReason.WRONG_PROTOCOL),
        on_websocket=partial(end, CloseReason.WRONG_PORT),
        access_log=node.access_log,
        keeps_connections=serving.takes_more,
    )
    return site


def _metrics(
    settings: Settings,
    node: Node,
    readiness: Readiness,
    failed_tls_handshakes: Callable[[], int],
    http_connections: Callable[[], int],
    worker: int,
) -> Metrics:
    """Return the metrics of a node."""
    pushes = node.acknowledged_pushes
    return Metrics(
        NodeState(
            broker=node.broker,
            durable=node.durable,
            backplane=node.backplane,
            backpressure=node.backpressure,
            queued_limit=settings.limits.queued_bytes,
            connections=lambda: len(node.websocket.connections),
            http_connections=http_connections,
            backends=lambda: node.pull.connections,
            redis=node.redis.status,
            failed_tls_handshakes=failed_tls_handshakes,
            held_pushes=lambda: pushes.held,
            loop_lag=node.loop_lag.durations,
            collector_pauses=node.collector_pauses.durations,
            push_ids=pushes.ids,
            ready=readiness.by_part,
            replacements=node.replacements,
            worker=worker,
            workers=settings.process.workers,
        )
    )


def _scrape(
    settings: Settings, metrics: Metrics, siblings: Siblings, reactor: Any
) -> Callable[[], bytes | Deferred[bytes]]:
    """Return the function that makes the body of ``/metrics``."""

    def scrape() -> Deferred[bytes]:
        def join(others: Answers) -> bytes:
            # A worker that has no node is not asked.
            missing = dict.fromkeys(range(1, settings.process.workers + 1))
            return joined({**missing, **others, siblings.number: metrics.text()})

        return siblings.ask(_METRICS, reactor).addCallback(join)

    return scrape if settings.process.workers > 1 else metrics.text


def _parts(settings: Settings, node: Node, listeners: Problems) -> Mapping[str, Problems]:
    """Return the parts that must be ready, by the names of ``/readyz``."""
    # What cannot be loaded stops the start.
    applications = [*settings.apps, *(route.component for route in settings.routes)]
    return {
        "websocket": listeners,
        "zeromq": node.pull.problems,
        "redis": node.redis.problems,
        "backplane": lambda: [] if node.backplane is None else node.backplane.problems(),
        "journal": lambda: _journal_problems(settings, node),
        "applications": lambda: [(name, "") for name in applications],
    }


def _journal_problems(settings: Settings, node: Node) -> list[tuple[str, str]]:
    durable = node.durable
    return [] if durable is None else [(settings.history.database, durable.problem)]


def _view(
    settings: Settings,
    node: Node,
    scrape: Callable[[], bytes | Deferred[bytes]],
    readiness: Readiness,
    status: Callable[[], Mapping[str, object]],
    websocket_url: Callable[[str], str | None],
) -> HttpView:
    """Return what the port shows of a node."""
    return HttpView(
        status=status,
        probed=readiness,
        refusals=node.inspection.refusals,
        refused_handshake=node.inspection.refused_handshake,
        websocket_url=websocket_url,
        push_address=node.pull.local_address,
        metrics=scrape,
        listed=node.all_nodes,
        topic=_topic(settings, node),
        watch=node.inspection.watch,
    )


def _topic(settings: Settings, node: Node) -> Callable[[str, str], Deferred[Answer]]:
    """Return the function that answers requests for a topic as operators see it."""
    answers = TopicAnswers(history_reader(settings, node.broker, marks_restricted=True))
    mirrors = node.broker.mirrors

    def answer(target: str, if_none_match: str) -> Deferred[Answer]:
        asked = topic_request(target)
        ready: Deferred[None] = Deferred()
        if mirrors is None:
            ready.callback(None)
        else:
            mirrors.call_when_readable(asked.topic, asked.since, partial(ready.callback, None))
        return ready.addCallback(lambda _: answers.respond(asked, None, if_none_match))

    return answer


def _limits(settings: Settings) -> HttpLimits:
    proxies = Proxies.of(settings.proxy.trusted)
    return HttpLimits(
        connections=settings.http.max_connections,
        per_address=settings.http.connections_per_address,
        body_bytes=settings.pushes.max_message_bytes,
        counted_as=lambda address: None if proxies.trusts(address) else counting_key(address),
    )


def _status(
    settings: Settings, node: Node, serving: Serving, worker: int
) -> Callable[[], Mapping[str, object]]:
    """Return the function that makes the body of ``/healthz``."""
    started = monotonic()

    def status() -> Mapping[str, object]:
        return {
            "status": "stopping" if serving.state is ServingState.STOPPING else "ok",
            "version": __version__,
            "uptime": round(monotonic() - started, 3),
            "worker": worker,
            "workers": settings.process.workers,
            **node.inspection.status(),
            **nodes_status(node.broker, node.core.reactor.seconds()),
        }

    return status
