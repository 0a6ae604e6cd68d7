"""Two daemons that a real Redis joins: pushes, events of pages, a Redis that goes and comes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, running_daemon
from tests.support.nodes_over_redis import Nodes, running_nodes
from tests.support.raw_client import RawClient
from tests.support.redis_server import until_followed
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with running_nodes(tmp_path_factory.mktemp("nodes")) as running:
        yield running


def post(daemon: Daemon, topic: str, data: object) -> int:
    """Publish over HTTP; return how many sessions of the node got it."""
    body = json.dumps(data).encode()
    request = urllib.request.Request(f"{daemon.http_url}/publish/{topic}", body)
    with urllib.request.urlopen(request, timeout=20) as response:
        return int(json.load(response)["receivers"])


def readiness(daemon: Daemon) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{daemon.http_url}/readyz", timeout=PATIENCE) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_push_at_one_node_reaches_the_pages_of_both(nodes: Nodes) -> None:
    with (
        RawClient(nodes.first.websocket_port) as near,
        RawClient(nodes.second.websocket_port) as far,
    ):
        near.subscribe("news")
        far.subscribe("news")
        until_followed(nodes.redis, "news", 2)
        for number, daemon in enumerate((nodes.first, nodes.second)):
            assert post(daemon, "news", {"n": number}) == 1
        for client in (near, far):
            assert client.receive() == [8, "news", {"n": 0}]
            assert client.receive() == [8, "news", {"n": 1}]


def test_a_page_that_subscribes_and_publishes_at_once_gets_its_own_event(nodes: Nodes) -> None:
    with (
        RawClient(nodes.first.websocket_port) as page,
        RawClient(nodes.second.websocket_port) as far,
    ):
        far.subscribe("chat")
        until_followed(nodes.redis, "chat", 1)
        page.send(5, "chat")
        page.send(7, "chat", "to all", False)
        page.send(7, "chat", "to others", True)
        page.send(7, "chat", "to far", [], [far.welcome[1]])
        page.send(7, "chat", "end", False)
        assert [page.receive()[2] for _ in range(2)] == ["to all", "end"]
        assert [far.receive()[2] for _ in range(4)] == ["to all", "to others", "to far", "end"]


def test_a_node_follows_what_its_pages_have(nodes: Nodes) -> None:
    with RawClient(nodes.second.websocket_port) as page:
        page.subscribe("briefly")
        until_followed(nodes.redis, "briefly", 1)
    until_followed(nodes.redis, "briefly", 0)


def test_without_redis_a_node_goes_on_for_its_own_pages_and_says_so(nodes: Nodes) -> None:
    with (
        RawClient(nodes.first.websocket_port) as near,
        RawClient(nodes.second.websocket_port) as far,
    ):
        near.subscribe("late")
        far.subscribe("late")
        until_followed(nodes.redis, "late", 2)
        nodes.redis.stop()
        eventually(lambda: readiness(nodes.first)[0], lambda status: status == 503)
        (part,) = [
            each for each in readiness(nodes.first)[1]["parts"] if each["part"] == "backplane"
        ]
        assert part["name"] == nodes.redis.url
        assert "Redis" in part["problem"]
        assert post(nodes.first, "late", 1) == 1
        assert near.receive() == [8, "late", 1]
        health = nodes.first.health()["backplane"]
        assert (health["not_propagated"], health["losses"]) == (1, 1)
        nodes.redis.start()
        eventually(lambda: readiness(nodes.first)[0], lambda status: status == 200)
        eventually(lambda: readiness(nodes.second)[0], lambda status: status == 200)
        until_followed(nodes.redis, "late", 2)
        post(nodes.first, "late", 2)
        assert near.receive() == far.receive() == [8, "late", 2]
    nodes.first.wait_for_line("publications reach the clients of this node only")


def test_a_start_without_redis_waits_for_it(tmp_path: Path) -> None:
    with (
        running_daemon(tmp_path, extra=["--set", "backplane.url=redis://127.0.0.1:1"]) as daemon,
        RawClient(daemon.websocket_port) as page,
    ):
        assert readiness(daemon)[0] == 503
        page.subscribe("news")
        assert post(daemon, "news", 1) == 1
        assert page.receive() == [8, "news", 1]
