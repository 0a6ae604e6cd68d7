"""The metrics of what joins a node to others.

Owns: their names, help texts, and how each is read. Must not import: Twisted, ZeroMQ, the edges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wampush.broker.mirrors.shared_topics import SharedTopics
from wampush.node.monitoring.metric import Metric, MetricKind, Samples
from wampush.node.monitoring.node_state import JoinedNode, NodeState


def _of_backplane(
    read: Callable[[JoinedNode], float], alone: float = 0.0
) -> Callable[[NodeState], Samples]:
    """Return the reader of a metric of what joins nodes.

    :param alone: the value for a single node.
    """
    return lambda state: [((), read(each) if (each := state.backplane) else alone)]


def _of_kept(read: Callable[[SharedTopics], float]) -> Callable[[NodeState], Samples]:
    """Return the reader of a metric of topics with history that several nodes share."""
    return _of_backplane(lambda joined: 0.0 if joined.kept is None else read(joined.kept))


BACKPLANE_METRICS: Final = (
    Metric(
        "wampush_backplane_joined",
        MetricKind.GAUGE,
        (),
        "1 while the node is joined to others, otherwise 0; 1 for a single node.",
        _of_backplane(lambda joined: joined.bus.is_joined, 1.0),
    ),
    Metric(
        "wampush_backplane_topics",
        MetricKind.GAUGE,
        (),
        "Topics that the node follows at Redis.",
        _of_backplane(lambda joined: len(joined.interest)),
    ),
    Metric(
        "wampush_backplane_under_way",
        MetricKind.GAUGE,
        (),
        "Publications that Redis has not confirmed, or that have not come back.",
        _of_backplane(lambda joined: len(joined.plain)),
    ),
    Metric(
        "wampush_backplane_not_propagated_total",
        MetricKind.COUNTER,
        (),
        "Publications to topics without history that may have reached the clients of this node"
        " only: Redis did not take them, or has taken them when the link was lost.",
        _of_backplane(lambda joined: joined.not_propagated),
    ),
    Metric(
        "wampush_backplane_unknown_total",
        MetricKind.COUNTER,
        (),
        "Messages of kinds that this node does not know, such as those of newer nodes.",
        _of_backplane(lambda joined: joined.control.unknown),
    ),
    Metric(
        "wampush_backplane_mirrors",
        MetricKind.GAUGE,
        (),
        "Topics with history that the node follows.",
        _of_kept(lambda kept: len(kept.mirrors.topics)),
    ),
    Metric(
        "wampush_backplane_waiting",
        MetricKind.GAUGE,
        (),
        "Publications to topics with history that Redis has not confirmed.",
        _of_kept(lambda kept: len(kept.publishing)),
    ),
    Metric(
        "wampush_backplane_refused_total",
        MetricKind.COUNTER,
        (),
        "Publications to topics with history that were refused, because Redis did not take them.",
        _of_kept(lambda kept: kept.publishing.failed),
    ),
    Metric(
        "wampush_backplane_reads_total",
        MetricKind.COUNTER,
        (),
        "Times that a topic with history was brought up to date from Redis, such as after a loss of"
        " the link.",
        _of_kept(lambda kept: kept.mirrors.filled),
    ),
    Metric(
        "wampush_backplane_late_total",
        MetricKind.COUNTER,
        (),
        "Topics with history that lagged behind without notice, and were found by the check.",
        _of_kept(lambda kept: kept.top_check.found),
    ),
    Metric(
        "wampush_backplane_holes_total",
        MetricKind.COUNTER,
        (),
        "Times that events of a topic with history were gone at Redis, so that subscribers of this"
        " node were sent its values anew.",
        _of_kept(lambda kept: kept.mirrors.holes),
    ),
    Metric(
        "wampush_backplane_unordered_total",
        MetricKind.COUNTER,
        (),
        "Events of topics without history that were delivered although something before them was in"
        " doubt after a loss of the link, because it took too long.",
        _of_kept(lambda kept: kept.plain_parts.unordered),
    ),
)
"""The metrics; those of a single node never change."""
