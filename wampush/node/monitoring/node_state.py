"""What the metrics of a node are read from.

Owns: the parts that the readers of metrics see. Must not import: Twisted, ZeroMQ, the edges; values
that the broker does not have are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.durations import Durations
from wampush.node.monitoring.replacements import Replacements


class KnownPushIds(Protocol):
    """The ids of pushes that are known, so that each is published once."""

    size: int
    forgotten: int

    def __len__(self) -> int:
        """Return how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """What the metrics are read from.

    :param broker: sessions, topics, and its ledger.
    :param backpressure: the backlog of all clients.
    :param queued_limit: bytes that may be queued for all clients together.
    :param connections: returns the number of connections to the WebSocket listeners.
    :param http_connections: returns the number of connections to the HTTP port.
    :param backends: returns the number of connections to the bound ZeroMQ sockets.
    :param failed_tls_handshakes: returns how many TLS handshakes have failed.
    :param redis: returns the state of each Redis source, as ``/healthz`` shows it.
    :param held_pushes: returns how many pushes over HTTP wait.
    :param push_ids: the ids of pushes over HTTP.
    :param ready: returns for each part of the node whether it is ready, as ``/readyz`` shows it.
    :param replacements: upgrades and reloads.
    :param loop_lag: how late the event loop was.
    :param collector_pauses: how long the garbage collector has stopped the process.
    """

    broker: Broker
    backpressure: Backpressure
    queued_limit: int
    connections: Callable[[], int]
    http_connections: Callable[[], int]
    backends: Callable[[], int]
    redis: Callable[[], Sequence[Mapping[str, object]]]
    failed_tls_handshakes: Callable[[], int]
    held_pushes: Callable[[], int]
    push_ids: KnownPushIds
    ready: Callable[[], Mapping[str, bool]]
    replacements: Replacements
    loop_lag: Durations
    collector_pauses: Durations
