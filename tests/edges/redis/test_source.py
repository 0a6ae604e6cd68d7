"""A Redis source by itself: when it connects, what it says, what it reads, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from OpenSSL import SSL
from twisted.internet.error import DNSLookupError, NoRouteError
from twisted.internet.error import TimeoutError as ConnectTimeout

from tests.edges.redis.redis_in_memory import (
    ADDRESS,
    RedisWorld,
    command,
    message,
    pmessage,
)
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.ledger import Source
from wampush.config.checks.redis import RedisUrl
from wampush.edges.redis import connection as redis_connection
from wampush.edges.redis import source as redis_source
from wampush.edges.redis.connection import ANSWER_SECONDS, DRAIN_SECONDS, PING_SECONDS
from wampush.edges.redis.source import LONGEST_DELAY, STEADY_SECONDS
from wampush.errors import OperatorError, Refusal

SECRET = "correct horse"
WITH_PASSWORD = RedisUrl("redis.example.com", password=SECRET)
WITH_USER = RedisUrl("redis.example.com", user="live", password=SECRET)
BACK = f"{ADDRESS}: is back after 0 s; taking pushes from 'orders', 'live_*'"


# When it connects.


@pytest.mark.parametrize(
    ("failures", "longest"),
    [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (6, LONGEST_DELAY), (10**9, LONGEST_DELAY)],
)
def test_delays_double_up_to_a_limit_and_vary_by_half(failures: int, longest: float) -> None:
    assert redis_source.delay(failures, 0.0) == longest
    assert redis_source.delay(failures, 1.0) == longest / 2
    assert longest / 2 < redis_source.delay(failures, 0.3) < longest


def test_a_redis_that_is_down_is_tried_at_growing_intervals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = RedisWorld(monkeypatch)
    for seconds in (0.5, 1, 2, 4, 8, LONGEST_DELAY, LONGEST_DELAY):
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
        world.clock.advance(LONGEST_DELAY)
        world.attempt.fail()
    world.clock.advance(LONGEST_DELAY)
    world.subscribe()
    assert world.lines[1:] == [
        f"{ADDRESS}: it closed the connection; trying again until it answers",
        f"{ADDRESS}: is back after 90 s; taking pushes from 'orders', 'live_*'",
    ]
    world.clock.advance(STEADY_SECONDS)
    world.attempt.lose(clean=False)
    assert world.lines[3:] == [f"{ADDRESS}: the connection was lost; trying again until it answers"]


def test_a_redis_that_comes_and_goes_is_tried_at_growing_intervals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = RedisWorld(monkeypatch)
    for seconds in (0.5, 1, 2, 4, 8, LONGEST_DELAY):
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
    problem = "it refuses connections (is Redis running?)"
    assert world.status() == {**state, "problem": problem}
    world.clock.advance(5)
    world.subscribe().says(message(b"orders", b"1"), message(b"orders", b"{"))
    since = {"state": "connected", "since": 5.0}
    assert world.status() == {**state, **since, "problem": problem, "messages": 2}
    world.clock.advance(3)
    world.attempt.lose()
    since = {"state": "connecting", "since": 8.0}
    problem = "it closed the connection"
    assert world.status() == {**state, **since, "problem": problem, "messages": 2}


FAILURES = [
    (DNSLookupError(), "its host name is unknown"),
    (ConnectTimeout(), "the connection takes too long"),
    (NoRouteError(113, "No route to host"), "the connection failed (NoRouteError, error 113)"),
    (
        SSL.Error([("SSL routines", "", "certificate verify failed")]),
        "TLS failed: 'certificate verify failed'",
    ),
    (SSL.Error(), "TLS failed (does it speak TLS at this port?)"),
]


@pytest.mark.parametrize(("error", "problem"), FAILURES)
def test_why_there_is_no_connection(
    monkeypatch: pytest.MonkeyPatch, error: Exception, problem: str
) -> None:
    world = RedisWorld(monkeypatch)
    world.attempt.fail(error)
    assert world.status()["problem"] == problem


# Login.


def test_commands_go_out_at_once_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch, ("orders", "a?*"), url=WITH_USER)
    world.attempt.succeed()
    assert world.attempt.sent() == (
        command(b"AUTH", b"live", SECRET.encode())
        + command(b"SUBSCRIBE", b"orders")
        + command(b"PSUBSCRIBE", rb"a\?*")
    )


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


ANSWERS = [
    (
        "WRONGPASS invalid username-password pair or user is disabled.",
        "user or password is wrong",
    ),
    ("ERR invalid password", "the password is wrong"),
    ("NOAUTH Authentication required.", "it wants a password, and none is set here"),
    (
        "ERR AUTH <password> called without any password configured for the default user. Are",
        "it has no password; one is set here",
    ),
    ("ERR max number of clients reached", "it has as many clients as it takes"),
    (
        "DENIED Redis is running in protected mode because protected mode is enabled",
        "it is in protected mode, which lets in nobody from another machine",
    ),
    (
        "NOPERM this user has no permissions to access one of the channels used as arguments",
        "its access control list does not let this user subscribe to all of the channels",
    ),
    (
        f"ERR unknown command 'AUTH', with args beginning with: '{SECRET}'",
        "it answered with error ERR",
    ),
    (f"WEIRD {SECRET}", "it answered with error WEIRD"),
    (SECRET, "it answered with an error"),
]


@pytest.mark.parametrize(("answer", "problem"), ANSWERS)
def test_a_refused_login_is_said_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, answer: str, problem: str
) -> None:
    world = RedisWorld(monkeypatch, url=WITH_USER)
    for _ in range(4):
        world.attempt.succeed()
        world.attempt.says(f"-{answer}\r\n-NOAUTH no\r\n-NOAUTH no\r\n".encode())
        assert world.attempt.is_ending()
        world.attempt.lose(clean=False)
        world.clock.advance(LONGEST_DELAY)
    assert world.lines == [f"{ADDRESS}: {problem}; trying again until it answers"]
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
        world.clock.advance(LONGEST_DELAY)
    assert len(world.lines) <= 8
    assert all(len(line) < 200 for line in world.lines)


def test_a_redis_that_does_not_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    world.attempt.succeed()
    world.attempt.says(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    world.clock.advance(ANSWER_SECONDS)
    assert world.attempt.is_ending()
    world.attempt.lose()
    assert world.status()["problem"] == "it does not answer within 10 s"


@pytest.mark.parametrize(
    "noise",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"+PONG\r\n",
        b":1\r\n",
        command(b"message", b"orders")[:-2] + b"xx",
        b"*3\r\n$7\r\nmessage\r\n$-1\r\n$-1\r\n",
        b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n:1\r\n",
    ],
)
def test_what_nobody_asked_for_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, noise: bytes
) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    attempt.says(noise)
    assert attempt.is_ending()
    attempt.says(message(b"orders", b"1"))
    attempt.lose()
    assert "does Redis listen at this port?" in world.status()["problem"]
    assert world.seen == []


def test_lists_that_nobody_asked_for_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    for _ in range(50):
        attempt.says(command(b"pong", b""), command(b"a", b"b", b"c", b"d"))
    assert attempt.protocol.replyQueue.pending == []
    attempt.says(message(b"orders", b"1"))
    assert world.payloads == [("orders", b"1")]


def test_an_error_that_nobody_asked_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    attempt.says(b"-ERR max number of clients reached\r\n")
    attempt.lose()
    assert world.status()["problem"] == "it has as many clients as it takes"


# Signs of life.


def test_a_silent_redis_is_asked_and_then_left(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    for _ in range(3):
        world.clock.advance(PING_SECONDS)
        assert attempt.sent() == b""
        world.clock.advance(PING_SECONDS)
        assert attempt.sent() == command(b"PING")
        attempt.says(command(b"pong", b""))
    world.clock.pump([PING_SECONDS, PING_SECONDS])
    assert not attempt.is_ending()
    world.clock.advance(PING_SECONDS)
    attempt.lose()
    assert world.status()["problem"] == "nothing came for 60 s, not even an answer to PING"


def test_a_redis_that_has_much_to_say_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    for _ in range(5):
        world.clock.advance(PING_SECONDS)
        attempt.says(message(b"orders", b"1"))
    assert attempt.sent() == b""


def test_a_refused_ping_is_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    for _ in range(3):
        world.clock.pump([PING_SECONDS, PING_SECONDS])
        attempt.says(b"-NOPERM this user has no permissions to run the 'ping' command\r\n")
    assert not attempt.is_ending()


def test_while_reading_pauses_nobody_waits_for_a_sign_of_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    world.pressure.hold(Hold.TOTAL)
    attempt.says(message(b"orders", b"1"))
    world.clock.advance(10 * PING_SECONDS)
    assert attempt.sent() == b""
    world.pressure.release(Hold.TOTAL)
    world.clock.advance(PING_SECONDS)
    assert not attempt.is_ending()
    assert attempt.sent() == command(b"PING")
    assert world.payloads == [("orders", b"1")]


# Messages.


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
    assert line.startswith(f"refused redis from {ADDRESS} '")


def test_the_longest_message_is_that_of_a_push(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch, max_message_bytes=5000)
    payload = b'"' + b"x" * (5000 - len("orders") - 2) + b'"'
    attempt = world.subscribe()
    attempt.says(message(b"orders", payload), message(b"orders", payload + b" "))
    assert world.payloads == [("orders", payload)]
    assert world.refused() == {Refusal.TOO_LARGE: 1}


# How much is read, and when.


def test_a_turn_hands_over_a_bounded_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_connection, "TURN_MESSAGES", 10)
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    shares: list[int] = []
    monkeypatch.setattr(world.node.broker.fanout, "flush", lambda: shares.append(len(world.seen)))
    attempt.says(25 * message(b"orders", b"1"))
    assert attempt.transport.paused
    assert shares == [10]
    world.clock.advance(0)
    assert shares == [10, 20, 25]
    assert not attempt.transport.paused


def test_large_messages_use_up_the_share_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch, queue_bytes=4096)
    attempt = world.subscribe()
    attempt.says(6 * message(b"orders", b'"' + b"x" * 400 + b'"'))
    assert len(world.seen) == 3
    world.clock.advance(0)
    assert len(world.seen) == 6


def test_a_share_ends_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_connection, "TURN_SECONDS", -1.0)
    world = RedisWorld(monkeypatch)
    attempt = world.attempt
    attempt.succeed()
    attempt.says(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    world.clock.advance(0)
    attempt.says(b"*3\r\n$10\r\npsubscribe\r\n$1\r\nc\r\n:1\r\n")
    world.clock.advance(0)
    attempt.says(3 * message(b"orders", b"1"))
    assert len(world.seen) == 1


def test_reading_pauses_while_clients_can_not_keep_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    world.pressure.hold(Hold.CROWD)
    attempt.says(message(b"orders", b"1"))
    assert attempt.transport.paused
    # TLS hands on what it had taken already.
    attempt.says(message(b"orders", b"2"))
    world.clock.advance(1)
    assert world.seen == []
    world.pressure.release(Hold.CROWD)
    assert world.seen == []
    world.clock.advance(0)
    assert world.payloads == [("orders", b"1"), ("orders", b"2")]
    assert not attempt.transport.paused


def test_reading_pauses_in_the_middle_of_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_connection, "TURN_MESSAGES", 10)
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    world.on_publish = lambda: world.pressure.hold(Hold.TOTAL)
    attempt.says(15 * message(b"orders", b"1"))
    world.clock.advance(1)
    assert len(world.seen) == 10
    world.on_publish = lambda: None
    world.pressure.release(Hold.TOTAL)
    world.clock.advance(0)
    assert len(world.seen) == 15
    assert not attempt.transport.paused


def test_the_answers_to_a_login_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    world.pressure.hold(Hold.TOTAL)
    attempt = world.subscribe()
    attempt.says(message(b"orders", b"1"))
    assert world.seen == []
    assert attempt.transport.paused


def test_a_connection_that_is_lost_in_a_pause_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    world.pressure.hold(Hold.TOTAL)
    attempt.says(message(b"orders", b"1"))
    attempt.lose()
    world.pressure.release(Hold.TOTAL)
    world.clock.advance(1)
    assert world.seen == []
    assert world.subscribe() is not attempt


def test_the_loss_of_another_connection_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    first = world.subscribe()
    first.lose()
    world.clock.advance(1)
    world.subscribe()
    first.lose()
    assert world.status()["state"] == "connected"


# The end, and new files.


def stopped(world: RedisWorld) -> list[object]:
    outcome: list[object] = []
    world.redis.stop().addCallback(outcome.append)
    return outcome


def timers(world: RedisWorld) -> list[object]:
    return list(world.clock.getDelayedCalls())


def test_what_was_published_before_the_end_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    outcome = stopped(world)
    assert attempt.sent() == command(b"UNSUBSCRIBE", b"orders") + command(
        b"PUNSUBSCRIBE", b"live_*"
    )
    attempt.says(message(b"orders", b"1"), b"*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:1\r\n")
    assert not attempt.is_ending()
    attempt.says(pmessage(b"live_*", b"live_x", b"2"))
    attempt.says(b"*3\r\n$12\r\npunsubscribe\r\n$1\r\nc\r\n:0\r\n")
    assert attempt.is_ending()
    assert world.payloads == [("orders", b"1"), ("live_x", b"2")]
    assert outcome == []
    attempt.lose()
    assert outcome == [[None]]
    assert timers(world) == []
    assert len(world.lines) == 1


def test_the_end_does_not_wait_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    outcome = stopped(world)
    world.clock.advance(DRAIN_SECONDS)
    assert attempt.is_ending()
    attempt.lose(clean=False)
    assert outcome == [[None]]
    assert timers(world) == []


def test_the_end_in_the_middle_of_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    world.attempt.succeed()
    world.attempt.sent()
    outcome = stopped(world)
    assert world.attempt.sent() == b""
    assert world.attempt.is_ending()
    world.attempt.says(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    world.attempt.says(b"*3\r\n$10\r\npsubscribe\r\n$1\r\nc\r\n:1\r\n")
    world.attempt.lose()
    assert outcome == [[None]]
    assert world.lines == []
    assert timers(world) == []


def test_the_end_while_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    assert stopped(world) == [[None]]
    assert world.attempt.cancelled
    assert timers(world) == []
    assert world.lines == []


def test_the_end_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    world.attempt.fail()
    assert stopped(world) == [[None]]
    assert timers(world) == []


def test_the_end_of_a_connection_that_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    attempt.says(b"nonsense\r\n")
    outcome = stopped(world)
    assert outcome == []
    attempt.lose()
    assert outcome == [[None]]
    assert timers(world) == []


def test_new_files_are_tried_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("old", encoding="utf-8")
    world = RedisWorld(monkeypatch, password_file=str(path))
    world.attempt.succeed()
    world.attempt.says(b"-WRONGPASS no\r\n")
    world.attempt.lose()
    path.write_text("new", encoding="utf-8")
    world.redis.reload()
    assert (
        world.lines[-1]
        == f"{ADDRESS}: password and certificates read again, for the next connection"
    )
    world.clock.advance(0)
    world.attempt.succeed()
    assert world.attempt.sent().startswith(command(b"AUTH", b"new"))


def test_new_files_that_can_not_be_used_change_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text("old", encoding="utf-8")
    world = RedisWorld(monkeypatch, password_file=str(path))
    path.unlink()
    world.redis.reload()
    (line,) = world.lines
    assert line.startswith(f"{ADDRESS} goes on with the password and certificates it has: redis_s")
    world.attempt.succeed()
    assert world.attempt.sent().startswith(command(b"AUTH", b"old"))
