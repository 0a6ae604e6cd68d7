"""A connection that sends commands without waiting: answers, shares, bounds, ends."""
# ruff: noqa: N802 - Twisted calls the methods of protocols by these names.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hiredis
import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from wampush.net.redis.pipelined import (
    READ_BYTES,
    WRITE_BYTES,
    Lost,
    PipelinedConnection,
    publish_command,
)
from wampush.net.turn_budget import TURN_MESSAGES


class Transport(StringTransport):
    """Records what happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = self.no_delay = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def abortConnection(self) -> None:
        self.aborted = True


class Owner:
    def __init__(self, limit: int = 1000) -> None:
        self.clock = Clock()
        self.may_read = True
        self.messages: list[tuple[bytes, bytes]] = []
        self.events: list[Any] = []
        self.answers: list[Any] = []
        self.transport = Transport()
        self.connection = PipelinedConnection(
            self,
            max_reply_bytes=limit,
            may_read=lambda: self.may_read,
            clock=self.clock,
        )
        self.connection.makeConnection(self.transport)

    def on_channel_message(self, channel: bytes, message: bytes) -> None:
        self.messages.append((channel, message))

    def on_confirmed(self, kind: bytes, channel: bytes) -> None:
        self.events.append((kind, channel))

    def on_share_begun(self) -> None:
        self.events.append("begun")

    def on_share_read(self) -> None:
        self.events.append("read")

    def on_connection_lost(self, connection: PipelinedConnection, problem: str) -> None:
        assert connection is self.connection
        self.events.append(problem)

    def call(self, *words: bytes) -> None:
        self.connection.call(words, self.answers.append)

    def sent(self) -> bytes:
        self.clock.advance(0)
        sent = self.transport.value()
        self.transport.clear()
        return sent


def message(channel: bytes, text: bytes) -> bytes:
    return bytes(hiredis.pack_command((b"message", channel, text)))  # type: ignore[arg-type]


@pytest.fixture
def owner() -> Owner:
    return Owner()


def test_commands_of_a_turn_are_written_together_and_answered_in_order(owner: Owner) -> None:
    owner.call(b"GET", b"a")
    owner.call(b"PUBLISH", b"c", b"\r\n")
    assert owner.transport.value() == b""
    assert owner.sent() == (
        b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\n\r\n\r\n"
    )
    assert owner.connection.unanswered == 2
    owner.connection.dataReceived(b"$1\r\nx\r\n:")
    owner.connection.dataReceived(b"5\r\n")
    assert owner.answers == [b"x", 5]
    assert owner.connection.reads == 2
    assert owner.transport.no_delay


def test_a_command_may_be_written_down_already(owner: Owner) -> None:
    owner.call(b"A")
    command = publish_command(b"c", b"\r\n")
    assert command == hiredis.pack_command((b"PUBLISH", b"c", b"\r\n"))  # type: ignore[arg-type]
    owner.connection.call_packed(command, owner.answers.append)
    assert owner.sent() == b"*1\r\n$1\r\nA\r\n" + command
    owner.connection.dataReceived(b":1\r\n+OK\r\n")
    assert owner.answers == [1, b"OK"]


def test_another_may_say_when_commands_are_written(owner: Owner) -> None:
    writes: list[Callable[[], None]] = []
    connection = PipelinedConnection(
        owner,
        max_reply_bytes=1000,
        may_read=lambda: True,
        clock=owner.clock,
        write_later=writes.append,
    )
    transport = Transport()
    connection.makeConnection(transport)
    for _ in range(2):
        connection.call((b"A",), owner.answers.append)
    owner.clock.advance(1)
    assert transport.value() == b""
    (write,) = writes
    write()
    assert transport.value() == b"*1\r\n$1\r\nA\r\n" * 2
    connection.send((b"B",))
    assert len(writes) == 2


def test_messages_may_go_elsewhere(owner: Owner) -> None:
    got: list[tuple[bytes, bytes]] = []
    owner.connection.on_message = lambda channel, text: got.append((channel, text))
    owner.connection.dataReceived(message(b"c", b"1"))
    assert (got, owner.messages) == ([(b"c", b"1")], [])


def test_much_is_written_at_once(owner: Owner) -> None:
    owner.call(b"SET", b"a", b"x" * (WRITE_BYTES + 1))
    assert len(owner.transport.value()) > WRITE_BYTES
    owner.transport.clear()
    assert owner.sent() == b""


def test_errors_and_lists_are_answers(owner: Owner) -> None:
    for _ in range(3):
        owner.call(b"X")
    owner.connection.dataReceived(b"-ERR no\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n*-1\r\n")
    assert isinstance(owner.answers[0], hiredis.ReplyError)
    assert owner.answers[1:] == [[b"pong", b""], None]


def test_messages_and_confirmations_are_no_answers(owner: Owner) -> None:
    owner.call(b"PING")
    owner.connection.send((b"SUBSCRIBE", b"c"))
    assert b"SUBSCRIBE" in owner.sent()
    owner.connection.dataReceived(
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
        + message(b"c", b"hello")
        + b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"
    )
    assert owner.messages == [(b"c", b"hello")]
    confirmed = [(b"subscribe", b"c"), (b"unsubscribe", b"")]
    assert owner.events == ["begun", *confirmed, "read"]
    assert owner.answers == []


def test_a_share_per_turn_is_read_and_the_rest_later(owner: Owner) -> None:
    count = TURN_MESSAGES + 10
    owner.connection.dataReceived(message(b"c", b"1") * count)
    assert len(owner.messages) == TURN_MESSAGES
    assert owner.transport.producerState == "paused"
    assert owner.connection.is_paused
    # What comes from the transport meanwhile waits.
    owner.connection.dataReceived(message(b"c", b"2"))
    assert len(owner.messages) == TURN_MESSAGES
    owner.clock.advance(0)
    assert len(owner.messages) == count + 1
    assert owner.transport.producerState == "producing"


def test_nothing_is_read_during_a_pause(owner: Owner) -> None:
    owner.may_read = False
    owner.connection.dataReceived(message(b"c", b"1"))
    assert owner.transport.producerState == "paused"
    owner.clock.advance(1)
    assert owner.messages == []
    owner.may_read = True
    owner.connection.wake()
    owner.connection.wake()
    owner.clock.advance(0)
    assert owner.messages == [(b"c", b"1")]
    assert not owner.connection.is_paused
    owner.connection.wake()
    assert not owner.clock.getDelayedCalls()


def test_a_reply_that_is_too_long_ends_the_connection(owner: Owner) -> None:
    owner.connection.dataReceived(message(b"c", b"x" * 900) + b"$999999\r\n")
    arrived = 0
    while not owner.transport.aborted:
        owner.connection.dataReceived(b"x" * 1000)
        arrived += 1000
    assert READ_BYTES - 1000 <= arrived <= READ_BYTES + 2000
    owner.connection.connectionLost(Failure(ConnectionDone()))
    assert owner.events[-1] == "a reply is longer than 1000 bytes"


def test_replies_that_end_do_not_add_up(owner: Owner) -> None:
    for _ in range(200):
        owner.connection.dataReceived(message(b"c", b"x" * 900)[:-3])
        owner.connection.dataReceived(message(b"c", b"x" * 900)[-3:])
    assert len(owner.messages) == 200
    assert not owner.transport.aborted


def test_what_is_not_redis_ends_the_connection(owner: Owner) -> None:
    owner.connection.dataReceived(b"HTTP/1.1 200 OK\r\n")
    assert owner.transport.aborted
    owner.connection.dataReceived(b"+OK\r\n")
    owner.connection.connectionLost(Failure(ConnectionDone()))
    assert "(does Redis listen on this port?)" in owner.events[-1]


def test_a_refused_subscription_ends_the_connection_with_the_reason(owner: Owner) -> None:
    owner.connection.send((b"SUBSCRIBE", b"c"))
    owner.connection.dataReceived(b"-NOPERM No permissions to access a channel\r\n")
    assert owner.transport.aborted
    owner.connection.connectionLost(Failure(ConnectionDone()))
    assert owner.events[-1].endswith("does not let this user use all channels")


def test_an_answer_without_a_question_ends_the_connection(owner: Owner) -> None:
    owner.connection.dataReceived(b"+OK\r\n+OK\r\n")
    assert owner.transport.aborted
    owner.connection.connectionLost(Failure(ConnectionDone()))
    assert owner.events[-1] == "an answer without a question: \"b'OK'\""


def test_what_is_unanswered_at_the_end_is_lost(owner: Owner) -> None:
    owner.call(b"GET", b"a")
    owner.may_read = False
    owner.connection.dataReceived(b"+OK\r\n")
    owner.may_read = True
    owner.connection.wake()
    owner.connection.connectionLost(Failure(ConnectionDone()))
    assert owner.events == ["Redis closed the connection"]
    assert owner.answers == [Lost.LOST]
    owner.connection.fail("later")
    owner.connection.wake()
    assert owner.sent() == b""
