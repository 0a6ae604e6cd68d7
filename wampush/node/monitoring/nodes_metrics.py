"""The metrics of several nodes together, as one of them knows them.

Owns: their names, help texts, and how each is read. Must not import: Twisted, ZeroMQ, the edges.

Every node shows them, with the same values a moment later; so they are not to be added up over
nodes. A single node shows them for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wampush.broker.nodes.other_nodes import NodeStatus
from wampush.broker.nodes.registry import Nodes
from wampush.node.monitoring.metric import Metric, MetricKind, Samples
from wampush.node.monitoring.node_state import NodeState


def _of_nodes(read: Callable[[Nodes], float], alone: float) -> Callable[[NodeState], Samples]:
    """Return the reader of a metric.

    :param alone: its value at a single node.
    """
    return lambda state: [((), alone if (each := state.broker.nodes) is None else read(each))]


def _by_status(state: NodeState) -> Samples:
    nodes = state.broker.nodes
    counts = dict.fromkeys(NodeStatus, 0)
    for each in () if nodes is None else nodes.others:
        counts[each.status] += 1
    # This one.
    counts[NodeStatus.PRESENT] += 1
    return [((status.value,), count) for status, count in counts.items()]


def _all_sessions(state: NodeState) -> Samples:
    presence = state.broker.presence
    return [((), len(state.broker.sessions) if presence is None else presence.num_clients)]


def _all_users(state: NodeState) -> Samples:
    presence = state.broker.presence
    return [((), state.broker.users.user_count if presence is None else presence.num_online)]


NODES_METRICS: Final = (
    Metric(
        "wampush_nodes",
        MetricKind.GAUGE,
        ("status",),
        "Nodes that this one knows, itself included: present, joining (not everything is known), "
        "departed (gone not long ago).",
        _by_status,
    ),
    Metric(
        "wampush_all_sessions",
        MetricKind.GAUGE,
        (),
        "Open WAMP sessions of all nodes together; every node shows the same.",
        _all_sessions,
    ),
    Metric(
        "wampush_all_users",
        MetricKind.GAUGE,
        (),
        "Users who are online at any node, as wampush.presence.num_online counts them; every node "
        "shows the same.",
        _all_users,
    ),
    Metric(
        "wampush_node_questions_incomplete_total",
        MetricKind.COUNTER,
        (),
        "Questions to all nodes, such as to end sessions, that not all of them have answered.",
        _of_nodes(lambda nodes: nodes.questions.incomplete, 0),
    ),
    Metric(
        "wampush_nodes_ignored_total",
        MetricKind.COUNTER,
        (),
        "Messages of nodes that are beyond the limit of 256.",
        _of_nodes(lambda nodes: nodes.others.ignored, 0),
    ),
    Metric(
        "wampush_node_snapshots_postponed_total",
        MetricKind.COUNTER,
        (),
        "Requests of other nodes for all users that came less than 2 s after the one before.",
        _of_nodes(lambda nodes: nodes.snapshots.postponed, 0),
    ),
    Metric(
        "wampush_node_snapshots_ignored_total",
        MetricKind.COUNTER,
        (),
        "Requests of other nodes for all users that were ignored: more than 256 nodes ask.",
        _of_nodes(lambda nodes: nodes.snapshots.ignored, 0),
    ),
    Metric(
        "wampush_names_unsendable_total",
        MetricKind.COUNTER,
        (),
        "Users and topics that other nodes do not learn of: their names are not valid text.",
        _of_nodes(lambda nodes: nodes.own.unsendable, 0),
    ),
)
"""Part of the table of metrics."""
