"""The names of channels."""

from __future__ import annotations

from wampush.broker.backplane.contract import (
    CONTROL_CHANNEL,
    EVERY_NODE,
    TOPIC_CHANNEL,
    node_channel,
    topic_channel,
)


def test_channels_of_topics_and_of_nodes_never_meet() -> None:
    assert topic_channel("c:all") == f"{TOPIC_CHANNEL}c:all"
    assert node_channel("3f2a") == f"{CONTROL_CHANNEL}node:3f2a"
    names = {topic_channel("x"), topic_channel("node:x"), node_channel("x"), EVERY_NODE}
    assert len(names) == 4
    assert not any(each.startswith(CONTROL_CHANNEL) for each in map(topic_channel, names))
