"""The nodes, as a health check shows them.

Owns: the form of it. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wampush.broker.broker import Broker
from wampush.broker.nodes.other_nodes import OtherNode

#: What a node says of itself with each beat, and shows for the others.
FIGURES: Final = ("connections", "topics")


def nodes_status(broker: Broker, seconds: float) -> Mapping[str, object]:
    """Return this node's name and what it knows of all; nothing for a single node.

    :param seconds: the time, by the clock of the nodes.
    """
    nodes, presence = broker.nodes, broker.presence
    if nodes is None or presence is None:
        return {}
    here = {
        "node": nodes.name,
        "status": "here",
        "version": nodes.version,
        "heard": 0.0,
        "sessions": len(broker.sessions),
        **{name: nodes.figures.get(name) for name in FIGURES},
    }
    others = sorted(nodes.others, key=lambda each: (each.name, each.id))
    return {
        "node": nodes.name,
        "nodes": [here, *(_status(each, seconds) for each in others)],
        "all": {
            "nodes": 1 + len(nodes.others.there),
            "sessions": presence.num_clients,
            "users": presence.num_online,
        },
    }


def _status(node: OtherNode, seconds: float) -> Mapping[str, object]:
    beat = node.beat
    return {
        "node": node.name,
        "status": node.status.value,
        "version": "" if beat is None else beat.version,
        "heard": round(seconds - node.heard_at, 3),
        "sessions": node.people.sessions,
        **{name: None if beat is None else beat.figures.get(name) for name in FIGURES},
    }
