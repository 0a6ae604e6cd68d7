"""Clients of another protocol beside those of WAMP v1: one broker, one topic, two formats."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.broker.world import Client, InAnyOrder, World
from wampush.broker.publication import Position, Publication


class EventStream(InAnyOrder):
    """A format like that of ``text/event-stream``: a line for each field, ended by an empty one."""

    def __init__(self) -> None:
        self.made: list[bytes] = []

    def event(self, topic: str, payload: bytes, position: Position | None) -> bytes:
        self.made.append(payload)
        where = "" if position is None else f"id: {position.epoch}:{position.offset}\n"
        return f"{where}event: {topic}\n".encode() + b"data: " + payload + b"\n\n"

    @property
    def with_positions(self) -> EventStream:
        return self

    def reply(self, text: bytes) -> bytes:
        return b": " + text + b"\n\n"


def read(client: Client) -> list[tuple[str, str, Any]]:
    """Position, topic and payload of what an event stream carried; replies have no topic."""
    events = []
    for block in client.wire.received.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        if "" in fields:
            reply = json.loads(fields[""])
            if reply[0]:
                events.append(("", "", reply))
        else:
            events.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return events


@pytest.fixture
def stream():
    return EventStream()


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize("topic", ["t", "log", "price"])
def test_a_publication_is_written_once_per_format(world, stream, topic):
    sockets = [world.client(topic) for _ in range(3)]
    streams = [world.client(topic, wire_format=stream) for _ in range(3)]
    world.encoded.clear()
    for number in range(4):
        world.broker.publish(Publication(topic, b"%d" % number, position=Position("e", number)))
    world.end_turn()
    assert stream.made == [b"0", b"1", b"2", b"3"]
    assert len(world.encoded) == 4
    for client in sockets:
        assert [json.loads(text)[2] for text in client.texts] == [0, 1, 2, 3]
    for client in streams:
        assert read(client) == [(f"e:{number}", topic, number) for number in range(4)]


def test_a_batch_is_joined_per_format(world, stream):
    clients = [world.client("t") for _ in range(2)]
    clients += [world.client("t", wire_format=stream) for _ in range(2)]
    for number in range(3):
        world.broker.publish(Publication("t", b"%d" % number))
    world.fanout.end_batch()
    (first,), (second,), (third,), (fourth,) = (each.outbox.chunks for each in clients)
    assert first is second
    assert third is fourth
    assert third == b"".join(b"event: t\ndata: %d\n\n" % number for number in range(3))


def test_no_format_is_written_that_nobody_has(world, stream):
    world.client("t", wire_format=stream)
    world.encoded.clear()
    world.broker.publish(Publication("t", b"1"))
    world.end_turn()
    assert (stream.made, world.encoded) == ([b"1"], [])


def test_one_event_for_one_client_is_written_in_its_format(world, stream):
    client = world.client("t", wire_format=stream)
    world.broker.publish(Publication("t", b"1"))
    world.broker.send(client.subscriber, "other", b"2")
    world.fanout.reply(client.outbox, b"[3]")
    world.broker.publish(Publication("t", b"4"))
    world.end_turn()
    assert read(client) == [("", "t", 1), ("", "other", 2), ("", "", [3]), ("", "t", 4)]


STEPS = st.lists(st.sampled_from(["t", "u", "reply", "turn"]), max_size=30)
CLIENTS = st.lists(
    st.tuples(st.booleans(), st.lists(st.sampled_from(["t", "u"]), unique=True)), max_size=6
)


@given(kinds=CLIENTS, steps=STEPS)
def test_every_client_gets_everything_in_order_whatever_its_format(kinds, steps):
    world, stream = World(), EventStream()
    clients = [
        world.client(*topics, limit=100_000, wire_format=stream if streams else "")
        for streams, topics in kinds
    ]
    expected: list[list[int]] = [[] for _ in clients]
    for number, step in enumerate(steps):
        if step == "turn":
            world.end_turn()
        elif step == "reply":
            for client, numbers in zip(clients, expected, strict=True):
                world.fanout.reply(client.outbox, b'[3,"",%d]' % number)
                numbers.append(number)
        else:
            world.broker.publish(Publication(step, b"%d" % number))
            for (_, topics), numbers in zip(kinds, expected, strict=True):
                if step in topics:
                    numbers.append(number)
    world.end_turn()
    for client, (streams, _), numbers in zip(clients, kinds, expected, strict=True):
        if streams:
            got = [value[2] if not topic else value for _, topic, value in read(client)]
        else:
            got = [json.loads(text)[2] for text in client.texts]
        assert got == numbers
