"""Presence in a node: what its sessions are told, and what is left of it at the end."""

from __future__ import annotations

import json

import pytest

from tests.edges.websocket.in_memory import MemoryNode, Peer, frames
from wampush.broker.identity import Identity
from wampush.broker.presence.presence import INTERVAL, PresenceView
from wampush.config.settings import Settings
from wampush.config.tables.clients import PresenceSettings
from wampush.wamp.uris import TOPIC_NUM_CLIENTS, TOPIC_NUM_ONLINE


@pytest.fixture
def memory() -> MemoryNode:
    return MemoryNode()


def values(peer: Peer) -> list[object]:
    """The numbers that a client was told since the last look."""
    return [json.loads(frame.payload)[2] for frame in frames(peer.take())]


def test_a_client_is_told_at_once_and_then_of_changes(memory: MemoryNode) -> None:
    watcher = memory.open()
    watcher.subscribe(TOPIC_NUM_CLIENTS)
    assert values(watcher) == [1]
    others = [memory.open() for _ in range(5)]
    assert values(watcher) == [2]
    memory.clock.advance(INTERVAL)
    assert values(watcher) == [6]
    for other in others:
        other.lose()
    memory.clock.advance(INTERVAL)
    assert values(watcher)[-1] == 1


def test_who_is_lost_counts_for_the_grace(memory: MemoryNode) -> None:
    watcher, tab = memory.open(), memory.open()
    watcher.subscribe(TOPIC_NUM_ONLINE)
    tab.become(Identity("7", source="token"))
    assert values(watcher) == [0, 1]
    tab.lose()
    grace = Settings().presence.grace
    assert grace == PresenceSettings().grace
    memory.clock.advance(grace - 0.1)
    assert values(watcher) == []
    memory.clock.advance(0.2)
    assert values(watcher) == [0]


def test_no_timer_runs_while_nothing_changes_and_none_is_left_at_the_end(
    memory: MemoryNode,
) -> None:
    before = len(memory.clock.getDelayedCalls())
    watcher, tab = memory.open(), memory.open()
    for topic in (TOPIC_NUM_ONLINE, TOPIC_NUM_CLIENTS):
        watcher.subscribe(topic)
    memory.clock.advance(1)
    assert len(memory.clock.getDelayedCalls()) == before
    tab.become(Identity("7", source="token"))
    tab.lose()
    memory.open().lose()
    assert len(memory.clock.getDelayedCalls()) == before + 2
    watcher.take()
    memory.node.presence.stop()
    assert len(memory.clock.getDelayedCalls()) == before
    memory.clock.advance(10)
    assert values(watcher) == []


def test_a_node_hands_presence_to_application_code(memory: MemoryNode) -> None:
    view: PresenceView = memory.node.presence
    peer = memory.open()
    peer.become(Identity("7", source="token"))
    peer.subscribe("news")
    assert (view.num_online, view.num_clients, dict(view.users("news"))) == (1, 1, {"7": 1})
