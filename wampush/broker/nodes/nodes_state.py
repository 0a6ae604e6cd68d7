"""What a process that takes a node over gets about the other nodes, as JSON values.

Owns: the form of it. Pure. Must not import: Twisted, the edges, presence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from wampush.broker.nodes.node_payloads import (
    PeoplePayload,
    beat_payload,
    people_payload,
    read_beat,
    read_people,
)
from wampush.broker.nodes.other_nodes import NodeStatus, OtherNode
from wampush.errors import PushRefused, Refusal
from wampush.excerpts import shown_json
from wampush.known_fields import known_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesState:
    """This node and all others, as JSON values.

    :param id: of this node; "" without a backplane.
    :param occupied: topics that count as occupied by this node.
    :param reported: topics whose occupation was reported to the applications of this node.
    :param others: the others, see :func:`other_node_state`.
    """

    id: str = ""
    occupied: Sequence[str] = ()
    reported: Sequence[str] = ()
    others: Sequence[Mapping[str, Any]] = ()


def nodes_state(values: Mapping[str, Any]) -> NodesState:
    """Return the state that JSON values of another process describe.

    Unknown fields are ignored.
    """
    return NodesState(**known_fields(NodesState, values))


def other_node_state(node: OtherNode) -> Mapping[str, Any]:
    """Return what is known about a node."""
    update = PeoplePayload(
        node=node.id, epoch=node.epoch, sequence=node.sequence, change=node.people.everything()
    )
    return {
        "process": node.process,
        "status": node.status.value,
        "beat": None if node.beat is None else orjson.loads(beat_payload(node.beat)),
        "people": orjson.loads(people_payload(update)),
    }


def other_node(values: Mapping[str, Any]) -> OtherNode:
    """Return a node as another process has known it.

    :raises PushRefused: NODE_FORM; the values are not as they should be.
    """
    update = read_people(orjson.dumps(values.get("people")))
    beat = values.get("beat")
    node = OtherNode(
        id=update.node,
        process=str(values.get("process")),
        heard_at=0.0,
        beat=None if beat is None else read_beat(orjson.dumps(beat)),
        status=_status(values.get("status")),
        epoch=update.epoch,
        sequence=update.sequence,
    )
    node.people.apply(update.change)
    return node


def _status(value: object) -> NodeStatus:
    for status in NodeStatus:
        if value == status.value:
            return status
    raise PushRefused(Refusal.NODE_FORM, f"Its status is {shown_json(value)}.")
