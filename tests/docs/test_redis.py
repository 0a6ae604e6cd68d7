"""The guide to Redis can be followed: its lines are run against a real Redis."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.guides import blocks_in
from tests.support.pages import PageServer
from tests.support.php import php_program
from tests.support.raw_client import RawClient
from tests.support.redis_server import RedisServer, redis_program, running_redis
from tests.support.waiting import PATIENCE, eventually

GUIDE = "docs/howto/redis-as-a-source.md"
EVENT = {"id": 17, "state": "paid"}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as server:
        yield server


@contextlib.contextmanager
def following(folder: Path, redis: RedisServer, number: int) -> Iterator[Daemon]:
    """A daemon with one configuration of the guide."""
    path = folder / "wampush.toml"
    text = blocks_in(GUIDE, "toml")[number]
    path.write_text(on(redis, text), encoding="utf-8")
    with running_daemon(folder, extra=["--config", str(path)]) as daemon:
        entries = text.count("[[redis_source]]")
        daemon.wait_for_log(lambda log: log.count("taking pushes from") == entries)
        yield daemon


def on(redis: RedisServer, code: str) -> str:
    """An example with the port of the test's Redis."""
    assert "6379" in code
    return code.replace("6379", str(redis.port))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_publishing_from_shell_and_php_reaches_a_page(
    redis: RedisServer, tmp_path: Path, browser: Browser, pages: PageServer
) -> None:
    with following(tmp_path, redis, 0) as daemon:
        (script,) = blocks_in(GUIDE, "js")
        pages.files["/redis.html"] = (
            '<!doctype html><script src="/autobahn.min.js"></script>'
            f"<script>ab.connect('{daemon.websocket_url}', function (session) {{{script}}},"
            "function () {}, {skipSubprotocolCheck: true});</script>"
        ).encode()
        page = browser.open("about:blank")
        said: list[str] = []
        page.on("console", lambda line: said.append(line.text) if line.type == "log" else None)
        page.goto(f"{pages.url}/redis.html")
        eventually(lambda: daemon.health()["topics"], lambda topics: topics == 1)
        (line,) = blocks_in(GUIDE, "sh")
        program, *words = shlex.split(on(redis, line))
        assert run(redis_program(program), *words).strip() == "1"
        (code,) = blocks_in(GUIDE, "php")
        run(php_program(), "-r", on(redis, code))
        # The page's events come in whenever it is asked something.
        eventually(
            lambda: (page.title(), list(said)),
            lambda seen: seen[1] == ["live_orders 17 paid"] * 2,
        )


def test_topics_are_mapped_as_described(redis: RedisServer, tmp_path: Path) -> None:
    with (
        following(tmp_path, redis, 1) as daemon,
        RawClient(daemon.websocket_port) as client,
        redis.client() as backend,
    ):
        for topic, channel in (
            ("shop.shop_database_live", "shop_database_live"),
            ("notices", "deploy"),
            ("notices", "incident"),
        ):
            client.subscribe(topic)
            assert backend.publish(channel, '{"id": 17, "state": "paid"}') == 1
            assert client.receive() == [8, topic, EVENT]


def test_a_prefix_is_left_out_of_the_topic_as_described(redis: RedisServer, tmp_path: Path) -> None:
    with (
        following(tmp_path, redis, 2) as daemon,
        RawClient(daemon.websocket_port) as client,
        redis.client() as backend,
    ):
        client.subscribe("orders")
        assert backend.publish("laravel_database_orders", '{"id": 17, "state": "paid"}') == 1
        assert client.receive() == [8, "orders", EVENT]


def test_the_lines_of_the_log_are_those_described(tmp_path: Path) -> None:
    block = next(block for block in blocks_in(GUIDE, "text") if "retrying" in block)
    path = tmp_path / "wampush.toml"
    with running_redis(tmp_path, "--requirepass", "right") as redis:
        text = blocks_in(GUIDE, "toml")[0].replace("redis://", "redis://:right@")
        path.write_text(on(redis, text), encoding="utf-8")
        lost, refused, back = without_seconds(on(redis, block)).splitlines()
        with running_daemon(tmp_path, extra=["--config", str(path)]) as daemon:
            daemon.wait_for_line("taking pushes from")
            redis.stop()
            daemon.wait_for_log(lambda log: lost in log)
            redis.options = ["--requirepass", "wrong"]
            redis.start()
            daemon.wait_for_log(lambda log: refused in log)
            with redis.client() as operator:
                operator.do("AUTH", "wrong")
                operator.do("CONFIG", "SET", "requirepass", "right")
            daemon.wait_for_log(lambda log: back in without_seconds(log))


def without_seconds(text: str) -> str:
    """A log in which no time counts."""
    return re.sub(r"after \d+ s", "after N s", text)
