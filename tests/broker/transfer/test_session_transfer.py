"""Sessions and what a node knows, as JSON values, and how they go on elsewhere."""

from __future__ import annotations

from typing import Any

import orjson

from tests.support.two_nodes import TestNode, two_nodes
from wampush.broker.history.gaps import KeptState, TrackedState
from wampush.broker.identity import Identity, identity_from_json
from wampush.broker.nodes.nodes_state import NodesState
from wampush.broker.presence.presence import PresenceState
from wampush.broker.subscriber import KeptHandle, Subscriber
from wampush.broker.transfer.session_transfer import (
    NodeState,
    SessionState,
    node_state,
    restore,
    resume_node,
    session_state,
    snapshot,
    snapshot_node,
)
from wampush.choices import Action
from wampush.config.tables.clients import ClientSettings, PresenceSettings
from wampush.config.tables.permissions import PermissionSettings
from wampush.config.tables.topics import TopicSettings
from wampush.testing.wire import MemoryOutbox
from wampush.wamp.session import PrefixLimits, WampSession
from wampush.wamp.uris import WAMP1


def as_json(state: object) -> Any:
    return orjson.loads(orjson.dumps(state))


def test_a_session_is_written_and_read() -> None:
    tracked = TrackedState(confirmed={"t": ["e", 3]}, mark=7, marked={"t": ["e", 4]}, holes=["t"])
    state = SessionState(
        session_id="s",
        prefixes={"p": "u"},
        topics=["t"],
        identity={"user": "7"},
        sees_positions=True,
        kept=100,
        rates=[[1, 2.0, 0.5]],
        tracked=tracked,
        requests=["[5]"],
    )
    assert session_state(as_json(state)) == state
    assert session_state({**as_json(state), "colour": "red"}) == state
    assert session_state({"session_id": "s"}) == SessionState(session_id="s")


def test_a_node_is_written_and_read() -> None:
    state = NodeState(
        presence=PresenceState(absent=["7"], members={"t": ["8"]}, published=[1, None]),
        occupied=["t"],
        kept=KeptState(users=[["7", "t", 1.0, "e", 2, None]], visitors=[], key="00"),
        epoch="e",
        nodes=NodesState(id="a", occupied=["t"], reported=[], others=[{"node": "b"}]),
    )
    assert node_state(as_json(state)) == state
    assert node_state({"presence": {"colour": "red"}, "colour": "red"}) == NodeState()


def new_subscriber(node: TestNode, state: SessionState) -> Subscriber:
    limits = PrefixLimits(10, 100)
    session = WampSession(WAMP1, "test", limits, state.session_id, state.prefixes)
    outbox = MemoryOutbox(10_000, node.node.backpressure, lambda _: None)
    return Subscriber(session, outbox, identity_from_json(state.identity))


def test_sessions_go_on_silently() -> None:
    room = TopicSettings(match="t", presence=True, history=10, gap_replay=True)
    allowed = PermissionSettings(
        "t*", (Action.SUBSCRIBE, Action.PUBLISH), to=("anyone",), per_second=5
    )
    tables: dict[str, Any] = {
        "permissions": (allowed,),
        "clients": ClientSettings(auto_subscribe=("auto",)),
        "presence": PresenceSettings(topic_grace=5),
    }
    with two_nodes(room, **tables) as nodes:
        client, anonymous, gone = (nodes.client() for _ in range(3))
        for each, user in ((client, "7"), (gone, "8")):
            subscriber = nodes.old.broker.sessions[each.session_id]
            nodes.old.node.requests.become(subscriber, Identity(user, frozenset({"g"})))
        for each in nodes.clients:
            each.text(1, "p", "u")
            each.text(5, "t")
        changes: list[tuple[str, bool]] = []
        for node in (nodes.old, nodes.new):
            assert node.broker.occupancy is not None
            node.broker.occupancy.watch(["t-*"], lambda *change: changes.append(change))
        gone.text(5, "t-1")
        nodes.read_all()
        assert changes == [("t-1", True)]
        broker, moved = nodes.new.broker, []
        for each in (client, anonymous):
            before = nodes.old.broker.sessions[each.session_id]
            state = session_state(as_json(snapshot(nodes.old.broker, before)))
            after = new_subscriber(nodes.new, state)
            restore(broker, after, state)
            moved.append(before)
            assert broker.subscriptions.topics(after) == {"t", "auto"}
            assert broker.memory.of_owner(after) == nodes.old.broker.memory.of_owner(before)
            assert after.session.prefixes == {"p": "u"}
            assert after.buckets is not None
        assert len(broker.users.of_group("g")) == 1
        assert broker.ledger.sessions_opened == 0
        known = as_json(snapshot_node(nodes.old.broker, lambda each: each in moved))
        assert known["presence"]["absent"] == ["8"]
        assert known["presence"]["members"] == {"t": ["8"]}
        assert known["occupied"] == ["t-1"]
        resume_node(broker, node_state(known))
        assert broker.presence is not None
        assert broker.presence.users("t") == {"7": 1, "8": 0}
        assert broker.presence.num_online == 2
        assert broker.replays is not None
        assert broker.replays.history.next_epoch == known["epoch"]
        nodes.new.reactor.advance(4)
        assert changes == [("t-1", True)]
        nodes.new.reactor.advance(1)
        assert changes == [("t-1", True), ("t-1", False)]


def test_what_the_application_keeps_goes_to_a_third_process_too() -> None:
    with two_nodes() as nodes:
        before = nodes.old.broker.sessions[nodes.client().session_id]
        assert session_state(snapshot(nodes.old.broker, before)).application is None
        before.handle = KeptHandle({"room": "lobby"})
        for _ in range(2):
            state = session_state(as_json(snapshot(nodes.old.broker, before)))
            before = new_subscriber(nodes.new, state)
            restore(nodes.new.broker, before, state)
            assert state.application == {"room": "lobby"}
