"""The HTTP edge of a node: which parts of the node answer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from tests.node.local_reactor import LocalReactor
from wampush import __version__
from wampush.config.checks.redis import RedisUrl
from wampush.config.settings import Settings
from wampush.config.tables.http import HttpSettings
from wampush.config.tables.process import ProcessSettings
from wampush.config.tables.redis import RedisSourceSettings
from wampush.config.tables.routes import RouteSettings
from wampush.config.tables.topics import HistorySettings, TopicSettings
from wampush.config.tables.zeromq import ZmqSettings
from wampush.errors import CloseReason, OperatorError
from wampush.node.build import Node, build
from wampush.node.http_site import make_site
from wampush.node.monitoring.serving import Serving

HERE: Any = IPv4Address("TCP", "127.0.0.1", 50000)


class Site:
    """A node with its HTTP port, and clients in memory.

    :param http: the table ``[http]``.
    :param topics: the table ``[[topics]]``.
    :param others: other tables.
    """

    def __init__(
        self,
        http: HttpSettings = HttpSettings(),  # noqa: B008
        topics: tuple[TopicSettings, ...] = (),
        **others: Any,
    ) -> None:
        settings = dataclasses.replace(
            Settings(), zmq=ZmqSettings(pull=()), http=http, topics=topics, **others
        )
        self.reactor: Any = LocalReactor()
        self.node: Node = build(settings, self.reactor, 10)
        self.serving = Serving()
        #: The WebSocket listeners, with their problems.
        self.listeners = [("ws://127.0.0.1:1/", "")]
        self.site = make_site(
            settings,
            self.node,
            self.reactor,
            websocket_url=lambda host: f"ws://{host}:1/",
            failed_tls_handshakes=lambda: 2,
            listeners=lambda: self.listeners,
            serving=self.serving,
        )

    def connect(self) -> Any:
        """A connection, as the socket sees it."""
        protocol = self.site.buildProtocol(HERE)
        transport: Any = StringTransport(peerAddress=HERE)
        transport.abortConnection = transport.loseConnection
        protocol.makeConnection(transport)
        transport.protocol = protocol
        return transport

    def request(self, line: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request; gives the status and the body of the response."""
        transport = self.connect()
        head = f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        transport.protocol.dataReceived(head.encode() + body)
        self.reactor.advance(0)
        answer, _, content = transport.value().partition(b"\r\n\r\n")
        return int(answer.split(b" ", 2)[1]), content


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.node.apps.stop(0)


def test_health_says_whether_the_daemon_is_stopping(site: Site) -> None:
    status, body = site.request("GET /healthz")
    assert status == 200
    assert json.loads(body)["status"] == "ok"
    assert json.loads(body)["sessions"] == 0
    assert json.loads(body)["version"] == __version__
    assert 0 <= json.loads(body)["uptime"] < 60
    assert (json.loads(body)["worker"], json.loads(body)["workers"]) == (1, 1)
    site.serving.stop()
    status, body = site.request("GET /healthz")
    assert status == 503
    assert json.loads(body)["status"] == "stopping"


def test_what_is_published_reaches_the_broker(site: Site) -> None:
    status, body = site.request("POST /publish/news", b"{")
    assert status == 400
    assert b"not-json" in body
    _, refusals = site.request("GET /refusals")
    (refused,) = json.loads(refusals)["refusals"]
    assert (refused["source"], refused["reason"]) == ("http", "not-json")


def test_metrics_are_those_of_the_node(site: Site) -> None:
    first = site.connect()
    status, body = site.request("GET /metrics")
    assert status == 200
    assert b"wampush_sessions 0.0" in body
    assert b"wampush_connections 0.0" in body
    assert b"wampush_http_connections 2.0" in body
    assert b"wampush_queued_limit_bytes 2.68435456e+08" in body
    assert first.value() == b""


def test_metrics_of_several_workers_are_in_one_scrape() -> None:
    site = Site(process=ProcessSettings(workers=2))
    status, body = site.request("GET /metrics")
    assert status == 200
    assert b'wampush_sessions{worker="1"} 0.0' in body
    assert b'wampush_worker_info{worker="1",workers="2"} 1.0' in body
    assert b'wampush_worker_up{worker="1"} 1.0\nwampush_worker_up{worker="2"} 0.0' in body


def test_the_demo_gets_the_urls(site: Site) -> None:
    status, body = site.request("GET /demo/settings.json")
    assert status == 200
    assert json.loads(body) == {"websocket": "ws://127.0.0.1:1/", "push": None}


def test_the_demo_asks_why_its_handshake_was_refused(site: Site) -> None:
    site.node.broker.ledger.end(CloseReason.TOKEN_REFUSED, "127.0.0.1")
    status, body = site.request("GET /demo/refusal.json")
    assert status == 200
    assert json.loads(body)["refusal"]["sentence"] == "The token was not accepted."


def test_topics_and_sessions(site: Site) -> None:
    assert json.loads(site.request("GET /topics")[1]) == {"topics": [], "next": None}
    assert json.loads(site.request("GET /sessions?user=7")[1]) == {"sessions": [], "next": None}
    assert json.loads(site.request("DELETE /sessions?user=7")[1]) == {"ended": 0}
    assert site.request("GET /sessions/unknown")[0] == 404


def test_a_topic_is_asked_for_its_state_and_its_history() -> None:
    site = Site(topics=(TopicSettings("t", last=True, history=5),))
    for number in range(3):
        site.request("POST /publish/t", b"%d" % number)
    site.request("POST /publish/t?to=%7B%22users%22%3A%5B%227%22%5D%7D", b"3")
    status, body = site.request("GET /topics/t")
    state = json.loads(body)
    assert (status, state["offset"]) == (200, 4)
    assert [(each["offset"], each["data"]) for each in state["events"]] == [(3, 2)]
    _, body = site.request(f"GET /topics/t/history?since={state['epoch']}:1&limit=5")
    events = json.loads(body)["events"]
    assert [each["data"] for each in events] == [1, 2, 3]
    assert [each.get("restricted") for each in events] == [None, None, True]
    assert site.request("GET /topics/other")[0] == 404
    site.node.apps.stop(0)


def test_the_stream_has_what_is_published(site: Site) -> None:
    reader = site.connect()
    reader.protocol.dataReceived(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    site.request("POST /publish/news", b"1.0")
    assert b'{"topic":"news","payload":1.0}\n' in reader.value()


def test_a_connection_too_many_is_counted() -> None:
    site = Site(HttpSettings(max_connections=1))
    first = site.connect()
    assert not site.connect().disconnecting
    assert first.disconnecting
    assert site.node.broker.ledger.ended == {CloseReason.TOO_MANY_HTTP_CONNECTIONS: 1}
    site.node.apps.stop(0)


def test_a_token_protects_state(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("0123456789abcdef0123456789abcdef\n", encoding="utf-8")
    site = Site(HttpSettings(token_file=str(path)))
    assert site.request("GET /metrics")[0] == 401
    assert json.loads(site.request("GET /healthz")[1]) == {"status": "ok"}
    site.node.apps.stop(0)


def test_a_token_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"http\.token_file"):
        Site(HttpSettings(token_file=str(tmp_path / "missing")))


def test_a_page_that_connects_to_the_http_port_is_counted() -> None:
    site = Site()
    transport = site.connect()
    transport.protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n")
    assert transport.value().startswith(b"HTTP/1.1 400 ")
    (kept,) = site.node.broker.ledger.recent_handshakes
    assert (kept.reason, kept.peer) == (CloseReason.WRONG_PORT, "127.0.0.1")
    assert kept.detail == "The WebSocket is at ws://a:1/."


def test_a_node_is_ready_when_all_its_parts_are(site: Site) -> None:
    status, body = site.request("GET /readyz")
    assert status == 200
    listener = {"part": "websocket", "name": "ws://127.0.0.1:1/", "ready": True, "problem": None}
    assert json.loads(body) == {"status": "ready", "worker": 1, "parts": [listener]}
    assert b'wampush_ready{part="websocket"} 1.0' in site.request("GET /metrics")[1]
    site.listeners = [("ws://127.0.0.1:1/", "it is closed")]
    status, body = site.request("GET /readyz")
    assert status == 503
    assert json.loads(body)["parts"] == [listener | {"ready": False, "problem": "it is closed"}]
    assert b'wampush_ready{part="websocket"} 0.0' in site.request("GET /metrics")[1]


def test_draining_and_stopping_nodes_are_not_ready_however_their_parts_are(site: Site) -> None:
    site.serving.drain()
    assert site.request("GET /readyz")[0] == 503
    assert json.loads(site.request("GET /readyz")[1])["status"] == "draining"
    assert site.request("GET /healthz")[0] == 200
    site.serving.resume()
    assert site.request("GET /readyz")[0] == 200
    site.serving.stop()
    assert site.request("GET /readyz")[0] == 503
    assert json.loads(site.request("GET /readyz")[1])["status"] == "stopping"
    assert site.request("GET /livez") == (200, b'{"status":"ok"}\n')


def test_sources_the_database_and_applications_are_parts(tmp_path: Path) -> None:
    redis = RedisSourceSettings(url=RedisUrl("redis.example.com"), channels=("orders",))
    database = tmp_path / "history.sqlite"
    site = Site(
        topics=(TopicSettings("t", history=5, durable=True),),
        history=HistorySettings(database=str(database)),
        redis_source=(redis,),
        routes=(RouteSettings(path="/chat", component="wampush.examples.chat:Chat"),),
    )
    status, body = site.request("GET /readyz")
    assert status == 503
    found = {each["part"]: (each["name"], each["problem"]) for each in json.loads(body)["parts"]}
    assert found == {
        "websocket": ("ws://127.0.0.1:1/", None),
        "redis": ("redis://redis.example.com:6379", "it is not connected yet"),
        "journal": (str(database), None),
        "applications": ("wampush.examples.chat:Chat", None),
    }
    assert site.request("GET /readyz?exclude=redis")[0] == 200
    durable = site.node.durable
    assert durable is not None
    durable.problem = "disk full"
    _, body = site.request("GET /readyz?exclude=redis,websocket")
    problems = {each["part"]: each["problem"] for each in json.loads(body)["parts"]}
    assert problems == {"journal": "disk full", "applications": None}
    site.node.apps.stop(0)
    site.node.broker.stop()
