"""What a node counts, for Prometheus.

Owns: the names, kinds, labels and explanations of the metrics, and the text of a scrape.
Must not import: Twisted, ZeroMQ, the edges; what the broker does not know is handed in.

The registry is our own. The global one of prometheus_client would add figures of the process and of
Python that nobody asked for, and others in the same process could add to it, too.

Values are read when they are asked for, so that counting costs nothing in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from wampush import __version__
from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.ledger import Source
from wampush.choices import SlowClient
from wampush.errors import CloseReason

#: The values of a metric: those of its labels, in their order, and the number.
Values = Iterable[tuple[Sequence[str], float]]


@dataclass(frozen=True, slots=True)
class Measured:
    """What is measured.

    :param broker: sessions, topics, and its ledger.
    :param pressure: what waits.
    :param queued_limit: bytes that may wait in all queues together.
    :param connections: how many connections the WebSocket listeners have.
    :param http_connections: how many the HTTP port has.
    :param redis: the state of each source in Redis, as ``/healthz`` shows it.
    """

    broker: Broker
    pressure: Backpressure
    queued_limit: int
    connections: Callable[[], int]
    http_connections: Callable[[], int]
    redis: Callable[[], Sequence[Mapping[str, object]]]


@unique
class Kind(Enum):
    """How a value changes: a gauge goes up and down, a counter only up, until a restart."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    :param name: as Prometheus stores it, with its unit; of a counter with ``_total``.
    :param kind: gauge or counter.
    :param labels: the names of its labels.
    :param about: what it tells; one sentence.
    :param read: its values now.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    about: str
    read: Callable[[Measured], Values]

    def family(self, measured: Measured) -> Family:
        """The metric with its values, as prometheus_client writes them."""
        family: CounterMetricFamily | GaugeMetricFamily
        if self.kind is Kind.COUNTER:
            name = self.name.removesuffix("_total")
            family = CounterMetricFamily(name, self.about, labels=self.labels)
        else:
            family = GaugeMetricFamily(self.name, self.about, labels=self.labels)
        for labels, value in self.read(measured):
            family.add_metric(labels, value)
        return family


def _one(read: Callable[[Measured], float]) -> Callable[[Measured], Values]:
    """The reader of a metric without labels."""
    return lambda measured: [((), read(measured))]


def _by_source(counts: Mapping[Source, int]) -> Values:
    # Those that are still 0 as well: a rate begins with the first sample.
    return [((source.value,), counts.get(source, 0)) for source in Source]


def _refused(measured: Measured) -> Values:
    for (source, refusal), count in measured.broker.ledger.refused.items():
        yield (source.value, refusal.code), count


def _ended(measured: Measured) -> Values:
    ended = measured.broker.ledger.ended
    return [((reason.code,), ended.get(reason, 0)) for reason in CloseReason]


def _dropped(measured: Measured) -> Values:
    dropped = measured.broker.ledger.dropped_events
    policies = [each.value for each in SlowClient if each is not SlowClient.DISCONNECT]
    return [((policy,), dropped.get(policy, 0)) for policy in policies]


def _redis_connected(measured: Measured) -> Values:
    # Two entries may name the same Redis, and a metric must not appear twice with the same labels.
    connected: dict[str, bool] = {}
    for each in measured.redis():
        redis = str(each["redis"])
        connected[redis] = connected.get(redis, True) and each["state"] == "connected"
    return [((redis,), float(state)) for redis, state in connected.items()]


METRICS: Final = (
    Metric(
        "wampush_build_info",
        Kind.GAUGE,
        ("version",),
        "Always 1; the label tells the version.",
        lambda _: [((__version__,), 1)],
    ),
    Metric(
        "wampush_sessions",
        Kind.GAUGE,
        (),
        "Open WAMP sessions.",
        _one(lambda measured: len(measured.broker.sessions)),
    ),
    Metric(
        "wampush_users",
        Kind.GAUGE,
        (),
        "Users with at least one open session.",
        _one(lambda measured: measured.broker.people.user_count),
    ),
    Metric(
        "wampush_connections",
        Kind.GAUGE,
        (),
        "TCP connections to the WebSocket listeners, including handshakes under way.",
        _one(lambda measured: measured.connections()),
    ),
    Metric(
        "wampush_http_connections",
        Kind.GAUGE,
        (),
        "TCP connections to the HTTP port; the one of the scrape is among them.",
        _one(lambda measured: measured.http_connections()),
    ),
    Metric(
        "wampush_topics",
        Kind.GAUGE,
        (),
        "Topics with at least one subscriber.",
        _one(lambda measured: measured.broker.hub.topic_count),
    ),
    Metric(
        "wampush_subscriptions",
        Kind.GAUGE,
        (),
        "Pairs of session and topic.",
        _one(lambda measured: measured.broker.hub.subscription_count),
    ),
    Metric(
        "wampush_inputs_received_total",
        Kind.COUNTER,
        ("source",),
        "Inputs that were dealt with: pushes, messages of clients, connections of backends.",
        lambda measured: _by_source(measured.broker.ledger.received),
    ),
    Metric(
        "wampush_inputs_accepted_total",
        Kind.COUNTER,
        ("source",),
        "Inputs that were carried out.",
        lambda measured: _by_source(measured.broker.ledger.accepted),
    ),
    Metric(
        "wampush_inputs_refused_total",
        Kind.COUNTER,
        ("source", "reason"),
        "Inputs that were refused, by reason; it has no zeros.",
        _refused,
    ),
    Metric(
        "wampush_connections_ended_total",
        Kind.COUNTER,
        ("reason",),
        "Connections that ended, or were never opened.",
        _ended,
    ),
    Metric(
        "wampush_events_dropped_total",
        Kind.COUNTER,
        ("policy",),
        "Events left out for slow clients, by the rule of their topics.",
        _dropped,
    ),
    Metric(
        "wampush_queued_bytes",
        Kind.GAUGE,
        (),
        "Bytes that wait for clients that take no more at the moment.",
        _one(lambda measured: measured.pressure.total),
    ),
    Metric(
        "wampush_queued_limit_bytes",
        Kind.GAUGE,
        (),
        "Bytes that may wait in all, as limits.queued_bytes says.",
        _one(lambda measured: measured.queued_limit),
    ),
    Metric(
        "wampush_paused",
        Kind.GAUGE,
        (),
        "1 while pushes pause, else 0.",
        _one(lambda measured: measured.pressure.paused),
    ),
    Metric(
        "wampush_pauses_total",
        Kind.COUNTER,
        (),
        "How often pushes paused because clients could not keep up.",
        _one(lambda measured: measured.pressure.pauses),
    ),
    Metric(
        "wampush_redis_connected",
        Kind.GAUGE,
        ("redis",),
        "1 while each source in this Redis is connected, else 0.",
        _redis_connected,
    ),
)
"""All metrics, in the order of ``docs/reference/metrics.md``, which repeats this table."""


class _Scrape(Collector):
    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    def describe(self) -> Iterator[Family]:
        """Nothing in advance, so that registering reads no values."""
        return iter(())

    def collect(self) -> Iterator[Family]:
        """All metrics with their values now."""
        for metric in METRICS:
            yield metric.family(self._measured)


class Metrics:
    """The metrics of a node.

    :param measured: where their values come from.
    """

    def __init__(self, measured: Measured) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Scrape(measured))

    def text(self) -> bytes:
        """A scrape in the text format of Prometheus; our names fit its version 0.0.4, too."""
        return generate_latest(self._registry)
