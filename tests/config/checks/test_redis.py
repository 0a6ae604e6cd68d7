"""Addresses of Redis servers, and topics made of channels."""

from __future__ import annotations

from typing import get_args

import pytest

from wampush.config.checks.check import Rejected
from wampush.config.checks.redis import (
    NO_REDIS,
    OPTIONAL_REDIS_ADDRESS,
    REDIS_ADDRESS,
    ChannelTopic,
    RedisUrl,
    SentinelAddress,
    host_and_port,
)
from wampush.config.redaction import HIDDEN

SECRET = "correct-horse"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://localhost", RedisUrl("localhost")),
        ("redis://localhost/", RedisUrl("localhost")),
        ("redis://LocalHost:6380/15", RedisUrl("localhost", 6380, database=15)),
        ("rediss://redis.example.com", RedisUrl("redis.example.com", tls=True)),
        ("REDIS://[::1]:1", RedisUrl("::1", 1)),
        ("redis://shop_redis-1", RedisUrl("shop_redis-1")),
        ("redis://:p%40ss%2Fw%C3%B6rd@h", RedisUrl("h", password="p@ss/wörd")),
        ("unix:///run/redis/redis.sock", RedisUrl("", path="/run/redis/redis.sock")),
        ("redis+unix:///r%20s?db=2", RedisUrl("", path="/r s", database=2)),
        ("unix://live:pw@/r", RedisUrl("", user="live", password="pw", path="/r")),
        ("redis://live:a:b@h:7/2", RedisUrl("h", 7, user="live", password="a:b", database=2)),
    ],
)
def test_urls_of_redis(text: str, expected: RedisUrl) -> None:
    assert REDIS_ADDRESS.check(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        "localhost:6379",
        "redis:localhost",
        "redis://",
        "redis:///0",
        "redis://:6379",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:port",
        "redis://h/database",
        "redis://h/1/2",
        "redis://h/²",
        "redis://a b",
        "redis://a,b",
        "redis://☃",
        "redis://[1:2]",
        "redis://" + "h" * 254,
        "redis://h?db=1",
        "redis://h#1",
        " redis://h",
        "redis://h\n",
        "redis://[::1",
        "unix://",
        "unix://run/redis.sock",
        "unix:redis.sock",
        "unix:///run/redis.sock?db=a",
        "unix:///run/redis.sock?password=" + SECRET,
        "unix:///run/redis.sock#1",
        "unix:///" + "p" * 107,
        f"http://:{SECRET}@h",
        f"redis://:{SECRET}@h:port",
        f"redis://:{SECRET}%ff@h",
        f"redis://:{SECRET}/@h",
        f"redis://:{SECRET}#@h",
        f"redis://:{SECRET}",
        f"redis//:{SECRET}@h",
        f"{SECRET}@h",
        5,
        ["redis://h"],
        {"host": SECRET},
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(text: object) -> None:
    rejected = REDIS_ADDRESS.check(text)
    assert isinstance(rejected, Rejected)
    assert rejected.expected.startswith("redis://HOST:PORT, rediss://HOST:PORT")
    assert rejected.value is None


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    assert RedisUrl("::1", password=SECRET).address == "redis://[::1]:6379"


def test_user_and_password_are_hidden() -> None:
    url = RedisUrl("h", user="live", password=SECRET)
    assert (str(url), repr(url)) == (f"redis://{HIDDEN}@h:6379", f'"redis://{HIDDEN}@h:6379"')
    assert url.address == "redis://h:6379"
    assert str(RedisUrl("h", tls=True)) == "rediss://h:6379"
    socket = RedisUrl("", password=SECRET, path="/r")
    assert (str(socket), socket.address) == (f"unix://{HIDDEN}@/r", "unix:///r")


@pytest.mark.parametrize(
    ("topic", "usable"),
    [("{channel}", True), ("a.{channel}.b", True), ("a", True), ("", False), ("{topic}", False)],
)
def test_topics_of_channels(topic: str, usable: bool) -> None:
    check = get_args(ChannelTopic)[1]
    assert isinstance(check.check(topic), Rejected) is not usable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", ("10.0.0.1", 26379)),
        ("sentinel.example.com:7", ("sentinel.example.com", 7)),
        ("[::1]:7", ("::1", 7)),
    ],
)
def test_sentinels(text: str, expected: tuple[str, int]) -> None:
    assert host_and_port(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "a b", "h:0", "h:port", "h:65536", "h/0", "u:p@h", " h", "redis://h", "h?a", "[::1"],
)
def test_what_is_no_sentinel(text: str) -> None:
    assert isinstance(get_args(SentinelAddress)[1].check(text), Rejected)


def test_no_server_may_be_named() -> None:
    assert OPTIONAL_REDIS_ADDRESS.check("") == NO_REDIS
    assert str(NO_REDIS) == ""
    assert OPTIONAL_REDIS_ADDRESS.check("redis://h") == RedisUrl("h")
    assert OPTIONAL_REDIS_ADDRESS.check(RedisUrl("h")) == RedisUrl("h")
    assert isinstance(OPTIONAL_REDIS_ADDRESS.check("h"), Rejected)
