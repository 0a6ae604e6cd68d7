"""One connection to Redis: login, liveness, bounded shares, pauses, and how it ends."""

from __future__ import annotations

from functools import partial

import pytest

from tests.edges.redis.redis_in_memory import RedisWorld, command, message, pmessage
from wampush.broker.delivery.backpressure import Hold
from wampush.config.checks.redis import RedisUrl
from wampush.edges.redis import sources as redis_sources
from wampush.edges.redis.connection import ANSWER_SECONDS, DRAIN_SECONDS, PING_SECONDS
from wampush.net.turn_budget import TurnBudget

SECRET = "correct horse"
WITH_USER = RedisUrl("redis.example.com", user="live", password=SECRET)


def test_commands_go_out_at_once_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch, ("orders", "a?*"), url=WITH_USER)
    world.attempt.succeed()
    assert world.attempt.sent() == (
        command(b"AUTH", b"live", SECRET.encode())
        + command(b"SUBSCRIBE", b"orders")
        + command(b"PSUBSCRIBE", rb"a\?*")
    )


def test_a_redis_that_does_not_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    world.attempt.succeed()
    world.attempt.says(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    world.clock.advance(ANSWER_SECONDS)
    assert world.attempt.is_ending()
    world.attempt.lose()
    assert world.status()["problem"] == "no answer within 10 s"


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
def test_an_answer_without_a_question_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, noise: bytes
) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    attempt.says(noise)
    assert attempt.is_ending()
    attempt.says(message(b"orders", b"1"))
    attempt.lose()
    assert "does Redis listen on this port?" in world.status()["problem"]
    assert world.seen == []


def test_lists_without_a_question_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    for _ in range(50):
        attempt.says(command(b"pong", b""), command(b"a", b"b", b"c", b"d"))
    assert attempt.protocol.replyQueue.pending == []
    attempt.says(message(b"orders", b"1"))
    assert world.payloads == [("orders", b"1")]


def test_an_error_without_a_question_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    attempt.says(b"-ERR max number of clients reached\r\n")
    attempt.lose()
    assert world.status()["problem"] == "Redis has reached its maximum number of clients"


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
    assert world.status()["problem"] == "no data for 60 s, not even an answer to PING"


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


def test_a_turn_hands_over_a_bounded_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_sources, "TurnBudget", partial(TurnBudget, max_messages=10))
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
    monkeypatch.setattr(redis_sources, "TurnBudget", partial(TurnBudget, max_seconds=-1.0))
    world = RedisWorld(monkeypatch)
    attempt = world.attempt
    attempt.succeed()
    attempt.says(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    world.clock.advance(0)
    attempt.says(b"*3\r\n$10\r\npsubscribe\r\n$1\r\nc\r\n:1\r\n")
    world.clock.advance(0)
    attempt.says(3 * message(b"orders", b"1"))
    assert len(world.seen) == 1


def test_reading_pauses_while_clients_cannot_keep_up(monkeypatch: pytest.MonkeyPatch) -> None:
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
    monkeypatch.setattr(redis_sources, "TurnBudget", partial(TurnBudget, max_messages=10))
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


def test_what_was_published_before_the_end_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    outcome = world.stop()
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
    assert world.timers == []
    assert len(world.lines) == 1


def test_the_end_does_not_wait_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    outcome = world.stop()
    world.clock.advance(DRAIN_SECONDS)
    assert attempt.is_ending()
    attempt.lose(clean=False)
    assert outcome == [[None]]
    assert world.timers == []


def test_the_end_in_the_middle_of_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    world.attempt.succeed()
    world.attempt.sent()
    outcome = world.stop()
    assert world.attempt.sent() == b""
    assert world.attempt.is_ending()
    world.attempt.says(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    world.attempt.says(b"*3\r\n$10\r\npsubscribe\r\n$1\r\nc\r\n:1\r\n")
    world.attempt.lose()
    assert outcome == [[None]]
    assert world.lines == []
    assert world.timers == []


def test_the_end_of_a_connection_that_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    attempt.says(b"nonsense\r\n")
    outcome = world.stop()
    assert outcome == []
    attempt.lose()
    assert outcome == [[None]]
    assert world.timers == []


def test_a_pause_that_ends_while_a_share_is_read_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    world.pressure.hold(Hold.TOTAL)
    attempt.says(message(b"orders", b"1"), message(b"orders", b"2"))
    assert attempt.transport.paused

    def pause_and_release() -> None:
        world.pressure.hold(Hold.CROWD)
        world.pressure.release(Hold.CROWD)

    world.on_publish = pause_and_release
    world.pressure.release(Hold.TOTAL)
    world.clock.advance(0)
    assert len(world.seen) == 2
    assert attempt.transport.producerState == "producing"
    # What was scheduled in the middle of the share is not needed any more.
    assert len(world.timers) == 1


def test_a_connection_that_was_closed_twice_ends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    attempt.protocol.close()
    sent = attempt.sent()
    attempt.protocol.close()
    assert sent
    assert attempt.sent() == b""


def test_messages_are_timed_from_the_beginning_of_their_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    fanout = world.node.broker.fanout

    def publish_to_one() -> None:
        # Stands for a receiver.
        fanout.expect()
        world.clock.advance(0.001)

    world.on_publish = publish_to_one
    world.clock.advance(1)
    fanout._seconds = world.clock.seconds
    attempt.says(message(b"orders", b"1") + message(b"orders", b"2"))
    durations = fanout.push_timer.durations
    assert durations.count == 2
    assert durations.total == pytest.approx(0.004)
