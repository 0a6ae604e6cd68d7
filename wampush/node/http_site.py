"""The HTTP edge of a node, put together.

Owns: which parts of a node answer HTTP requests.
Must not import: the service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any

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
from wampush.node.monitoring.node_state import NodeState
from wampush.node.monitoring.readiness import Problems, Readiness
from wampush.node.monitoring.scrape import Metrics
from wampush.node.monitoring.serving import Serving, ServingState


def make_site(
    settings: Settings,
    node: Node,
    reactor: Any,
    *,
    websocket_url: Callable[[str], str | None],
    failed_tls_handshakes: Callable[[], int],
    listeners: Problems,
    serving: Serving,
) -> BoundedSite:
    """Return what an endpoint serves: publishing, health, metrics, demo and static files.

    :param settings: all of them.
    :param node: which is published to and shown.
    :param reactor: for timers (``IReactorTime``).
    :param websocket_url: returns the URL that pages of a host connect to.
    :param failed_tls_handshakes: returns how many have failed.
    :param listeners: returns the WebSocket listeners, each with its problem.
    :param serving: whether the node drains or stops.
    :raises OperatorError: the file of the token or the static files cannot be read.
    """
    readiness = Readiness(serving, _parts(settings, node, listeners))
    metrics = _metrics(settings, node, readiness, failed_tls_handshakes, lambda: len(site.channels))
    view = _view(settings, node, metrics, readiness, serving, websocket_url)
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
) -> Metrics:
    """Return the metrics of a node."""
    pushes = node.acknowledged_pushes
    return Metrics(
        NodeState(
            broker=node.broker,
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
        )
    )


def _parts(settings: Settings, node: Node, listeners: Problems) -> Mapping[str, Problems]:
    """Return the parts that must be ready, by the names of ``/readyz``."""
    # What cannot be loaded stops the start.
    applications = [*settings.apps, *(route.component for route in settings.routes)]
    return {
        "websocket": listeners,
        "zeromq": node.pull.problems,
        "redis": node.redis.problems,
        "journal": lambda: _journal_problems(settings, node),
        "applications": lambda: [(name, "") for name in applications],
    }


def _journal_problems(settings: Settings, node: Node) -> list[tuple[str, str]]:
    durable = node.broker.durable
    return [] if durable is None else [(settings.history.database, durable.problem)]


def _view(
    settings: Settings,
    node: Node,
    metrics: Metrics,
    readiness: Readiness,
    serving: Serving,
    websocket_url: Callable[[str], str | None],
) -> HttpView:
    """Return what the port shows of a node."""
    return HttpView(
        status=_status(node, serving),
        probed=readiness,
        refusals=node.inspection.refusals,
        refused_handshake=node.inspection.refused_handshake,
        session=node.inspection.session,
        websocket_url=websocket_url,
        push_address=node.pull.local_address,
        metrics=metrics.text,
        listed=node.inspection,
        topic=_topic(settings, node),
        watch=node.inspection.watch,
    )


def _topic(settings: Settings, node: Node) -> Callable[[str, str], Answer]:
    """Return the function that answers requests for a topic as operators see it."""
    answers = TopicAnswers(history_reader(settings, node.broker, marks_restricted=True))

    def answer(target: str, if_none_match: str) -> Answer:
        return answers.respond(topic_request(target), None, if_none_match)

    return answer


def _limits(settings: Settings) -> HttpLimits:
    proxies = Proxies.of(settings.proxy.trusted)
    return HttpLimits(
        connections=settings.http.max_connections,
        per_address=settings.http.connections_per_address,
        body_bytes=settings.pushes.max_message_bytes,
        counted_as=lambda address: None if proxies.trusts(address) else counting_key(address),
    )


def _status(node: Node, serving: Serving) -> Callable[[], Mapping[str, object]]:
    """Return the function that makes the body of ``/healthz``."""
    started = monotonic()

    def status() -> Mapping[str, object]:
        return {
            "status": "stopping" if serving.state is ServingState.STOPPING else "ok",
            "version": __version__,
            "uptime": round(monotonic() - started, 3),
            **node.inspection.status(),
        }

    return status
