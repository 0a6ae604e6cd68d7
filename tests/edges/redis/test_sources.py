"""The sources of a node: their share of a turn, and reloading their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.edges.redis.redis_in_memory import ADDRESS, RedisWorld, command, message
from wampush.broker.delivery.backpressure import Hold
from wampush.errors import Refusal


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
        == f"{ADDRESS}: password and certificates reloaded; the next connection uses them"
    )
    world.clock.advance(0)
    world.attempt.succeed()
    assert world.attempt.sent().startswith(command(b"AUTH", b"new"))


def test_new_files_that_cannot_be_used_change_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text("old", encoding="utf-8")
    world = RedisWorld(monkeypatch, password_file=str(path))
    path.unlink()
    world.redis.reload()
    (line,) = world.lines
    assert line.startswith(
        f"{ADDRESS}: could not reload the password and certificates, keeping the old ones: "
        "redis_source[1].password_file "
    )
    world.attempt.succeed()
    assert world.attempt.sent().startswith(command(b"AUTH", b"old"))


def test_the_longest_message_is_that_of_a_push(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch, max_message_bytes=5000)
    payload = b'"' + b"x" * (5000 - len("orders") - 2) + b'"'
    attempt = world.subscribe()
    attempt.says(message(b"orders", payload), message(b"orders", payload + b" "))
    assert world.payloads == [("orders", payload)]
    assert world.refused() == {Refusal.TOO_LARGE: 1}


def test_all_sources_start_wake_and_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    world = RedisWorld(monkeypatch)
    attempt = world.subscribe()
    world.pressure.hold(Hold.TOTAL)
    attempt.says(message(b"orders", b"1"))
    world.pressure.release(Hold.TOTAL)
    world.clock.advance(0)
    assert world.payloads == [("orders", b"1")]
    outcome = world.stop()
    attempt.lose()
    assert outcome == [[None]]
