"""A source and a real Redis: what is published arrives, also after a restart, a pause, a flood."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor as installed
from twisted.python.threadpool import ThreadPool

from tests.support.certificates import make_certificate
from tests.support.redis_server import RedisServer, running_redis, running_sentinel
from tests.support.waiting import PATIENCE, eventually
from wampush.broker.delivery.backpressure import Hold
from wampush.broker.ledger import Source
from wampush.broker.publication import Publication
from wampush.config.checks.redis import REDIS_ADDRESS
from wampush.config.settings import Settings
from wampush.config.tables.redis import RedisSourceSettings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.errors import Refusal
from wampush.net.redis import sentinel
from wampush.net.redis.replies import ReplyReader
from wampush.net.turn_budget import TURN_MESSAGES
from wampush.node.build import Node, build

reactor: Any = installed
SECRET = "correct-horse"


class Subscribed:
    """A node with sources, and the publications it made."""

    def __init__(self, *entries: RedisSourceSettings) -> None:
        self.node: Node = build(
            Settings(zmq=ZmqSettings(pull=()), redis_source=entries), reactor, 10
        )
        self.seen: list[Publication] = []
        self.node.broker._router.publish = self._publish  # type: ignore[method-assign]
        self.node.redis.start()

    def _publish(self, publication: Publication) -> int:
        self.seen.append(publication)
        return 0

    @property
    def payloads(self) -> list[tuple[str, bytes]]:
        return [(each.topic, each.payload) for each in self.seen]

    def states(self) -> list[object]:
        return [each["state"] for each in self.node.redis.status()]

    def problem(self) -> object:
        (status,) = self.node.redis.status()
        return status["problem"]

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, (len(self.seen), self.node.redis.status())
            reactor.iterate(0.01)

    def until_connected(self) -> None:
        self.until(lambda: set(self.states()) == {"connected"})

    def stop(self) -> None:
        ended: list[object] = []
        self.node.redis.stop().addCallback(ended.append)
        self.until(lambda: bool(ended))


def entry(url: str, *channels: str, **more: Any) -> RedisSourceSettings:
    """An entry as the configuration would make it."""
    checked: Any = REDIS_ADDRESS.check(url)
    return RedisSourceSettings(url=checked, channels=channels, **more)


@contextlib.contextmanager
def subscribed(*entries: RedisSourceSettings, connected: bool = True) -> Iterator[Subscribed]:
    running = Subscribed(*entries)
    try:
        if connected:
            running.until_connected()
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def _host_names() -> Iterator[None]:
    """Host names are looked up in threads, which only a reactor that runs would start."""
    before, reactor.threadpool = reactor.threadpool, ThreadPool(0, 2)
    reactor.threadpool.start()
    yield
    reactor.threadpool.stop()
    reactor.threadpool = before


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as server:
        yield server


def test_names_and_patterns_and_topics(redis: RedisServer) -> None:
    with (
        subscribed(
            entry(redis.url, "orders", "ord*", "*ers", "a?[b]\\*"),
            entry(f"{redis.url}/3", "live_*_x", topic="shop.{channel}"),
        ) as running,
        redis.client() as backend,
    ):
        # Redis counts each subscription that matches.
        assert backend.publish("orders", b'{"a": 1.0}') == 3
        assert backend.publish("users", b"1") == 1
        assert backend.publish("a?[b]\\", b"2") == 1
        assert backend.publish("ab\\", b"3") == 0
        running.until(lambda: len(running.seen) == 3)
        assert running.payloads == [("orders", b'{"a": 1.0}'), ("users", b"1"), ("a?[b]\\", b"2")]
        backend.do("SELECT", 7)
        assert backend.publish("live_1_x", "[]") == 1
        assert backend.publish("live_1_y", "[]") == 0
        running.until(lambda: len(running.seen) == 4)
        assert running.payloads[3:] == [("shop.live_1_x", b"[]")]


def test_a_unix_socket_and_a_prefix(tmp_path: Path) -> None:
    path = tmp_path / "redis sock"
    options = ["--unixsocket", str(path), "--requirepass", SECRET]
    url = f"unix://:{SECRET}@{str(path).replace(' ', '%20')}?db=3"
    with running_redis(tmp_path, *options) as redis:
        source = entry(url, "orders", "live_*", prefix="shop_database_")
        with subscribed(source) as running, redis.client() as backend:
            backend.do("AUTH", SECRET)
            for name in ("orders", "live_7"):
                assert backend.publish(f"shop_database_{name}", "1") == 1
                assert backend.publish(name, "1") == 0
            running.until(lambda: len(running.seen) == 2)
            assert running.payloads == [("orders", b"1"), ("live_7", b"1")]
            redis.stop()
            running.until(lambda: running.states() == ["connecting"])
            # The server has removed its socket.
            running.until(lambda: "there is no socket" in str(running.problem()))
            redis.start()
            running.until_connected()


def channels_at(server: RedisServer) -> list[object]:
    """The channels that have subscribers; none while the server ends connections."""
    try:
        with server.client() as client:
            found: Any = client.do("PUBSUB", "CHANNELS")
    except (OSError, ValueError):
        return []
    return list(found)


def test_the_source_follows_the_master_that_sentinels_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentinel, "WATCH_SECONDS", 0.2)
    password = tmp_path / "password"
    password.write_text(SECRET, encoding="utf-8")
    password.chmod(0o600)
    at_once = ["--repl-diskless-sync-delay", "0"]
    with (
        running_redis(tmp_path, *at_once) as first,
        running_redis(tmp_path, "--replicaof", f"127.0.0.1 {first.port}") as second,
    ):
        with second.client() as replica:
            eventually(
                lambda: str(replica.do("INFO", "replication")),
                lambda text: "status:up" in text,
            )
        with running_sentinel(tmp_path, first, SECRET) as operator:
            source = entry(
                "redis://mymaster",
                "orders",
                sentinels=("127.0.0.1:1", f"127.0.0.1:{operator.port}"),
                sentinel_password_file=str(password),
            )
            with subscribed(source) as running:
                first.publish("orders", "1")
                running.until(lambda: len(running.seen) == 1)
                eventually(
                    lambda: str(operator.do("SENTINEL", "REPLICAS", "mymaster")),
                    lambda text: "b'master-link-status', b'ok'" in text,
                )
                operator.do("SENTINEL", "FAILOVER", "mymaster")
                running.until(lambda: b"orders" in channels_at(second))
                second.publish("orders", "2")
                running.until(lambda: running.seen[-1].payload == b"2")
                assert len(running.seen) == 2


def test_bad_messages_are_refused_and_those_after_them_arrive(redis: RedisServer) -> None:
    bad: list[tuple[bytes, bytes]] = [
        (b"x", b""),
        (b"x", b"{"),
        (b"x", b"\xff"),
        (b"\xff", b"1"),
        (b"x" * 1025, b"1"),
        (b"x", b'"' + b"x" * 1_048_576 + b'"'),
        (b"x", b"x" * 10_000_000),
        (b"x" * 3_000_000, b"1"),
    ]
    with subscribed(entry(redis.url, "*")) as running, redis.client() as backend:
        ledger = running.node.broker.ledger
        for channel, payload in bad:
            assert backend.publish(channel, payload) == 1
            count = sum(ledger.refused.values())
            running.until(lambda count=count: sum(ledger.refused.values()) > count)  # type: ignore[misc]
        backend.publish("x", "true")
        running.until(lambda: bool(running.seen))
        assert running.payloads == [("x", b"true")]
        assert {each.code: n for (_, each), n in ledger.refused.items()} == {
            "empty": 1,
            "not-json": 1,
            "not-utf8": 2,
            "topic-too-long": 1,
            "too-large": 3,
        }
        assert all(source is Source.REDIS for source, _ in ledger.refused)
        assert ledger.received[Source.REDIS] == len(bad) + 1


def test_a_message_as_long_as_may_be_arrives_whole(redis: RedisServer) -> None:
    payload = b'"' + b"x" * (1_048_576 - 3) + b'"'
    with subscribed(entry(redis.url, "x")) as running, redis.client() as backend:
        backend.publish("x", payload)
        running.until(lambda: bool(running.seen))
        assert running.seen[0].payload == payload


def flood(redis: RedisServer, count: int) -> None:
    with redis.client() as backend:
        for number in range(count):
            backend.send("PUBLISH", "live_x", str(number))
        for _ in range(count):
            assert backend.answer() == 1


def test_a_flood_while_paused_waits_in_redis_and_arrives_in_order(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[int] = []
    read = ReplyReader.feed

    def feed(reader: ReplyReader, data: bytes) -> None:
        fed.append(len(data))
        read(reader, data)

    with subscribed(entry(redis.url, "live_*")) as running:
        monkeypatch.setattr(ReplyReader, "feed", feed)
        running.node.backpressure.hold(Hold.TOTAL)
        flood(redis, 20_000)
        # Redis may answer the publisher long before it sends anything to subscribers.
        running.until(lambda: bool(fed))
        for _ in range(50):
            reactor.iterate(0.001)
        assert running.seen == []
        assert len(fed) == 1
        assert sum(fed) <= 65_536
        running.node.backpressure.release(Hold.TOTAL)
        most = 0
        deadline = time.monotonic() + PATIENCE
        while len(running.seen) < 20_000 and time.monotonic() < deadline:
            before = len(running.seen)
            reactor.iterate(0)
            most = max(most, len(running.seen) - before)
        assert [int(each.payload) for each in running.seen] == list(range(20_000))
        # A turn may serve the descriptor and the call that takes a stopped read up again.
        assert most <= 2 * TURN_MESSAGES


def test_a_redis_that_restarts_is_subscribed_to_again(redis: RedisServer) -> None:
    with subscribed(entry(redis.url, "live_*", "orders")) as running:
        for round_ in range(2):
            redis.stop()
            running.until(lambda: running.states() == ["connecting"])
            redis.start()
            running.until_connected()
            with redis.client() as backend:
                assert backend.publish("live_x", str(round_)) == 1
                assert backend.publish("orders", str(round_)) == 1
            running.until(lambda round_=round_: len(running.seen) == 2 * round_ + 2)  # type: ignore[misc]


def test_a_connection_that_redis_kills_is_made_again(redis: RedisServer) -> None:
    with subscribed(entry(redis.url, "x")) as running, redis.client() as backend:
        assert backend.do("CLIENT", "KILL", "TYPE", "pubsub") == 1
        running.until(lambda: running.states() == ["connecting"])
        running.until_connected()
        backend.publish("x", "1")
        running.until(lambda: bool(running.seen))


def test_a_redis_that_is_down_at_the_start_is_found_later(redis: RedisServer) -> None:
    redis.stop()
    with subscribed(entry(redis.url, "x"), connected=False) as running:
        running.until(lambda: running.node.redis.status()[0]["problem"] is not None)
        problem = running.node.redis.status()[0]["problem"]
        assert problem == "connection refused (is Redis running?)"
        redis.start()
        running.until_connected()


def test_what_redis_has_taken_before_the_end_is_delivered(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wampush.edges.redis.connection.DRAIN_SECONDS", PATIENCE)
    with subscribed(entry(redis.url, "live_*")) as running:
        flood(redis, 2000)
        running.stop()
        assert len(running.seen) == 2000
        with redis.client() as backend:
            assert backend.publish("live_x", "1") == 0


def test_a_password_is_needed_and_the_right_one_lets_in(tmp_path: Path) -> None:
    with running_redis(tmp_path, "--requirepass", SECRET) as redis:
        host = redis.url.removeprefix("redis://")
        path = tmp_path / "password"
        path.write_text(f"{SECRET}\n", encoding="utf-8")
        wrong = [entry(redis.url, "x"), entry(f"redis://:wrong@{host}", "x")]
        right = [
            entry(f"redis://:{SECRET}@{host}", "x"),
            entry(f"redis://default@{host}", "x", password_file=str(path)),
        ]
        with subscribed(*wrong, *right, connected=False) as running:
            running.until(lambda: running.states()[2:] == ["connected", "connected"])
            running.until(
                lambda: (
                    [each["problem"] for each in running.node.redis.status()]
                    == [
                        "Redis requires a password, but none is set here",
                        "wrong user or password",
                        None,
                        None,
                    ]
                )
            )
            assert running.states()[:2] == ["connecting", "connecting"]


def test_a_password_that_redis_does_not_want_is_reported(redis: RedisServer) -> None:
    host = redis.url.removeprefix("redis://")
    with subscribed(entry(f"redis://:{SECRET}@{host}", "x"), connected=False) as running:
        running.until(lambda: running.node.redis.status()[0]["problem"] is not None)
        problem = running.node.redis.status()[0]["problem"]
        assert problem == "Redis has no password, but one is set here"


# TLS.


@contextlib.contextmanager
def redis_with_tls(folder: Path) -> Iterator[tuple[RedisServer, str, dict[str, str]]]:
    """A Redis that wants a certificate of its clients, its URL, and what a client needs."""
    server = make_certificate(folder, "server")
    client = make_certificate(folder, "client")
    trusted = folder / "trusted.pem"
    trusted.write_bytes(client.certificate.read_bytes())
    with running_redis(folder, *_tls_options(server, trusted), tls=True) as redis:
        files = {
            "ca": str(server.certificate),
            "certificate": str(client.certificate),
            "key": str(client.key),
        }
        yield redis, f"rediss://localhost:{redis.tls_port}", files


def _tls_options(server: Any, trusted: Path) -> list[str]:
    return [
        "--tls-cert-file",
        str(server.certificate),
        "--tls-key-file",
        str(server.key),
        "--tls-ca-cert-file",
        str(trusted),
    ]


def test_tls_with_certificates_on_both_sides(tmp_path: Path) -> None:
    payload = b'"' + b"x" * 1_000_000 + b'"'
    with (
        redis_with_tls(tmp_path) as (redis, url, files),
        subscribed(entry(url, "x", **files)) as running,
        redis.client() as backend,
    ):
        for _ in range(5):
            assert backend.publish("x", payload) == 1
        running.until(lambda: len(running.seen) == 5)
        assert {each.payload for each in running.seen} == {payload}
        running.node.backpressure.hold(Hold.TOTAL)
        for number in range(3000):
            backend.publish("x", str(number))
        running.node.backpressure.release(Hold.TOTAL)
        running.until(lambda: len(running.seen) == 3005)


def test_tls_that_fails_is_reported(tmp_path: Path) -> None:
    with redis_with_tls(tmp_path) as (redis, url, files):
        without_ca = {name: files[name] for name in ("certificate", "key")}
        other_host = url.replace("localhost", "127.0.0.2")
        with subscribed(
            entry(url, "x", **without_ca),
            entry(url, "x", ca=files["ca"]),
            entry(other_host, "x", **files),
            entry(f"redis://127.0.0.1:{redis.tls_port}", "x"),
            connected=False,
        ) as running:
            running.until(
                lambda: all(each["problem"] is not None for each in running.node.redis.status())
            )
            assert set(running.states()) == {"connecting"}
            problems = [str(each["problem"]) for each in running.node.redis.status()]
            assert "certificate verify failed" in problems[0]
            assert problems[1].startswith("TLS failed")
            assert problems[3] in ("Redis closed the connection", "the connection was lost")


def test_the_refusal_of_a_message_names_redis_and_channel(redis: RedisServer) -> None:
    with subscribed(entry(redis.url, "live_*")) as running, redis.client() as backend:
        backend.publish("live_x", "no json")
        running.until(lambda: bool(running.node.inspection.refusals()))
        (refused,) = running.node.inspection.refusals()
        assert refused["origin"] == f"{redis.url} 'live_x'"
        assert refused["source"] == "redis"
        assert refused["reason"] == Refusal.NOT_JSON.code
        assert refused["excerpt"] == "no json"
