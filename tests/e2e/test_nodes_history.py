"""Two daemons and a real Redis: topics with history, at any node and when Redis is emptied."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.nodes_over_redis import Nodes, running_nodes
from tests.support.raw_client import RawClient
from tests.support.redis_server import until_followed
from tests.support.waiting import eventually
from wampush.testing.ports import reserved_ports

TOPICS = """
[[topics]]
match = "log.*"
history = 100
[[topics]]
match = "row.*"
last_by = "id"
version_by = "rev"
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with running_nodes(tmp_path_factory.mktemp("nodes"), TOPICS) as running:
        yield running


def post(daemon: Daemon, topic: str, data: object, query: str = "") -> tuple[int, dict[str, Any]]:
    """Publish over HTTP; return the status and the answer."""
    request = urllib.request.Request(
        f"{daemon.http_url}/publish/{topic}{query}", json.dumps(data).encode()
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def publish_until(daemon: Daemon, topic: str, is_done: Callable[[], bool]) -> int:
    """Publish numbers as fast as one connection does, and 100 more; return how many these are."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=30)
    count, rest = 0, 100
    with contextlib.closing(connection):
        while rest:
            count += 1
            rest -= is_done()
            connection.request("POST", f"/publish/{topic}", str(count))
            response = connection.getresponse()
            assert response.status == 200, response.read()
            response.read()
    return count


def get(daemon: Daemon, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{daemon.http_url}{path}", timeout=30) as response:
        found: dict[str, Any] = json.load(response)
    return found


class Page:
    """A page that sees positions."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        assert self.call("positions") is True

    def call(self, procedure: str, *arguments: object) -> Any:
        """Call, and return the result, or the error as text; events before it are kept."""
        self.client.send(2, "c", f"wampush.{procedure}", *arguments)
        self.events: list[Any] = []
        while (answer := self.client.receive())[0] == 8:
            self.events.append(answer)
        return answer[2]


@contextlib.contextmanager
def page(daemon: Daemon) -> Iterator[Page]:
    with RawClient(daemon.websocket_port) as client:
        yield Page(client)


def test_a_page_goes_on_at_the_other_node_where_it_was(nodes: Nodes) -> None:
    with page(nodes.first) as here:
        result = here.call("subscribe", "log.a")
        status, answer = post(nodes.second, "log.a", {"n": 1})
        assert (status, answer["offset"]) == (200, 1)
        assert here.client.receive() == [8, "log.a", {"n": 1}, 1]
    post(nodes.first, "log.a", {"n": 2})
    post(nodes.second, "log.a", {"n": 3})
    since = {"epoch": answer["epoch"], "offset": 1}
    assert result["epoch"] == answer["epoch"]
    with page(nodes.second) as there:
        recovery = there.call("subscribe", "log.a", {"since": since})
        assert recovery == {"recovered": True, "epoch": answer["epoch"], "offset": 3}
        assert there.events == [[8, "log.a", {"n": 2}, 2], [8, "log.a", {"n": 3}, 3]]
        post(nodes.first, "log.a", {"n": 4})
        assert there.client.receive() == [8, "log.a", {"n": 4}, 4]


def test_state_is_the_same_at_every_node(nodes: Nodes) -> None:
    post(nodes.first, "row.a", {"id": 1, "rev": 2})
    post(nodes.second, "row.a", {"id": 2, "rev": 1})
    stale, problem = post(nodes.second, "row.a", {"id": 1, "rev": 1})
    assert (stale, problem["code"]) == (409, "stale")
    for daemon in (nodes.first, nodes.second):
        state = get(daemon, "/topics/row.a")
        assert [each["data"]["id"] for each in state["events"]] == [1, 2]
        assert state["offset"] == 2
        with page(daemon) as visitor:
            assert visitor.call("last", "row.a")["events"] == state["events"]
            visitor.client.send(5, "row.a")
            assert [visitor.client.receive()[3] for _ in range(2)] == [1, 2]


def test_a_push_with_an_id_is_published_once_at_whatever_node(nodes: Nodes) -> None:
    first = post(nodes.first, "log.id", 1, "?id=p1")
    again = post(nodes.second, "log.id", 1, "?id=p1")
    assert (first[0], again[0]) == (200, 200)
    assert again[1] == {**first[1], "repeated": True}
    other = post(nodes.second, "log.id", 2, "?id=p1")
    assert (other[0], other[1]["code"]) == (409, "id-reused")
    # Topics without history know the ids as well.
    assert "repeated" not in post(nodes.first, "plain", 1, "?id=p2")[1]
    assert post(nodes.second, "plain", 1, "?id=p2")[1]["repeated"] is True
    assert get(nodes.first, "/topics/log.id/history")["offset"] == 1


def test_an_upgrade_loses_and_doubles_nothing(nodes: Nodes) -> None:
    with reserved_ports(3) as ports:
        config = str(nodes.folder / "wampush.toml")
        third = Daemon(ports, cwd=nodes.folder, extra=["--config", config], has_parent=True)
        try:
            third.wait_until_ready()
            third.wait_for_line("joined the other nodes")
            with (
                page(third) as moving,
                RawClient(third.websocket_port) as plain,
                ThreadPoolExecutor() as pool,
            ):
                moving.call("subscribe", "log.c")
                plain.subscribe("plain")
                until_followed(nodes.redis, "plain", 1)
                moved = pool.submit(third.wait_for_line, "2 sessions and")
                published = pool.submit(publish_until, nodes.second, "plain", moved.done)
                os.kill(third.pid, signal.SIGUSR2)
                count = 0
                while not moved.done() or count < 100:
                    count += 1
                    status, answer = post(nodes.first, "log.c", {"n": count})
                    assert (status, answer["offset"]) == (200, count)
                moved.result()
                got = [moving.client.receive()[3] for _ in range(count)]
                assert got == list(range(1, count + 1))
                assert moving.call("last", "log.c")["offset"] == count
                # It keeps nothing, so nobody could fill a hole.
                numbers = range(1, published.result() + 1)
                assert [plain.receive()[2] for _ in numbers] == list(numbers)
            third.stop()
        finally:
            third.kill()


def test_redis_that_comes_back_empty(nodes: Nodes) -> None:
    with page(nodes.first) as here, page(nodes.second) as there:
        for each in (here, there):
            before = each.call("subscribe", "log.b")
        post(nodes.first, "log.b", {"n": 1})
        for each in (here, there):
            assert each.client.receive() == [8, "log.b", {"n": 1}, 1]
        nodes.redis.stop()
        eventually(
            lambda: there.call("last", "log.b"), lambda found: str(found).endswith("unavailable")
        )
        with ThreadPoolExecutor() as pool:
            # It waits until Redis is back, and is not lost.
            waiting = pool.submit(post, nodes.first, "log.b", {"n": 2})
            nodes.redis.start()
            status, answer = waiting.result()
        assert (status, answer["offset"]) == (200, 1)
        assert answer["epoch"] != before["epoch"]
        for each in (here, there):
            assert each.client.receive() == [8, "log.b", {"n": 2}, 1]
        post(nodes.second, "log.b", {"n": 3})
        for each in (here, there):
            assert each.client.receive() == [8, "log.b", {"n": 3}, 2]
    for daemon in (nodes.first, nodes.second):
        daemon.wait_for_line("events of topic 'log.b' are lost")
    with page(nodes.second) as back:
        since = {"epoch": before["epoch"], "offset": 1}
        result = back.call("subscribe", "log.b", {"since": since})
        assert result == {"recovered": False, "epoch": answer["epoch"], "offset": 2}
