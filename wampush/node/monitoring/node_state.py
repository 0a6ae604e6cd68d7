"""What the metrics of a node are read from.

Owns: the parts that the readers of metrics see. Must not import: Twisted, ZeroMQ, the edges; values
that the broker does not have are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from wampush.broker.backplane.contract import Bus
from wampush.broker.backplane.control import Control
from wampush.broker.backplane.interest import Interest
from wampush.broker.backplane.plain_topics import PlainTopics
from wampush.broker.broker import Broker
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.durable_publishing import DurablePublishing
from wampush.broker.mirrors.shared_topics import SharedTopics
from wampush.durations import Durations
from wampush.node.monitoring.replacements import Replacements


class KnownPushIds(Protocol):
    """The ids of pushes that are known, so that each is published once."""

    size: int
    forgotten: int

    def __len__(self) -> int:
        """Return how many there are."""


class JoinedNode(Protocol):
    """What joins a node to others."""

    @property
    def bus(self) -> Bus:
        """The link."""

    @property
    def control(self) -> Control:
        """What nodes say to each other besides publications."""

    @property
    def interest(self) -> Interest:
        """The topics that are followed."""

    @property
    def plain(self) -> PlainTopics:
        """The publications to topics without history."""

    @property
    def not_propagated(self) -> int:
        """How many publications may have reached the clients of this node only."""

    @property
    def kept(self) -> SharedTopics | None:
        """The topics with history; None where no topic has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """What the metrics are read from.

    :param broker: sessions, topics, and its ledger.
    :param durable: stores what is published to durable topics; None where no topic is durable.
    :param backplane: joins the node to others; None for a single node.
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
    :param worker: the number of this one of several workers.
    :param workers: how many there are.
    :param loop_lag: how late the event loop was.
    :param collector_pauses: how long the garbage collector has stopped the process.
    """

    broker: Broker
    durable: DurablePublishing | None
    backplane: JoinedNode | None
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
    worker: int
    workers: int
    loop_lag: Durations
    collector_pauses: Durations
