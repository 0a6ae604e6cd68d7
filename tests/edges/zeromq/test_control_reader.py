"""A bounded number of messages is read per turn, and none after the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import zmq
from txzmq import ZmqFactory

from tests.edges.zeromq.test_zap import ManualReactor
from wampush.edges.zeromq.control_reader import TURN_MESSAGES, ControlReader


class Collector(ControlReader):
    """Keeps what it reads."""

    socketType = zmq.PAIR  # noqa: N815 (txzmq's name)

    def __init__(self, factory: ZmqFactory) -> None:
        self.seen: list[Sequence[bytes]] = []
        super().__init__(factory)
        self.socket.bind("inproc://collector")

    def on_message(self, frames: Sequence[bytes]) -> None:
        self.seen.append(frames)


@pytest.fixture
def factory() -> Iterator[ZmqFactory]:
    factory = ZmqFactory()
    factory.reactor = ManualReactor()
    yield factory
    factory.shutdown()


@pytest.fixture
def peer(factory: ZmqFactory) -> Iterator[zmq.Socket[bytes]]:
    with factory.context.socket(zmq.PAIR) as peer:
        peer.set(zmq.LINGER, 0)
        peer.set(zmq.SNDHWM, 0)
        yield peer


def test_the_rest_is_read_in_the_next_turn(factory: ZmqFactory, peer: zmq.Socket[bytes]) -> None:
    reader = Collector(factory)
    peer.connect("inproc://collector")
    for number in range(TURN_MESSAGES + 3):
        peer.send_multipart([b"a", b"%d" % number])
    reader.doRead()
    assert len(reader.seen) == TURN_MESSAGES
    factory.reactor.advance(0)
    assert reader.seen[-1] == [b"a", b"%d" % (TURN_MESSAGES + 2)]
    assert reader.read_scheduled is None


def test_a_read_for_the_descriptor_replaces_the_scheduled_one(
    factory: ZmqFactory, peer: zmq.Socket[bytes]
) -> None:
    reader = Collector(factory)
    peer.connect("inproc://collector")
    for _ in range(TURN_MESSAGES + 1):
        peer.send(b"x")
    reader.doRead()
    reader.doRead()
    assert len(reader.seen) == TURN_MESSAGES + 1
    assert factory.reactor.getDelayedCalls() == []


def test_nothing_is_read_after_the_end() -> None:
    factory = ZmqFactory()
    factory.reactor = ManualReactor()
    reader = Collector(factory)
    factory.shutdown()
    reader.doRead()
    assert reader.seen == []
