"""A Redis source by itself: when it connects, what it logs, what it publishes, how it stops."""

from __future__ import annotations

from pathlib import Path

import pytest
from OpenSSL import SSL
from twisted.internet.error import DNSLookupError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.edges.redis.redis_in_memory import (
    ADDRESS,
    Endpoint,
    RedisWorld,
    command,
    message,
    pmessage,
)
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.ledger import Source
from wampush.config.checks.redis import RedisUrl
from wampush.edges.redis.source import STEADY_SECONDS
from wampush.errors import OperatorError, Refusal
from wampush.net.redis.error_descriptions import problem_of_failure
from wampush.net.redis.retries import MAX_DELAY
from wampush.net.redis.sentinel import WATCH_SECONDS, Sentinel, SentinelEndpoint, Server

SECRET = "correct horse"
WITH_USER = RedisUrl("redis.example.com", user="live", password=SECRET)


def test_a_redis_that_is_down_is_tried_at_growing_intervals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = RedisWorld(monkeypatch)
    for seconds in (0.5, 1, 2, 4, 8, MAX_DELAY, MAX_DELAY):
        world.attempt.fail()
        count = len(world.endpoint.attempts)
        world.clock.advance(seconds - 0.01)
        assert len(world.endpoint.attempts) == count
        world.clock.advance(0.02)
        assert len(world.endpoint.attempts) == count + 1


def test_one_line_says_that_it_is_away_and_one_that_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = RedisWorld(monkeypatch)
    world.subscribe()
    assert world.lines == [f"{ADDRESS}: taking pushes from 'orders', 'live_*'"]
    world.clock.advance(STEADY_SECONDS)
    world.attempt.lose()
    for _ in range(5):
        world.clock.advance(MAX_DELAY)
        world.attempt.fail()
    world.clock.advance(MAX_DELAY)
    world.subscribe()
    assert world.lines[1:] == [
        f"{ADDRESS}: Redis closed the connection; retrying until it succeeds",
        f"{ADDRESS}: connected again after 90 s; taking pushes from 'orders', 'live_*'",
    ]
    world.clock.advance(STEADY_SECONDS)
    world.attempt.lose(clean=False)
    assert world.lines[3:] == [f"{ADDRESS}: the connection was lost; retrying until it succeeds"]


def test_a_redis_that_comes_and_goes_is_tried_at_growing_intervals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = RedisWorld(monkeypatch)
    for seconds in (0.5, 1, 2, 4, 8, MAX_DELAY):
        world.subscribe().lose()
        count = len(world.endpoint.attempts)
        world.clock.advance(seconds - 0.01)
        assert len(world.endpoint.attempts) == count
        world.clock.advance(0.02)
    world.subscribe()
    world.clock.advance(STEADY_SECONDS)
    world.attempt.lose()
    world.clock.advance(0.5)
    assert len(world.endpoint.attempts) == 8


def test_a_state_that_health_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    state = {
        "redis": ADDRESS,
        "channels": ["orders", "live_*"],
        "state": "connecting",
        "since": 0.0,
        "problem": None,
        "messages": 0,
    }
    assert world.node.inspection.status()["redis_sources"] == [state]
    world.attempt.fail()
    problem = "connection refused (is Redis running?)"
    assert world.status() == {**state, "problem": problem}
    world.clock.advance(5)
    world.subscribe().says(message(b"orders", b"1"), message(b"orders", b"{"))
    since = {"state": "connected", "since": 5.0}
    assert world.status() == {**state, **since, "problem": problem, "messages": 2}
    world.clock.advance(3)
    world.attempt.lose()
    since = {"state": "connecting", "since": 8.0}
    problem = "Redis closed the connection"
    assert world.status() == {**state, **since, "problem": problem, "messages": 2}


def test_a_password_file_is_read_without_its_line_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    world = RedisWorld(monkeypatch, password_file=str(path))
    world.attempt.succeed()
    assert world.attempt.sent().startswith(command(b"AUTH", SECRET.encode()))


@pytest.mark.parametrize("content", ["", "\n"])
def test_a_password_file_without_a_password_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "password"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(OperatorError, match=r"redis_source\[1\].password_file .* no password"):
        RedisWorld(monkeypatch, password_file=str(path))
    path.unlink()
    with pytest.raises(OperatorError, match="cannot be read"):
        RedisWorld(monkeypatch, password_file=str(path))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("WRONGPASS invalid username-password pair", "wrong user or password"),
        (f"ERR unknown command 'AUTH', with args: '{SECRET}'", "Redis answered with error ERR"),
        (SECRET, "Redis answered with an error"),
    ],
)
def test_a_refused_login_is_said_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, answer: str, problem: str
) -> None:
    world = RedisWorld(monkeypatch, url=WITH_USER)
    for _ in range(4):
        world.attempt.succeed()
        world.attempt.says(f"-{answer}\r\n-NOAUTH no\r\n-NOAUTH no\r\n".encode())
        assert world.attempt.is_ending()
        world.attempt.lose(clean=False)
        world.clock.advance(MAX_DELAY)
    assert world.lines == [f"{ADDRESS}: {problem}; retrying until it succeeds"]
    assert world.status()["problem"] == problem
    shown = repr((world.events, world.status(), world.redis._sources, world.attempt.protocol))
    assert SECRET not in shown
    assert "live" not in shown.replace("live_*", "")


def test_a_hostile_server_does_not_fill_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    for letter in "ABCDEFGHIJKLMNOP":
        world.attempt.succeed()
        world.attempt.says(f"-{letter * 4000}\r\n".encode())
        world.attempt.lose()
        world.clock.advance(MAX_DELAY)
    assert len(world.lines) <= 8
    assert all(len(line) < 200 for line in world.lines)


def test_messages_reach_their_topics_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch, topic="shop.{channel}")
    payload = '{"a": 1.0,\r\n"é": 12345678901234567890}'.encode()
    attempt = world.subscribe()
    attempt.says(message(b"orders", payload), pmessage(b"live_*", "live_é".encode(), b" {} "))
    assert world.payloads == [("shop.orders", payload), ("shop.live_é", b" {} ")]
    ledger = world.node.broker.ledger
    assert ledger.accepted[Source.REDIS] == ledger.received[Source.REDIS] == 2


def test_a_message_that_comes_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch, ("orders", "ord*", "*s"))
    attempt = world.attempt
    attempt.succeed()
    attempt.says(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    attempt.says(2 * b"*3\r\n$10\r\npsubscribe\r\n$1\r\nc\r\n:1\r\n")
    attempt.says(
        message(b"orders", b"1"),
        pmessage(b"ord*", b"orders", b"1"),
        pmessage(b"*s", b"orders", b"1"),
        pmessage(b"ord*", b"ords", b"2"),
        pmessage(b"*s", b"ords", b"2"),
        pmessage(b"*s", b"xs", b"3"),
    )
    assert world.payloads == [("orders", b"1"), ("ords", b"2"), ("xs", b"3")]
    assert world.status()["messages"] == 3


REFUSED = [
    (b"live_x", b"", Refusal.EMPTY),
    (b"live_x", b"{", Refusal.NOT_JSON),
    (b"live_x", b"NaN", Refusal.NOT_JSON),
    (b"live_x", b'"\xff"', Refusal.NOT_UTF8),
    (b"live_\xff", b"1", Refusal.NOT_UTF8),
    (b"", b"1", Refusal.TOPIC_EMPTY),
    (b"wampush.presence.num_online", b"1", Refusal.TOPIC_RESERVED),
    (b"live_" + b"x" * 1020, b"1", Refusal.TOPIC_TOO_LONG),
    (b"live_x", b'"' + b"x" * 4995 + b'"', Refusal.TOO_LARGE),
    (b"live_x", b'"' + b"x" * 100_000 + b'"', Refusal.TOO_LARGE),
    (b"x" * 100_000, b"1", Refusal.TOO_LARGE),
]


@pytest.mark.parametrize(("channel", "payload", "refusal"), REFUSED)
def test_bad_messages_are_refused_and_nothing_else_is_harmed(
    monkeypatch: pytest.MonkeyPatch, channel: bytes, payload: bytes, refusal: Refusal
) -> None:
    world = RedisWorld(monkeypatch, ("*",), max_message_bytes=5000)
    world.attempt.succeed()
    world.attempt.says(b"*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n")
    world.attempt.says(
        pmessage(b"*", b"a", b"1"), pmessage(b"*", channel, payload), pmessage(b"*", b"a", b"2")
    )
    world.clock.advance(0)
    assert world.payloads == [("a", b"1"), ("a", b"2")]
    assert world.refused() == {refusal: 1}
    (refused,) = world.node.inspection.refusals()
    origin = str(refused["origin"])
    assert origin.startswith(f"{ADDRESS} '")
    assert len(origin) < len(ADDRESS) + 90
    assert len(str(refused["excerpt"])) <= 200
    (line,) = world.refused_lines
    assert line.startswith(f"refused Redis message from {ADDRESS} '")


def test_the_loss_of_another_connection_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    first = world.subscribe()
    first.lose()
    world.clock.advance(1)
    world.subscribe()
    world.redis._sources[0].on_lost(first.protocol, "too late")
    assert world.status()["state"] == "connected"


def test_the_end_while_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    assert world.stop() == [[None]]
    assert world.attempt.cancelled
    assert world.timers == []
    assert world.lines == []


def test_the_end_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    world.attempt.fail()
    assert world.stop() == [[None]]
    assert world.timers == []


@pytest.mark.parametrize("error", [DNSLookupError(), SSL.Error()])
def test_why_there_is_no_connection_is_in_the_state(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    world = RedisWorld(monkeypatch)
    world.attempt.fail(error)
    assert world.status()["problem"] == problem_of_failure(Failure(error))


def test_a_source_stops_once_its_connection_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    outcome = world.stop()
    assert outcome == []
    assert world.status()["state"] == "connected"
    attempt.lose()
    assert outcome == [[None]]
    assert world.status()["state"] == "connecting"
    # Stopping once more changes nothing.
    assert world.stop() == [[None]]
    assert world.timers == []


def test_new_credentials_are_tried_at_once_while_a_source_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text("old", encoding="utf-8")
    world = RedisWorld(monkeypatch, password_file=str(path))
    world.attempt.fail()
    path.write_text("new", encoding="utf-8")
    (source,) = world.redis._sources
    source.reload()
    world.clock.advance(0)
    world.attempt.succeed()
    assert world.attempt.sent().startswith(command(b"AUTH", b"new"))
    source.reload()
    assert world.attempt.sent() == b""


def test_a_pause_ends_for_the_connection_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    (source,) = world.redis._sources
    source.wake()
    attempt = world.subscribe()
    world.pressure.hold(Hold.TOTAL)
    attempt.says(message(b"orders", b"1"))
    world.pressure.release(Hold.TOTAL)
    world.clock.advance(0)
    assert world.payloads == [("orders", b"1")]


def test_a_source_leaves_a_server_that_is_not_the_master_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sentinel, server, other = Endpoint(), Endpoint(), Endpoint()
    servers = {Server("10.0.0.5", 6379): server, Server("10.0.0.6", 6379): other}
    endpoint = SentinelEndpoint(
        [Sentinel(Server("10.0.0.1", 26379), sentinel)],
        "redis.example.com",
        b"",
        endpoint_of=servers.__getitem__,
        clock=Clock(),
    )
    world = RedisWorld(monkeypatch, connects_by=endpoint, sentinels=("10.0.0.1",))

    def names(host: bytes) -> None:
        sentinel.attempts[-1].succeed()
        sentinel.attempts[-1].says(command(host, b"6379"))

    names(b"10.0.0.5")
    world.endpoint = server
    first = world.subscribe()
    world.clock.advance(WATCH_SECONDS)
    names(b"10.0.0.6")
    assert first.transport.disconnected
    first.lose()
    address = "redis+sentinel://redis.example.com"
    assert world.status()["redis"] == address
    assert world.status()["problem"] == "the master is 10.0.0.6:6379 now"
    world.clock.advance(1)
    names(b"10.0.0.6")
    world.endpoint = other
    world.subscribe()
    outcome = world.stop()
    other.attempts[-1].lose()
    assert outcome == [[None]]
    assert world.timers == []


def test_a_source_says_why_it_gets_no_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    assert world.redis.problems() == [(ADDRESS, "it is not connected yet")]
    attempt = world.subscribe()
    assert world.redis.problems() == [(ADDRESS, "")]
    attempt.lose()
    assert world.redis.problems() == [(ADDRESS, "Redis closed the connection")]
