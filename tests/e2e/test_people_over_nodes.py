"""People over two real daemons and a real Redis server."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, running_daemon
from tests.support.raw_client import RawClient
from tests.support.redis_server import running_redis
from tests.support.tokens import KEY, token
from tests.support.waiting import eventually
from wampush.testing.ports import reserved_ports

ROOM = "room.1"
CHANGES = f"wampush.presence.changes.{ROOM}"
JOIN_OF_4 = {"event": "join", "user": "4", "topic": ROOM}
SETTINGS = """
[backplane]
url = "{redis}"

[auth]
order = ["token", "anonymous"]

[token]
key_file = "token.key"

[[topics]]
match = "room.*"
presence = true
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nodes")


@pytest.fixture(scope="module")
def nodes(folder: Path) -> Iterator[Sequence[Daemon]]:
    with running_redis(folder) as redis:
        (folder / "wampush.toml").write_text(SETTINGS.format(redis=redis.url), encoding="utf-8")
        (folder / "token.key").write_text(KEY, encoding="utf-8")
        options = ["--config", "wampush.toml"]
        with (
            running_daemon(folder, extra=options) as first,
            running_daemon(folder, extra=options) as second,
        ):
            for node in (first, second):
                eventually(partial(all_of, node), lambda each: each["nodes"] == 2)
            yield first, second


def all_of(node: Daemon) -> Any:
    """What a node knows of all."""
    return node.health()["all"]


def client(node: Daemon, user: str = "") -> RawClient:
    """A session, of a user or of nobody."""
    return RawClient(node.websocket_port, path=f"/?token={token(user)}" if user else "/")


def ask(node: Daemon, path: str, method: str = "GET") -> tuple[int, Any]:
    """Status and body of a response of the HTTP port."""
    request = urllib.request.Request(f"http://127.0.0.1:{node.http_port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def event(session: RawClient, topic: str) -> Any:
    """The next event of a topic."""
    while True:
        message = session.receive()
        if message[0] == 8 and message[1] == topic:
            return message[2]


def test_users_count_once_and_move_without_leaving(nodes: Sequence[Daemon]) -> None:
    first, second = nodes
    with client(second) as watcher, client(second, "end") as marker:
        watcher.subscribe(CHANGES)
        with client(first, "7") as here:
            here.subscribe(ROOM)
            assert event(watcher, CHANGES) == {"event": "join", "user": "7", "topic": ROOM}
            eventually(lambda: all_of(first), lambda each: each["sessions"] == 3)
            assert all_of(first) == {"nodes": 2, "sessions": 3, "users": 2}
        with client(second, "7") as there:
            there.subscribe(ROOM)
            marker.subscribe(ROOM)
            # Nothing was said of 7 in between.
            assert event(watcher, CHANGES) == {"event": "join", "user": "end", "topic": ROOM}
            eventually(lambda: all_of(second), lambda each: each["sessions"] == 3)
            assert all_of(second)["users"] == 2
        assert event(watcher, CHANGES) == {"event": "leave", "user": "7", "topic": ROOM}
    eventually(lambda: all_of(first), lambda each: each["sessions"] == 0)


def test_sessions_are_listed_and_ended_at_all_nodes(nodes: Sequence[Daemon]) -> None:
    first, second = nodes
    with client(first, "8") as here, client(second, "8") as there, client(second) as other:
        for each in (here, there, other):
            each.subscribe("news")
        eventually(
            lambda: ask(first, "/topics?prefix=news")[1]["topics"],
            lambda topics: topics == [{"topic": "news", "subscribers": 3}],
        )
        status, page = ask(second, "/sessions?user=8")
        assert (status, len(page["sessions"]), page["unanswered"]) == (200, 2, [])
        assert len({each["node"] for each in page["sessions"]}) == 2
        found = page["sessions"][0]["session"]
        assert ask(first, f"/sessions/{found}")[1]["user"] == "8"
        assert ask(first, "/sessions/unknown")[0] == 404
        assert ask(first, "/sessions?user=8", "DELETE") == (200, {"ended": 2})
        for each in (here, there):
            with pytest.raises(AssertionError, match="ended the connection"):
                each.receive()
    eventually(lambda: all_of(second), lambda each: each["sessions"] == 0)


def test_a_frozen_node_is_gone_and_comes_back(nodes: Sequence[Daemon]) -> None:
    first, second = nodes
    with client(first) as watcher, client(second, "9") as frozen:
        watcher.subscribe(CHANGES)
        frozen.subscribe(ROOM)
        assert event(watcher, CHANGES)["event"] == "join"
        os.kill(second.pid, signal.SIGSTOP)
        try:
            # Until it counts as gone, it is said that it does not answer.
            status, answer = ask(first, "/sessions?user=nobody", "DELETE")
            assert (status, answer["ended"], len(answer["unanswered"])) == (504, 0, 1)
            assert event(watcher, CHANGES) == {"event": "leave", "user": "9", "topic": ROOM}
            assert all_of(first) == {"nodes": 1, "sessions": 1, "users": 0}
        finally:
            os.kill(second.pid, signal.SIGCONT)
        assert event(watcher, CHANGES) == {"event": "join", "user": "9", "topic": ROOM}
        eventually(lambda: all_of(first), lambda each: each["sessions"] == 2)
        # Its own client has noticed nothing.
        frozen.send(2, "id", "wampush.presence.list", ROOM)
        assert frozen.receive()[2]["users"] == [{"user": "9", "connections": 1}]


def test_a_node_that_stops_is_gone_at_once(nodes: Sequence[Daemon], folder: Path) -> None:
    first, _ = nodes
    with running_daemon(folder, extra=["--config", "wampush.toml"]) as third:
        eventually(lambda: all_of(first), lambda each: each["nodes"] == 3)
        with client(third, "6"):
            eventually(lambda: all_of(first), lambda each: each["users"] == 1)
    eventually(lambda: all_of(first), lambda each: each == {"nodes": 2, "sessions": 0, "users": 0})
    first.wait_for_line("is gone: it ends")


def test_an_upgrade_is_not_noticed(nodes: Sequence[Daemon], folder: Path) -> None:
    first, _ = nodes
    numbers = "wampush.presence.num_clients"
    with reserved_ports(3) as ports, client(first) as watcher:
        options = ["--config", "wampush.toml"]
        third = Daemon(ports, cwd=folder, extra=options, has_parent=True)
        try:
            third.wait_until_ready()
            eventually(lambda: all_of(first), lambda each: each["nodes"] == 3)
            watcher.subscribe(CHANGES)
            with client(third, "5") as moving:
                moving.subscribe(ROOM)
                moving.subscribe(CHANGES)
                assert event(watcher, CHANGES)["user"] == "5"
                watcher.send(5, numbers)
                assert event(watcher, numbers) == 2
                os.kill(third.pid, signal.SIGUSR2)
                third.wait_for_line("1 sessions and")
                with client(first, "4") as other:
                    other.subscribe(ROOM)
                    # Nothing was said in between, at either node.
                    assert watcher.receive() == [8, numbers, 3]
                    assert watcher.receive() == [8, CHANGES, JOIN_OF_4]
                    assert moving.receive() == [8, CHANGES, JOIN_OF_4]
                    assert all_of(first)["nodes"] == all_of(third)["nodes"] == 3
                    assert all_of(third)["users"] == 2
            third.stop()
        finally:
            third.kill()
