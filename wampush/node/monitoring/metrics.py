"""The metrics of a node, in the text format of Prometheus.

Owns: the names, types, labels and help texts of the metrics, and how each is read. Their text is
made by ``scrape``. Must not import: Twisted, ZeroMQ, the edges.

Values are read when they are scraped, so that counting costs nothing in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from wampush import __version__
from wampush.broker.durable_publishing import DurablePublishing
from wampush.broker.history.memory_history import MemoryHistory
from wampush.broker.history.replays import REPLAY
from wampush.broker.ledger import PUSH_SOURCES, Source
from wampush.choices import SlowClient
from wampush.errors import CloseReason
from wampush.node.monitoring.backplane_metrics import BACKPLANE_METRICS
from wampush.node.monitoring.metric import Histogram, Metric, MetricKind, Samples
from wampush.node.monitoring.node_state import NodeState
from wampush.node.monitoring.nodes_metrics import NODES_METRICS


def _single(read: Callable[[NodeState], float]) -> Callable[[NodeState], Samples]:
    """Return the reader of a metric without labels."""
    return lambda state: [((), read(state))]


def _by_source(counts: Mapping[Source, int]) -> Samples:
    # Zeros are included, because a rate begins with the first sample.
    return [((source.value,), counts.get(source, 0)) for source in Source]


def _refused(state: NodeState) -> Samples:
    for (source, refusal), count in state.broker.ledger.refused.items():
        yield (source.value, refusal.code), count


def _ended(state: NodeState) -> Samples:
    ended = state.broker.ledger.ended
    return [((reason.code,), ended.get(reason, 0)) for reason in CloseReason]


def _unheard(state: NodeState) -> Samples:
    unheard = state.broker.ledger.unheard
    return [((source.value,), unheard.get(source, 0)) for source in PUSH_SOURCES]


def _dropped(state: NodeState) -> Samples:
    dropped = state.broker.ledger.dropped_events
    choices = (SlowClient.DROP_NEWEST, SlowClient.LATEST, SlowClient.CATCH_UP)
    policies = [*(each.value for each in choices), REPLAY]
    return [((policy,), dropped.get(policy, 0)) for policy in policies]


def _sessions_moved(state: NodeState) -> Samples:
    counts = state.replacements
    return [(("moved",), counts.moved), (("not-moved",), counts.not_moved)]


def _of_durable(read: Callable[[DurablePublishing], float]) -> Callable[[NodeState], Samples]:
    return lambda state: [((), read(each) if (each := state.durable) else 0.0)]


def _of_history(read: Callable[[MemoryHistory], float]) -> Callable[[NodeState], Samples]:
    """Return the reader of a metric of what topics keep; 0 where no topic keeps anything."""
    return lambda state: [((), read(each.history) if (each := state.broker.replays) else 0.0)]


def _redis_connected(state: NodeState) -> Samples:
    # Two entries may name the same Redis, but a metric must not have two samples with the same
    # labels.
    connected: dict[str, bool] = {}
    for each in state.redis():
        redis = str(each["redis"])
        connected[redis] = connected.get(redis, True) and each["state"] == "connected"
    return [((redis,), float(state)) for redis, state in connected.items()]


METRICS: Final = (
    Metric(
        "wampush_build_info",
        MetricKind.GAUGE,
        ("version",),
        "Always 1; the version is in the label.",
        lambda _: [((__version__,), 1)],
    ),
    Metric(
        "wampush_worker_info",
        MetricKind.GAUGE,
        ("worker", "workers"),
        "Always 1; which of the workers of the server has answered is in the labels.",
        lambda state: [((str(state.worker), str(state.workers)), 1)],
    ),
    Metric(
        "wampush_ready",
        MetricKind.GAUGE,
        ("part",),
        "1 while a part of the node is ready, otherwise 0; /readyz says why.",
        lambda state: [((part,), float(ready)) for part, ready in state.ready().items()],
    ),
    Metric(
        "wampush_upgrades_total",
        MetricKind.COUNTER,
        ("kind", "outcome"),
        "Upgrades and reloads, done and failed, of this process and of those it has replaced.",
        lambda state: state.replacements.outcomes().items(),
    ),
    Metric(
        "wampush_sessions_moved_total",
        MetricKind.COUNTER,
        ("outcome",),
        "Sessions that upgrades have moved to a new process, and connections that could not move.",
        _sessions_moved,
    ),
    Metric(
        "wampush_sessions",
        MetricKind.GAUGE,
        (),
        "Open WAMP sessions.",
        _single(lambda state: len(state.broker.sessions)),
    ),
    Metric(
        "wampush_users",
        MetricKind.GAUGE,
        (),
        "Users with at least one open session.",
        _single(lambda state: state.broker.users.user_count),
    ),
    Metric(
        "wampush_connections",
        MetricKind.GAUGE,
        (),
        "TCP connections to the WebSocket listeners, including unfinished handshakes.",
        _single(lambda state: state.connections()),
    ),
    Metric(
        "wampush_http_connections",
        MetricKind.GAUGE,
        (),
        "TCP connections to the HTTP port, including the one of the scrape.",
        _single(lambda state: state.http_connections()),
    ),
    Metric(
        "wampush_backend_connections",
        MetricKind.GAUGE,
        (),
        "Connections to the bound ZeroMQ sockets, including unfinished handshakes.",
        _single(lambda state: state.backends()),
    ),
    Metric(
        "wampush_topics",
        MetricKind.GAUGE,
        (),
        "Topics with at least one subscriber.",
        _single(lambda state: state.broker.subscriptions.topic_count),
    ),
    Metric(
        "wampush_subscriptions",
        MetricKind.GAUGE,
        (),
        "Subscriptions of all sessions.",
        _single(lambda state: state.broker.subscriptions.subscription_count),
    ),
    Metric(
        "wampush_inputs_received_total",
        MetricKind.COUNTER,
        ("source",),
        "Inputs received: pushes, messages of clients, connections of backends.",
        lambda state: _by_source(state.broker.ledger.received),
    ),
    Metric(
        "wampush_inputs_accepted_total",
        MetricKind.COUNTER,
        ("source",),
        "Inputs accepted.",
        lambda state: _by_source(state.broker.ledger.accepted),
    ),
    Metric(
        "wampush_inputs_refused_total",
        MetricKind.COUNTER,
        ("source", "reason"),
        "Inputs refused, by reason; reasons that have not occurred are left out.",
        _refused,
    ),
    Metric(
        "wampush_connections_ended_total",
        MetricKind.COUNTER,
        ("reason",),
        "Connections that ended or were refused, by reason.",
        _ended,
    ),
    Metric(
        "wampush_tls_handshakes_failed_total",
        MetricKind.COUNTER,
        (),
        "TLS handshakes that failed.",
        _single(lambda state: state.failed_tls_handshakes()),
    ),
    Metric(
        "wampush_connections_opened_total",
        MetricKind.COUNTER,
        (),
        "TCP connections to the WebSocket listeners, including rejected ones.",
        _single(lambda state: state.broker.ledger.connections_opened),
    ),
    Metric(
        "wampush_sessions_opened_total",
        MetricKind.COUNTER,
        (),
        "WAMP sessions opened.",
        _single(lambda state: state.broker.ledger.sessions_opened),
    ),
    Metric(
        "wampush_deliveries_total",
        MetricKind.COUNTER,
        (),
        "Events times the sessions that they were queued for.",
        _single(lambda state: state.broker.ledger.deliveries),
    ),
    Metric(
        "wampush_delivered_bytes_total",
        MetricKind.COUNTER,
        (),
        "Bytes of topics and payloads queued for sessions, before framing and compression.",
        _single(lambda state: state.broker.ledger.delivered_bytes),
    ),
    Metric(
        "wampush_pushes_without_receivers_total",
        MetricKind.COUNTER,
        ("source",),
        "Pushes that were accepted and that no session received.",
        _unheard,
    ),
    Metric(
        "wampush_events_dropped_total",
        MetricKind.COUNTER,
        ("policy",),
        "Events dropped for slow clients, by the policy of their topics, and left out of replays.",
        _dropped,
    ),
    Metric(
        "wampush_history_topics",
        MetricKind.GAUGE,
        (),
        "Topics of which values or events are kept.",
        _of_history(lambda history: history.topic_count),
    ),
    Metric(
        "wampush_history_bytes",
        MetricKind.GAUGE,
        (),
        "Memory that kept values and events take; its limit is history.max_bytes.",
        _of_history(lambda history: history.size),
    ),
    Metric(
        "wampush_history_evicted_total",
        MetricKind.COUNTER,
        (),
        "Values and events removed because of history.max_bytes.",
        _of_history(lambda history: history.evicted),
    ),
    Metric(
        "wampush_durable_in_flight_bytes",
        MetricKind.GAUGE,
        (),
        "Publications to durable topics that are not stored and delivered yet.",
        _of_durable(lambda durable: durable.size),
    ),
    Metric(
        "wampush_durable_failed_total",
        MetricKind.COUNTER,
        (),
        "Publications to durable topics that could not be stored, so that nobody got them.",
        _of_durable(lambda durable: durable.failed),
    ),
    Metric(
        "wampush_gap_replays_total",
        MetricKind.COUNTER,
        (),
        "Subscriptions that began with events that earlier sessions of the user had not received.",
        _single(lambda state: 0 if state.broker.gaps is None else state.broker.gaps.replayed),
    ),
    Metric(
        "wampush_queued_bytes",
        MetricKind.GAUGE,
        (),
        "Bytes queued for clients that are not reading fast enough.",
        _single(lambda state: state.backpressure.total),
    ),
    Metric(
        "wampush_queued_chunks",
        MetricKind.GAUGE,
        (),
        "Parts of these bytes: one event each, or events of one topic and one turn together.",
        _single(lambda state: state.backpressure.queued_chunks),
    ),
    Metric(
        "wampush_blocked_clients",
        MetricKind.GAUGE,
        (),
        "Clients whose connections take no more data for now.",
        _single(lambda state: state.backpressure.blocked_clients),
    ),
    Metric(
        "wampush_held_pushes",
        MetricKind.GAUGE,
        (),
        "Pushes over HTTP that wait for the end of a pause, or for their turn.",
        _single(lambda state: state.held_pushes()),
    ),
    Metric(
        "wampush_push_ids",
        MetricKind.GAUGE,
        (),
        "Ids of pushes over HTTP that are known, so that each push is published once.",
        _single(lambda state: len(state.push_ids)),
    ),
    Metric(
        "wampush_push_ids_bytes",
        MetricKind.GAUGE,
        (),
        "Estimate of what these ids take, with the outcomes of their pushes.",
        _single(lambda state: state.push_ids.size),
    ),
    Metric(
        "wampush_push_ids_forgotten_total",
        MetricKind.COUNTER,
        (),
        "Ids forgotten before their 5 minutes were over, because there were too many.",
        _single(lambda state: state.push_ids.forgotten),
    ),
    Metric(
        "wampush_queued_limit_bytes",
        MetricKind.GAUGE,
        (),
        "Limit of queued bytes: limits.queued_bytes.",
        _single(lambda state: state.queued_limit),
    ),
    Metric(
        "wampush_kept_bytes",
        MetricKind.GAUGE,
        (),
        "Estimate of what clients make the node keep: subscriptions, prefixes, requests and "
        "messages that wait, unfinished input.",
        _single(lambda state: state.broker.memory.total),
    ),
    Metric(
        "wampush_kept_limit_bytes",
        MetricKind.GAUGE,
        (),
        "Limit of kept bytes: limits.kept_bytes.",
        _single(lambda state: state.broker.memory.limits.in_all),
    ),
    Metric(
        "wampush_paused",
        MetricKind.GAUGE,
        (),
        "1 while pushes are paused, otherwise 0.",
        _single(lambda state: state.backpressure.paused),
    ),
    Metric(
        "wampush_pauses_total",
        MetricKind.COUNTER,
        (),
        "Times that pushes were paused because clients could not keep up.",
        _single(lambda state: state.backpressure.pauses),
    ),
    Metric(
        "wampush_redis_connected",
        MetricKind.GAUGE,
        ("redis",),
        "1 while every source in this Redis is connected, otherwise 0.",
        _redis_connected,
    ),
    *NODES_METRICS,
    *BACKPLANE_METRICS,
    Histogram(
        "wampush_push_to_flush_seconds",
        "Time from the arrival of pushes until their events were handed to the sockets.",
        lambda state: state.broker.fanout.push_timer.durations,
    ),
    Histogram(
        "wampush_loop_lag_seconds",
        "How late the event loop fired a timer, measured every second.",
        lambda state: state.loop_lag,
    ),
    Histogram(
        "wampush_gc_pause_seconds",
        "How long collections of older generations by the garbage collector took.",
        lambda state: state.collector_pauses,
    ),
)
"""All metrics; the table in ``docs/reference/metrics.md`` is generated from them."""
