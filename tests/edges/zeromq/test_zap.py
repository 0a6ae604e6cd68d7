"""libzmq's questions about peers are answered, a bounded number per turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
import zmq
from twisted.internet.task import Clock
from txzmq import ZmqFactory

from wampush.edges.zeromq.control_reader import TURN_MESSAGES
from wampush.edges.zeromq.zap import ZapHandler


class ManualReactor(Clock):
    """A reactor whose readers are called by the test."""

    addReader = removeReader = staticmethod(lambda _: None)  # noqa: N815 (Twisted's names)


@pytest.fixture
def factory() -> Iterator[ZmqFactory]:
    factory = ZmqFactory()
    factory.reactor = ManualReactor()
    yield factory
    factory.shutdown()


def asking(factory: ZmqFactory) -> zmq.Socket[bytes]:
    """A socket like the one of libzmq that asks."""
    peer: zmq.Socket[bytes] = factory.context.socket(zmq.DEALER)
    peer.set(zmq.LINGER, 0)
    peer.connect("inproc://zeromq.zap.01")
    return peer


def echo(answered: list[int]) -> Callable[[Sequence[bytes]], list[bytes]]:
    def answer(request: Sequence[bytes]) -> list[bytes]:
        answered.append(len(answered))
        return [b"reply", *request]

    return answer


def test_a_question_gets_the_answer(factory: ZmqFactory) -> None:
    handler = ZapHandler(factory, echo([]))
    with asking(factory) as peer:
        peer.send_multipart([b"", b"1.0", b"7"])
        handler.doRead()
        assert peer.recv_multipart(zmq.NOBLOCK) == [b"", b"reply", b"1.0", b"7"]


def test_a_flood_of_questions_is_answered_over_several_turns(factory: ZmqFactory) -> None:
    answered: list[int] = []
    handler = ZapHandler(factory, echo(answered))
    with asking(factory) as peer:
        for _ in range(TURN_MESSAGES + 5):
            peer.send_multipart([b"", b"1.0"])
        handler.doRead()
        assert len(answered) == TURN_MESSAGES
        factory.reactor.advance(0)
        assert len(answered) == TURN_MESSAGES + 5
        assert handler.read_scheduled is None


def test_a_read_for_the_descriptor_replaces_one_that_was_scheduled(factory: ZmqFactory) -> None:
    answered: list[int] = []
    handler = ZapHandler(factory, echo(answered))
    with asking(factory) as peer:
        for _ in range(TURN_MESSAGES + 1):
            peer.send_multipart([b"", b"1.0"])
        handler.doRead()
        handler.doRead()
        assert len(answered) == TURN_MESSAGES + 1
        assert factory.reactor.getDelayedCalls() == []


def test_a_handler_that_was_shut_down_reads_no_more() -> None:
    factory = ZmqFactory()
    factory.reactor = ManualReactor()
    handler = ZapHandler(factory, echo([]))
    factory.shutdown()
    handler.doRead()
