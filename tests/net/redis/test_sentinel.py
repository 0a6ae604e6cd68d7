"""Sentinels name the master; another one is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.edges.redis.redis_in_memory import Attempt, Endpoint, command
from wampush.net.redis.error_descriptions import SentinelProblem
from wampush.net.redis.sentinel import (
    ASK_SECONDS,
    WATCH_SECONDS,
    MasterWatch,
    Sentinel,
    SentinelEndpoint,
    Server,
)

QUESTION = command(b"SENTINEL", b"get-master-addr-by-name", b"mymaster")
MASTER, OTHER = Server("10.0.0.5", 6379), Server("10.0.0.6", 6380)


def naming(server: Server) -> bytes:
    """The answer of a sentinel."""
    return command(server.host.encode(), str(server.port).encode())


class World:
    """Sentinels, servers and what a test does to them."""

    def __init__(self, password: bytes = b"") -> None:
        self.clock: Any = Clock()
        self.sentinels = [Endpoint(), Endpoint()]
        self.servers: dict[Server, Endpoint] = {}
        named = [
            Sentinel(Server(f"sentinel{number}", 26379), endpoint)
            for number, endpoint in enumerate(self.sentinels, 1)
        ]
        self.endpoint = SentinelEndpoint(
            named,
            "mymaster",
            password,
            endpoint_of=lambda server: self.servers.setdefault(server, Endpoint()),
            clock=self.clock,
        )

    def asked(self, number: int) -> Attempt:
        """The latest question to a sentinel, counted from 1."""
        return self.sentinels[number - 1].attempts[-1]

    def answer(self, number: int, *pieces: bytes) -> Attempt:
        """A sentinel is reached, and answers."""
        attempt = self.asked(number)
        attempt.succeed()
        for piece in pieces:
            attempt.says(piece)
        return attempt

    def find(self) -> list[Any]:
        """The outcome of a question, once there is one."""
        outcome: list[Any] = []
        self.endpoint.find_master().addBoth(outcome.append)
        return outcome


def problem_in(outcome: list[Any]) -> str:
    """Why no sentinel named the master."""
    (failure,) = outcome
    assert failure.check(SentinelProblem)
    return str(failure.value)


def test_the_master_that_a_sentinel_names_is_connected_to() -> None:
    world = World()
    outcome: list[Any] = []
    factory: Any = object()
    world.endpoint.connect(factory).addBoth(outcome.append)
    answer = naming(MASTER)
    attempt = world.answer(1, answer[:9], answer[9:])
    assert attempt.sent() == QUESTION
    assert attempt.is_ending()
    (connecting,) = world.servers[MASTER].attempts
    assert connecting.factory is factory
    connecting.outcome.callback("the protocol")
    assert outcome == ["the protocol"]
    assert world.endpoint.master == MASTER
    assert world.clock.getDelayedCalls() == []


def test_a_sentinel_with_a_password() -> None:
    world = World(b"secret")
    outcome = world.find()
    attempt = world.answer(1, b"+OK\r\n")
    assert attempt.sent() == command(b"AUTH", b"secret") + QUESTION
    assert outcome == []
    attempt.says(naming(MASTER))
    assert outcome == [MASTER]


def test_the_sentinel_that_has_answered_is_asked_first_the_next_time() -> None:
    world = World()
    world.find()
    world.asked(1).fail()
    world.answer(2, naming(MASTER))
    world.find()
    assert [len(each.attempts) for each in world.sentinels] == [1, 2]


@pytest.mark.parametrize(
    ("happens", "problem"),
    [
        (lambda world: world.asked(1).fail(), "connection refused (is Redis running?)"),
        (lambda world: world.asked(1).fail(DNSLookupError()), "unknown host name"),
        (lambda world: world.answer(1, b"*-1\r\n"), "it does not know this name"),
        (lambda world: world.answer(1).lose(), "Redis closed the connection"),
        (lambda world: world.answer(1, b"-NOAUTH x\r\n"), "Redis requires a password"),
        (lambda world: world.answer(1, b"HTTP/1.1 400\r\n"), "unexpected data: a reply of an"),
        (lambda world: world.answer(1, b"+yes\r\n"), "its answer is not an address"),
        (lambda world: world.answer(1, naming(Server("a b", 1))), "its answer is not an address"),
        (
            lambda world: world.answer(1, naming(Server("a", 65536))),
            "its answer is not an address",
        ),
        (lambda world: world.clock.advance(ASK_SECONDS), "no answer within 3 s"),
    ],
)
def test_a_sentinel_that_does_not_help(happens: Callable[[World], Any], problem: str) -> None:
    world = World()
    outcome = world.find()
    happens(world)
    assert outcome == []
    world.asked(2).fail()
    text = problem_in(outcome)
    assert text.startswith(f"no sentinel names the master mymaster: sentinel1:26379: {problem}")
    assert text.endswith("; sentinel2:26379: connection refused (is Redis running?)")


def test_a_sentinel_that_is_silent_is_left() -> None:
    world = World()
    outcome = world.find()
    silent = world.answer(1)
    world.clock.advance(ASK_SECONDS)
    assert silent.transport.disconnected
    world.answer(2, naming(Server("::1", 7)))
    assert [str(each) for each in outcome] == ["[::1]:7"]


def test_an_attempt_can_be_cancelled() -> None:
    world = World()
    outcome: list[Any] = []
    factory: Any = object()
    attempt: Deferred[Any] = world.endpoint.connect(factory)
    attempt.addErrback(outcome.append)
    attempt.cancel()
    assert world.asked(1).cancelled
    assert len(outcome) == 1
    assert isinstance(outcome[0], Failure)
    assert world.sentinels[1].attempts == []
    assert world.clock.getDelayedCalls() == []


def watched() -> tuple[World, MasterWatch, list[Server]]:
    """A world that is connected to the master, and the masters that were noticed."""
    world = World()
    factory: Any = object()
    world.endpoint.connect(factory)
    world.answer(1, naming(MASTER))
    moved: list[Server] = []
    return world, MasterWatch(world.endpoint, world.clock, moved.append), moved


def test_another_master_is_noticed() -> None:
    world, watch, moved = watched()
    world.clock.advance(WATCH_SECONDS)
    world.answer(1, naming(MASTER))
    world.clock.advance(WATCH_SECONDS)
    world.asked(1).fail()
    world.asked(2).fail()
    world.clock.advance(WATCH_SECONDS)
    assert moved == []
    world.answer(1, naming(OTHER))
    assert moved == [OTHER]
    watch.stop()
    assert world.clock.getDelayedCalls() == []


def test_nobody_is_asked_after_the_end_of_the_watch() -> None:
    world, watch, moved = watched()
    world.clock.advance(WATCH_SECONDS)
    watch.stop()
    assert world.asked(1).cancelled
    world.clock.advance(10 * WATCH_SECONDS)
    assert len(world.sentinels[0].attempts) == 2
    assert moved == []
