"""The metrics: what they count, and what Prometheus reads from a scrape."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock

from tests.edges.websocket.in_memory import MemoryNode, masked
from tests.support.daemon import Daemon
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE, eventually
from wampush import __version__
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.identity import Identity
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.config.settings import Settings
from wampush.config.tables.topics import TopicSettings
from wampush.durations import Durations
from wampush.edges import push_ids
from wampush.errors import CloseReason
from wampush.node.core import make_core
from wampush.node.monitoring.metric import Histogram
from wampush.node.monitoring.metrics import METRICS, _of_durable
from wampush.node.monitoring.node_state import NodeState
from wampush.node.monitoring.replacements import Replacements
from wampush.node.monitoring.scrape import Metrics

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class MeasuredNode:
    """A node in memory with its metrics."""

    def __init__(self, *topics: TopicSettings) -> None:
        self.node = MemoryNode(topics=topics)
        self.redis: list[dict[str, object]] = []
        self.loop_lag, self.collector_pauses = Durations(), Durations()
        self.replacements = Replacements()
        self.metrics = Metrics(
            NodeState(
                broker=self.node.broker,
                durable=self.node.node.durable,
                backplane=self.node.node.backplane,
                backpressure=self.node.pressure,
                queued_limit=5000,
                connections=lambda: len(self.node.edge.connections),
                http_connections=lambda: 3,
                backends=lambda: 4,
                redis=lambda: self.redis,
                failed_tls_handshakes=lambda: 4,
                held_pushes=lambda: self.node.node.acknowledged_pushes.held,
                push_ids=self.node.node.acknowledged_pushes.ids,
                ready=lambda: {"websocket": True, "redis": False},
                replacements=self.replacements,
                worker=2,
                workers=4,
                loop_lag=self.loop_lag,
                collector_pauses=self.collector_pauses,
            )
        )

    def samples(self) -> Samples:
        """Every sample of a scrape; none may appear twice."""
        found: Samples = {}
        for family in text_string_to_metric_families(self.metrics.text().decode()):
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                assert key not in found
                found[key] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float | None:
        """One sample."""
        return self.samples().get((name, tuple(sorted(labels.items()))))


@pytest.fixture
def measuring() -> MeasuredNode:
    return MeasuredNode()


def test_the_page_explains_every_label() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    labels = {label for each in METRICS for label in each.labels}
    values = dict(re.findall(r"^\| `([a-z]+)` \| ([^|]+) \|$", text, re.MULTILINE))
    assert values.keys() == labels
    assert {source.value for source in Source} <= set(re.findall("`(.+?)`", values["source"]))


def test_names_follow_the_conventions() -> None:
    for each in METRICS:
        assert re.fullmatch(r"wampush(_[a-z]+)+", each.name)
        assert each.name.endswith("_total") is (each.kind.value == "counter")
        assert each.documentation.endswith(".")
    assert len({each.name for each in METRICS}) == len(METRICS)


def test_a_scrape_has_type_and_help_of_each_metric(measuring: MeasuredNode) -> None:
    measuring.node.open().send(masked(b"{"))
    measuring.redis = [{"redis": "redis://a:1", "state": "connected"}]
    families = {
        family.name: family
        for family in text_string_to_metric_families(measuring.metrics.text().decode())
    }
    assert len(families) == len(METRICS)
    for each in METRICS:
        family = families[each.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (each.kind.value, each.documentation)
        assert family.samples
        for sample in family.samples:
            if isinstance(each, Histogram):
                assert sample.name.removeprefix(each.name) in ("_bucket", "_sum", "_count")
                assert set(sample.labels) <= {"le"}
            else:
                assert sample.name == each.name
                assert set(sample.labels) == set(each.labels)


def test_upgrades_and_what_became_of_sessions(measuring: MeasuredNode) -> None:
    assert measuring.value("wampush_upgrades_total", kind="reload", outcome="failed") == 0
    measuring.replacements.note("upgrade", is_done=True)
    measuring.replacements.note("reload", is_done=False)
    measuring.replacements.note_sessions(moved=7, not_moved=2)
    assert measuring.value("wampush_upgrades_total", kind="upgrade", outcome="done") == 1
    assert measuring.value("wampush_upgrades_total", kind="upgrade", outcome="failed") == 0
    assert measuring.value("wampush_upgrades_total", kind="reload", outcome="failed") == 1
    assert measuring.value("wampush_sessions_moved_total", outcome="moved") == 7
    assert measuring.value("wampush_sessions_moved_total", outcome="not-moved") == 2


def test_sessions_connections_and_topics(measuring: MeasuredNode) -> None:
    first, second = measuring.node.open(), measuring.node.open()
    measuring.node.connect()
    for peer, topic in ((first, "a"), (first, "b"), (second, "a")):
        peer.subscribe(topic)
    assert measuring.value("wampush_build_info", version=__version__) == 1
    assert measuring.value("wampush_sessions") == 2
    assert measuring.value("wampush_connections") == 3
    assert measuring.value("wampush_http_connections") == 3
    assert measuring.value("wampush_backend_connections") == 4
    assert measuring.value("wampush_topics") == 2
    assert measuring.value("wampush_subscriptions") == 3
    assert measuring.value("wampush_users") == 0
    for peer in (first, second):
        peer.become(Identity("7", source="token"))
    assert measuring.value("wampush_users") == 1
    second.lose()
    assert measuring.value("wampush_subscriptions") == 2


def test_inputs_by_source_and_reason(measuring: MeasuredNode) -> None:
    for source in Source:
        for kind in ("received", "accepted"):
            assert measuring.value(f"wampush_inputs_{kind}_total", source=source.value) == 0
    peer = measuring.node.open()
    peer.subscribe("a")
    for _ in range(2):
        peer.send(masked(b"{"))
    measuring.node.node.acknowledged_pushes.publish([b"a", b"{"], "127.0.0.1").addErrback(
        lambda _: None
    )
    for name, received, accepted in (("client", 3, 1), ("http", 1, 0)):
        assert measuring.value("wampush_inputs_received_total", source=name) == received
        assert measuring.value("wampush_inputs_accepted_total", source=name) == accepted
    refused = {
        key: value
        for key, value in measuring.samples().items()
        if key[0] == "wampush_inputs_refused_total"
    }
    assert refused == {
        (
            "wampush_inputs_refused_total",
            (("reason", "message-not-json"), ("source", "client")),
        ): 2,
        ("wampush_inputs_refused_total", (("reason", "not-json"), ("source", "http"))): 1,
    }


def test_deliveries_and_what_was_opened(measuring: MeasuredNode) -> None:
    peers = [measuring.node.open() for _ in range(3)]
    measuring.node.connect()
    for peer in peers:
        peer.subscribe("news")
    for payload in (b"1", b"22"):
        measuring.node.node.acknowledged_pushes.publish([b"news", payload], "127.0.0.1")
    measuring.node.node.acknowledged_pushes.publish([b"nobody", b"1"], "127.0.0.1")
    measuring.node.broker.fanout.flush_all()
    assert measuring.value("wampush_deliveries_total") == 6
    assert measuring.value("wampush_delivered_bytes_total") == 3 * len("news1news22")
    assert measuring.value("wampush_connections_opened_total") == 4
    assert measuring.value("wampush_sessions_opened_total") == 3
    for source, count in (("http", 1), ("zeromq", 0), ("redis", 0), ("webhook", 0)):
        found = measuring.value("wampush_pushes_without_receivers_total", source=source)
        assert found == count


def test_ends_by_reason(measuring: MeasuredNode) -> None:
    for reason in CloseReason:
        assert measuring.value("wampush_connections_ended_total", reason=reason.code) == 0
    measuring.node.open().lose()
    assert measuring.value("wampush_connections_ended_total", reason="peer-lost") == 1


def test_dropped_events(measuring: MeasuredNode) -> None:
    assert measuring.value("wampush_events_dropped_total", policy="latest") == 0
    measuring.node.ledger.drop_event("latest", 3)
    assert measuring.value("wampush_events_dropped_total", policy="latest") == 3
    assert measuring.value("wampush_events_dropped_total", policy="drop-newest") == 0


def test_backlog_and_pauses(measuring: MeasuredNode) -> None:
    pressure = measuring.node.pressure
    assert measuring.value("wampush_paused") == 0
    assert measuring.value("wampush_queued_limit_bytes") == 5000
    pressure.on_queued(500)
    pressure.hold(Hold.FLUSHING)
    assert measuring.value("wampush_paused") == 1
    assert measuring.value("wampush_queued_bytes") == 500
    assert measuring.value("wampush_pauses_total") == 0
    pressure.hold_for([])
    assert measuring.value("wampush_pauses_total") == 1


def test_queues_of_clients_that_read_slowly(measuring: MeasuredNode) -> None:
    names = ("wampush_blocked_clients", "wampush_queued_chunks", "wampush_queued_bytes")
    slow, fast = measuring.node.open(), measuring.node.open()
    for peer in (slow, fast):
        peer.subscribe("t")
    slow.subscriber.outbox.block(in_flight=1)
    for number in range(3):
        measuring.node.publish("t", b"%d" % number)
    blocked, chunks, size = (measuring.value(name) for name in names)
    assert (blocked, chunks) == (1, len(slow.subscriber.outbox.chunks))
    assert chunks
    assert size == slow.subscriber.outbox.queued
    slow.lose()
    assert [measuring.value(name) for name in names] == [0, 0, 0]


def test_pushes_that_are_held(measuring: MeasuredNode) -> None:
    assert measuring.value("wampush_held_pushes") == 0
    measuring.node.pressure.hold(Hold.FLUSHING)
    measuring.node.node.acknowledged_pushes.publish([b"t", b"1"], "127.0.0.1")
    assert measuring.value("wampush_held_pushes") == 1
    measuring.node.pressure.release(Hold.FLUSHING)
    measuring.node.clock.advance(0)
    assert measuring.value("wampush_held_pushes") == 0


def test_ids_of_pushes(measuring: MeasuredNode, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("wampush_push_ids", "wampush_push_ids_bytes", "wampush_push_ids_forgotten_total")
    pushes = measuring.node.node.acknowledged_pushes
    assert [measuring.value(name) for name in names] == [0, 0, 0]
    pushes.publish([b"t", b"1"], "127.0.0.1", "one")
    assert [measuring.value(name) for name in names] == [1, pushes.ids.size, 0]
    assert pushes.ids.size > 0
    monkeypatch.setattr(push_ids, "MAX_IDS", 1)
    pushes.publish([b"t", b"1"], "127.0.0.1", "two")
    assert [measuring.value(name) for name in names] == [1, pushes.ids.size, 1]


def test_durations(measuring: MeasuredNode) -> None:
    names = {
        "wampush_push_to_flush_seconds": measuring.node.broker.fanout.push_timer.durations,
        "wampush_loop_lag_seconds": measuring.loop_lag,
        "wampush_gc_pause_seconds": measuring.collector_pauses,
    }
    for name, durations in names.items():
        assert measuring.value(f"{name}_count") == 0
        durations.add(0.02, 3)
        durations.add(99)
        assert measuring.value(f"{name}_count") == 4
        assert measuring.value(f"{name}_sum") == pytest.approx(99.06)
        for bound, count in (("0.0001", 0), ("0.01", 0), ("0.025", 3), ("25", 3), ("+Inf", 4)):
            assert measuring.value(f"{name}_bucket", le=bound) == count


def test_redis_sources(measuring: MeasuredNode) -> None:
    states = ("a", "connected"), ("b", "connecting"), ("c", "connected"), ("c", "connecting")
    measuring.redis = [{"redis": redis, "state": state} for redis, state in states]
    for redis, connected in (("a", 1), ("b", 0), ("c", 0)):
        assert measuring.value("wampush_redis_connected", redis=redis) == connected


def test_nothing_comes_from_or_gets_into_the_global_registry(measuring: MeasuredNode) -> None:
    stranger: Any = prometheus_client.Counter("stranger", "Of another library.")
    try:
        stranger.inc()
        names = {name for name, _ in measuring.samples()}
        stored = {
            f"{each.name}{suffix}"
            for each in METRICS
            for suffix in (("_bucket", "_sum", "_count") if isinstance(each, Histogram) else ("",))
        }
        assert names <= stored
        of_all = prometheus_client.generate_latest(prometheus_client.REGISTRY)
        assert b"wampush" not in of_all
    finally:
        prometheus_client.REGISTRY.unregister(stranger)


def test_the_parts_of_a_daemon_are_ready(daemon: Daemon) -> None:
    with urllib.request.urlopen(f"{daemon.http_url}/readyz", timeout=PATIENCE) as response:
        report = json.load(response)
    assert report["status"] == "ready"
    parts = [(each["part"], each["name"]) for each in report["parts"]]
    assert parts == [("websocket", f"{daemon.websocket_url}/"), ("zeromq", daemon.zmq_address)]
    with urllib.request.urlopen(f"{daemon.http_url}/metrics", timeout=PATIENCE) as response:
        text = response.read().decode()
    for part in ("websocket", "zeromq", "redis", "backplane", "journal", "applications"):
        assert f'wampush_ready{{part="{part}"}} 1.0' in text
    eventually(
        lambda: urllib.request.urlopen(f"{daemon.http_url}/metrics", timeout=PATIENCE).read(),
        lambda scrape: b"wampush_loop_lag_seconds_count 0.0" not in scrape,
    )


def test_a_scrape_of_a_daemon(daemon: Daemon) -> None:
    with RawClient(daemon.websocket_port) as client:
        client.subscribe("t")
        with urllib.request.urlopen(f"{daemon.http_url}/metrics", timeout=PATIENCE) as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            text = response.read().decode()
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.labels
    }
    assert values["wampush_sessions"] == values["wampush_subscriptions"] == 1
    assert values["wampush_http_connections"] == 1
    assert values["wampush_queued_limit_bytes"] == 268_435_456
    eventually(lambda: daemon.health()["ends"], lambda ends: ends == {"peer-lost": 1})


def test_what_topics_keep() -> None:
    measuring = MeasuredNode()
    names = ("wampush_history_topics", "wampush_history_bytes", "wampush_history_evicted_total")
    assert [measuring.value(name) for name in names] == [0, 0, 0]
    measuring = MeasuredNode(TopicSettings("t", last=True))
    measuring.node.publish("t", b"1")
    replays = measuring.node.broker.replays
    assert replays is not None
    assert [measuring.value(name) for name in names] == [1, replays.history.size, 0]
    assert measuring.value("wampush_events_dropped_total", policy="replay") == 0


def test_durable_topics() -> None:
    measuring = MeasuredNode()
    names = ("wampush_durable_in_flight_bytes", "wampush_durable_failed_total")
    assert [measuring.value(name) for name in names] == [0, 0]
    durable = _of_durable(lambda durable: durable.size)
    core = make_core(Settings(topics=(TopicSettings("t", last=True, durable=True),)), Clock())
    core.broker.push(Source.ZEROMQ, Publication("t", b"1"))
    state: Any = core
    assert durable(state) == [((), 513.0)]


def test_gap_replays() -> None:
    measuring = MeasuredNode(TopicSettings("t", history=9, gap_replay=True))
    for _ in range(3):
        peer = measuring.node.open()
        peer.become(Identity("7"))
        peer.subscribe("t")
    assert measuring.samples()["wampush_gap_replays_total", ()] == 2
    assert MeasuredNode().samples()["wampush_gap_replays_total", ()] == 0
