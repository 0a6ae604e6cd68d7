"""A link of two connections: logins, the same server, ends."""
# ruff: noqa: N802 - Twisted calls the methods of protocols by these names.

from __future__ import annotations

from typing import Any

import hiredis
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as RefusedByPeer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from wampush.edges.backplane.link import OPEN_SECONDS, LinkOptions, RedisLink
from wampush.net.redis.login import Login
from wampush.net.redis.pipelined import Lost
from wampush.net.redis.server_facts import ServerFacts


class Transport(StringTransport):
    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        assert enabled

    def abortConnection(self) -> None:
        self.aborted = True


class World:
    """A link whose Redis is played by the test."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.attempts: list[Deferred[Any]] = []
        self.protocols: list[Any] = []
        self.events: list[Any] = []
        values: dict[str, Any] = {
            "login": None,
            "database": 0,
            "name": "wampush-x",
            "max_message_bytes": 1000,
            "keeps_history": True,
            "may_read": lambda: True,
            "write_later": lambda call: self.clock.callLater(0, call),
            **options,
        }
        self.link = RedisLink(self, self, LinkOptions(**values), self.clock)
        self.link.open()

    def connect(self, factory: Any) -> Deferred[Any]:
        """The endpoint: an attempt that a test answers."""
        self.protocols.append(factory)
        attempt: Deferred[Any] = Deferred()
        self.attempts.append(attempt)
        return attempt

    def connected(self) -> Any:
        """The latest attempt succeeds; return the protocol."""
        protocol = self.protocols[-1].buildProtocol(None)
        self.protocols[-1] = protocol
        protocol.makeConnection(Transport())
        self.attempts[-1].callback(protocol)
        return protocol

    def on_channel_message(self, channel: bytes, message: bytes) -> None:
        self.events.append((channel, message))

    def on_confirmed(self, kind: bytes, channel: bytes) -> None:
        self.events.append((kind, channel))

    def on_share_begun(self) -> None:
        pass

    def on_share_read(self) -> None:
        pass

    def on_open(self, facts: ServerFacts) -> None:
        self.events.append(facts.run_id)

    def on_lost(self, problem: str) -> None:
        self.events.append(problem)


def info(run: str = "r1", **more: str) -> bytes:
    fields = {"redis_version": "7.0.15", "run_id": run, "role": "master", **more}
    text = "".join(f"{name}:{value}\r\n" for name, value in fields.items()).encode()
    return b"$%d\r\n%b\r\n" % (len(text), text)


def sent(world: World, protocol: Any) -> list[bytes]:
    """The commands that were sent, by their first words."""
    world.clock.advance(0)
    reader = hiredis.Reader()
    reader.feed(protocol.transport.value())
    protocol.transport.clear()
    return [words[0] for words in iter(reader.gets, False)]


def opened(world: World) -> tuple[Any, Any]:
    both = []
    for _ in range(2):
        protocol = world.connected()
        protocol.dataReceived(b"+OK\r\n" + info())
        both.append(protocol)
    return both[0], both[1]


def test_both_connections_log_in_and_lead_to_one_server() -> None:
    world = World(login=Login("live", b"secret"), database=3)
    commands = world.connected()
    assert sent(world, commands) == [b"AUTH", b"SELECT", b"CLIENT", b"INFO"]
    commands.dataReceived(b"+OK\r\n+OK\r\n+OK\r\n" + info())
    assert world.events == []
    subscriptions = world.connected()
    assert sent(world, subscriptions) == [b"AUTH", b"CLIENT", b"INFO"]
    subscriptions.dataReceived(b"+OK\r\n-NOPERM no\r\n" + info())
    assert world.link.is_open
    assert world.events == ["r1"]
    world.clock.advance(OPEN_SECONDS)
    assert world.events == ["r1"]


def test_commands_and_subscriptions_go_their_own_ways() -> None:
    world = World()
    early: list[Any] = []
    world.link.call((b"GET", b"a"), early.append)
    world.link.send((b"SUBSCRIBE", b"c"))
    world.link.ask_subscriptions(early.append)
    commands, subscriptions = opened(world)
    assert early == []
    world.clock.advance(0)
    assert early == [Lost.LOST]
    for each in (commands, subscriptions):
        each.transport.clear()
    answers: list[Any] = []
    before = world.link.reads
    world.link.call((b"GET", b"a"), answers.append)
    world.link.send((b"SUBSCRIBE", b"c"))
    world.link.ask_subscriptions(answers.append)
    assert sent(world, commands) == [b"GET"]
    assert sent(world, subscriptions) == [b"SUBSCRIBE", b"PING"]
    subscriptions.dataReceived(
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n"
        b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"
    )
    assert world.link.reads == (before[0], before[1] + 1)
    commands.dataReceived(b"$1\r\n1\r\n")
    assert world.link.reads == (before[0] + 1, before[1] + 1)
    assert answers == [[b"pong", b""], b"1"]
    assert world.events == ["r1", (b"subscribe", b"c"), (b"c", b"x")]
    assert world.link.is_reading
    world.link.wake()


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (b"-NOAUTH Authentication required.\r\n" * 2, "Redis requires a password"),
        (b"+OK\r\n-LOADING Redis is loading\r\n", "Redis is still loading its data"),
        (b"+OK\r\n" + info(role="slave"), "it is a replica"),
        (b"+OK\r\n" + info(maxmemory_policy="allkeys-lru"), "may drop what topics keep"),
        (b"+OK\r\n" + info(redis_version="6.2"), "version 7 or later is needed"),
    ],
)
def test_a_server_that_cannot_join_nodes(answers: bytes, problem: str) -> None:
    world = World()
    commands = world.connected()
    commands.dataReceived(answers)
    assert problem in world.events[-1]
    assert commands.transport.aborted
    assert len(world.events) == 1


def test_a_wrong_password_ends_the_link_once() -> None:
    world = World(login=Login("", b"secret"))
    world.connected().dataReceived(b"-WRONGPASS no\r\n-NOAUTH no\r\n-NOAUTH no\r\n")
    assert world.events == ["wrong user or password"]


def test_two_servers_are_no_link() -> None:
    world = World()
    world.connected().dataReceived(b"+OK\r\n" + info("r1"))
    world.connected().dataReceived(b"+OK\r\n" + info("r2"))
    assert "its two connections lead to two servers" in world.events[-1]


def test_the_loss_of_one_connection_ends_both() -> None:
    world = World()
    commands, subscriptions = opened(world)
    answers: list[Any] = []
    world.link.call((b"GET", b"a"), answers.append)
    world.link.fail("a test")
    assert world.events == ["r1", "a test"]
    assert answers == [Lost.LOST]
    assert commands.transport.aborted
    assert subscriptions.transport.aborted
    subscriptions.dataReceived(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n")
    world.link.fail("once more")
    assert len(world.events) == 2


def test_attempts_that_fail_or_take_too_long() -> None:
    world = World()
    world.attempts[0].errback(RefusedByPeer())
    assert world.events == ["connection refused (is Redis running?)"]
    slow = World()
    slow.clock.advance(OPEN_SECONDS)
    assert slow.events == ["no answer within 5 s"]
