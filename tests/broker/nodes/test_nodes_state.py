"""What another process learns about the other nodes."""

from __future__ import annotations

import orjson
import pytest

from wampush.broker.nodes.node_payloads import Beat
from wampush.broker.nodes.nodes_state import nodes_state, other_node, other_node_state
from wampush.broker.nodes.other_nodes import NodeStatus, OtherNode
from wampush.broker.nodes.people import PeopleChange
from wampush.errors import PushRefused


def test_a_node_is_read_as_it_was_written() -> None:
    beat = Beat(
        node="x", epoch="e", sequence=3, name="b", watched=("room.*",), figures={"topics": 2}
    )
    node = OtherNode("x", "p", 5.0, beat, NodeStatus.PRESENT, epoch="e", sequence=3)
    node.people.apply(PeopleChange(sessions=2, users={"7": True}, members={"room": {"7": 1}}))
    read = other_node(orjson.loads(orjson.dumps(other_node_state(node))))
    assert (read.id, read.process) == ("x", "p")
    assert (read.beat, read.status) == (beat, NodeStatus.PRESENT)
    assert (read.epoch, read.sequence) == ("e", 3)
    assert not read.people.difference(node.people)
    assert read.people.sessions == 2


def test_a_node_that_was_not_heard_yet_has_no_beat() -> None:
    read = other_node(orjson.loads(orjson.dumps(other_node_state(OtherNode("x", "p", 0.0)))))
    assert read.beat is None
    assert read.status is NodeStatus.JOINING


def test_unknown_fields_are_ignored_and_wrong_ones_refused() -> None:
    state = nodes_state({"id": "x", "others": [{"id": "y"}], "later": 1})
    assert state.id == "x"
    with pytest.raises(PushRefused):
        other_node(state.others[0])
    with pytest.raises(PushRefused):
        other_node({**other_node_state(OtherNode("x", "p", 0.0)), "status": "asleep"})
