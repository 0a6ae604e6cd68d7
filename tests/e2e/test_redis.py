"""The daemon and Redis: byte for byte to a page, back after a restart, and no password anywhere."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, running_daemon
from tests.support.raw_client import RawClient
from tests.support.redis_server import RedisClient, RedisServer, running_redis
from tests.support.waiting import eventually

SECRET = "correct-horse"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as server:
        yield server


def table(url: str, channels: Sequence[str], **more: str) -> str:
    """One entry in TOML."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in more.items()]
    head = f'[[redis_source]]\nurl = "{url}"\nchannels = {json.dumps(list(channels))}\n'
    return head + "\n".join([*lines, ""])


@contextlib.contextmanager
def daemon_with(folder: Path, text: str) -> Iterator[Daemon]:
    """A daemon with this configuration."""
    path = folder / "wampush.toml"
    path.write_text(text, encoding="utf-8")
    with running_daemon(folder, extra=["--config", str(path)]) as daemon:
        yield daemon


def sources(daemon: Daemon) -> list[dict[str, Any]]:
    """What /healthz says of the sources."""
    found: list[dict[str, Any]] = daemon.health()["redis_sources"]
    return found


def until_connected(daemon: Daemon) -> None:
    daemon.wait_for_line("taking pushes from")


def test_a_message_reaches_a_page_byte_for_byte(redis: RedisServer, tmp_path: Path) -> None:
    payload = '{"price": 1.0, "é": "ü\\u00fc", "long": 12345678901234567890, "o": { }}'
    with daemon_with(tmp_path, table(redis.url, ["live_*"])) as daemon:
        until_connected(daemon)
        with RawClient(daemon.websocket_port) as client:
            client.subscribe("live_orders")
            redis.publish("live_orders", payload)
            assert client.receive_text() == f'[8,"live_orders",{payload}]'
        assert daemon.health()["refusals"] == {}


def test_names_patterns_and_mapped_topics_reach_their_pages(
    redis: RedisServer, tmp_path: Path
) -> None:
    text = table(redis.url, ["orders", "live_*"], topic="shop.{channel}")
    text += table(redis.url, ["deploy"], topic="notices")
    with daemon_with(tmp_path, text) as daemon:
        eventually(
            lambda: [each["state"] for each in sources(daemon)],
            lambda states: states == ["connected", "connected"],
        )
        with RawClient(daemon.websocket_port) as client:
            for topic in ("shop.orders", "shop.live_x", "notices"):
                client.subscribe(topic)
            for channel in ("orders", "live_x", "deploy", "other"):
                redis.publish(channel, f'"{channel}"')
            # Two connections to Redis: what comes over one does not wait for the other.
            found = sorted(client.receive()[1:] for _ in range(3))
            assert found == [
                ["notices", "deploy"],
                ["shop.live_x", "live_x"],
                ["shop.orders", "orders"],
            ]


def test_bad_messages_are_seen_by_the_operator_and_by_nobody_else(
    redis: RedisServer, tmp_path: Path
) -> None:
    with daemon_with(tmp_path, table(redis.url, ["live_*"])) as daemon:
        until_connected(daemon)
        with RawClient(daemon.websocket_port) as client:
            client.subscribe("live_x")
            redis.publish("live_x", "{", b"\xff", "", b'"' + b"x" * 1_048_576 + b'"', "1")
            assert client.receive() == [8, "live_x", 1]
        health = daemon.health()
        assert health["refusals"] == {"not-json": 1, "not-utf8": 1, "empty": 1, "too-large": 1}
        assert health["redis_sources"][0]["messages"] == 5
        line = f"refused Redis message from {redis.url} 'live_x': not-json: "
        daemon.wait_for_log(lambda log: line in log)


def test_a_redis_that_restarts_is_found_again_and_two_lines_say_so(
    redis: RedisServer, tmp_path: Path
) -> None:
    with daemon_with(tmp_path, table(redis.url, ["live_*"])) as daemon:
        until_connected(daemon)
        with RawClient(daemon.websocket_port) as client:
            client.subscribe("live_x")
            redis.stop()
            daemon.wait_for_line("; retrying until it succeeds")
            (source,) = sources(daemon)
            assert source["state"] == "connecting"
            assert daemon.health()["status"] == "ok"
            redis.start()
            daemon.wait_for_line("connected again after")
            redis.publish("live_x", "1")
            assert client.receive() == [8, "live_x", 1]
        lines = [line for line in daemon.lines if redis.url in line]
        assert len(lines) == 3, lines
        assert sources(daemon)[0]["state"] == "connected"


def test_a_redis_that_is_down_does_not_stop_the_start(redis: RedisServer, tmp_path: Path) -> None:
    redis.stop()
    with daemon_with(tmp_path, table(redis.url, ["live_*"])) as daemon:
        problem = "connection refused (is Redis running?)"
        daemon.wait_for_line(f"{redis.url}: {problem}; retrying")
        assert sources(daemon)[0]["problem"] == problem
        redis.start()
        until_connected(daemon)


def test_a_wrong_password_is_said_once_and_the_right_one_needs_no_restart(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("wrong-horse", encoding="utf-8")
    with running_redis(tmp_path, "--requirepass", SECRET) as redis:
        url = redis.url.replace("://", "://default@")
        with daemon_with(tmp_path, table(url, ["live_*"], password_file=str(password))) as daemon:
            problem = "wrong user or password"
            daemon.wait_for_line(f"{redis.url}: {problem}; retrying")
            with redis.client() as operator:
                operator.do("AUTH", SECRET)
                # The operator's own is one of them.
                eventually(lambda: connections(operator), lambda count: count >= 4)
            assert daemon.log.count(problem) == 1
            password.write_text(f"{SECRET}\n", encoding="utf-8")
            os.kill(daemon.pid, signal.SIGHUP)
            until_connected(daemon)
            told = daemon.log + json.dumps(daemon.health())
            assert SECRET not in told
            assert "wrong-horse" not in told
            assert "default@" not in told


def connections(operator: RedisClient) -> int:
    """How many connections Redis has taken since it started."""
    statistics = operator.do("INFO", "stats")
    assert isinstance(statistics, bytes)
    (line,) = (each for each in statistics.split() if each.startswith(b"total_connections_rec"))
    return int(line.partition(b":")[2])


def test_the_documented_access_list_is_enough(tmp_path: Path) -> None:
    howto = Path(__file__).parents[2] / "docs" / "howto" / "redis-as-a-source.md"
    (line,) = (
        line
        for line in howto.read_text(encoding="utf-8").splitlines()
        if line.startswith("ACL SETUSER")
    )
    with running_redis(tmp_path) as redis:
        with redis.client() as operator:
            operator.do(*line.replace("PASSWORD", SECRET).split())
        url = redis.url.replace("://", f"://live:{SECRET}@")
        with daemon_with(tmp_path, table(url, ["live_*"])) as daemon:
            until_connected(daemon)
            with RawClient(daemon.websocket_port) as client:
                client.subscribe("live_x")
                redis.publish("live_x", "1")
                assert client.receive() == [8, "live_x", 1]
            assert SECRET not in daemon.log
        with daemon_with(tmp_path, table(url, ["live_*", "orders"])) as daemon:
            problem = "the access control list of Redis does not let this user use all channels"
            daemon.wait_for_log(lambda log: problem in log)


def test_a_stop_delivers_what_redis_has_taken_and_leaves_nothing(
    redis: RedisServer, tmp_path: Path
) -> None:
    with daemon_with(tmp_path, table(redis.url, ["live_*"])) as daemon:
        until_connected(daemon)
        with RawClient(daemon.websocket_port) as client, redis.client() as backend:
            client.subscribe("live_x")
            # So few that a busy machine reads them in the two seconds that a stop leaves for it.
            for number in range(500):
                backend.send("PUBLISH", "live_x", number)
            for _ in range(500):
                assert backend.answer() == 1
            daemon.stop()
            assert [client.receive() for _ in range(500)] == [
                [8, "live_x", number] for number in range(500)
            ]
            assert backend.do("PUBSUB", "NUMPAT") == 0
    assert not list(tmp_path.glob("*.rdb"))


def test_a_stop_while_redis_is_away_is_a_stop(redis: RedisServer, tmp_path: Path) -> None:
    redis.stop()
    with daemon_with(tmp_path, table(redis.url, ["live_*"])) as daemon:
        daemon.wait_for_line("retrying")
