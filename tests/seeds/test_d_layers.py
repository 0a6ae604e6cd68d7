"""Real-time PHP's layers: I/O, HTTP, WebSocket, WAMP, your app, each swappable and usable alone."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.apps.sample_components import HostWorld, Scripted
from tests.edges.http.http_in_memory import LIMITS, RecordedPushes, ask
from tests.edges.websocket.component_in_memory import ComponentEdge
from tests.edges.websocket.in_memory import (
    KEY,
    Frame,
    MemoryNode,
    change_rules,
    masked,
    request,
)
from tests.support.browser import Browser
from tests.support.daemon import running_daemon
from tests.support.limits import PREFIX_LIMITS
from tests.support.pages import page_server
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE
from wampush.apps.component import ComponentConnection
from wampush.edges.http.operator_access import HttpAccess
from wampush.edges.http.routes import HttpEdge, HttpView
from wampush.edges.websocket.conversation import Routes
from wampush.examples.chat import Chat
from wampush.wamp.session import WampSession
from wampush.wamp.uris import WAMP1

ROOT = Path(__file__).parents[2]
ANSWER = b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"


def modules_after(code: str) -> set[str]:
    """The modules of a process of its own that has run this code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys; print(json.dumps([*sys.modules]))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def rooms(modules: set[str]) -> set[str]:
    """Which of our rooms, and of the libraries below, these modules belong to."""
    known = {"twisted", "autobahn", "zmq", "txzmq", "klein", "wampush.client"}
    known |= {f"wampush.{name}" for name in ("wamp", "broker", "edges", "apps", "node", "service")}
    return {name for name in known if name in modules}


# Each alone.


def test_wamp_alone_is_text_in_and_requests_out() -> None:
    session = WampSession(WAMP1, "any server", PREFIX_LIMITS)
    assert json.loads(session.welcome())[0] == 0
    assert session.receive(b'[1,"shop","http://shop.example/"]') is None
    asked: Any = session.receive(b'[5,"shop:orders"]')
    assert asked.topic == "http://shop.example/orders"
    loaded = modules_after(
        "from wampush.wamp.session import PrefixLimits, WampSession\n"
        "from wampush.wamp.uris import WAMP1\n"
        "session = WampSession(WAMP1, 'any', PrefixLimits(100, 1024))\n"
        "assert session.receive(b'[5,\"t\"]').topic == 't'"
    )
    assert rooms(loaded) == {"wampush.wamp"}
    assert "asyncio" not in loaded


BROKER = """
import sys
from wampush.broker.broker import Broker
from wampush.broker.requests.authorization import RequestChecks, RequestLimits
from wampush.broker.requests.handler import RequestHandler
from wampush.broker.router import Router
from wampush.broker.delivery.fanout import Fanout
from wampush.broker.subscription_index import SubscriptionIndex
from wampush.broker.ledger import Ledger
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.access.policy import Policy, Publishing
from wampush.broker.topic_rules import TopicRules
from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.publication import Publication
from wampush.broker.subscriber import Subscriber
from wampush.wamp.session import PrefixLimits, WampSession
from wampush.wamp.uris import WAMP1

class Lines:
    def event(self, topic, payload, position):
        return b'{"%s": %s}' % (topic.encode(), payload)

    def reply(self, text):
        return text

class Printed(Outbox):
    def flush(self):
        print(*(chunk.decode() for chunk in self.chunks))
        self.chunks.clear()
        self.queued = 0

    def overflow(self):
        self.close()

turn = []
pressure = Backpressure(10**6, lambda seconds, call: None)
ledger = Ledger(lambda: 0.0, lambda message, **fields: print(message))
fanout = Fanout(turn.append, pressure, ledger)
router = Router(SubscriptionIndex(), fanout, Policy(Publishing.EVERYBODY), TopicRules())
broker = Broker(router, ledger)
limits = RequestLimits(
    topic_bytes=1024, subscriptions=10, topics=10, pending=10, pending_bytes=1024
)
clients = RequestHandler(broker, RequestChecks(broker, limits))
session = WampSession(WAMP1, "any", PrefixLimits(100, 1024))
client = Subscriber(session, Printed(1000, pressure, Lines()))
clients.on_open(client)
clients.on_text(client, b'[5,"t"]')
assert broker.publish(Publication("t", b'{"a":1.0}')) == 1
for flush in turn:
    flush()
"""


def test_the_broker_alone_needs_no_twisted_and_no_sockets() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKER],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.rstrip().endswith('{"t": {"a":1.0}}')
    assert rooms(modules_after(BROKER)) == {"wampush.broker", "wampush.wamp"}


def test_http_alone_serves_without_websocket_and_broker() -> None:
    shown: dict[str, Any] = {each.name: lambda *_: None for each in fields(HttpView)}
    publisher = RecordedPushes(receivers=3)
    view = HttpView(**{**shown, "status": lambda: {"status": "ok"}})
    edge = HttpEdge(view, publisher, HttpAccess(None), LIMITS)
    assert json.loads(ask(edge, "/healthz").body) == {"status": "ok"}
    assert ask(edge, "/static/site.css").status == 200
    assert ask(edge, "/publish/t", method="POST", body=b"1").status == 200
    assert publisher.published == [[b"t", b"1"]]
    loaded = rooms(modules_after("import wampush.edges.http.routes"))
    assert loaded <= {"twisted", "klein", "wampush.edges"}


def test_websocket_alone_carries_any_component() -> None:
    edge = ComponentEdge(Scripted(on_message=lambda conn, data: conn.send(data)))
    client = edge.open()
    client.send(masked(b"hello") + masked(b"\x00\x01", first=0x82))
    assert client.frames() == [Frame(0x81, b"hello"), Frame(0x82, b"\x00\x01")]
    loaded = modules_after(
        "import wampush.edges.websocket.server, wampush.edges.websocket.component"
    )
    assert "wampush.edges.websocket.wamp_v1" not in loaded
    assert "wampush.broker.broker" not in loaded
    assert not {"zmq", "klein", "wampush.apps"} & loaded


def test_the_app_alone_needs_no_server() -> None:
    world = HostWorld(Chat())
    first, second = world.connect()[0], world.connect()[1]
    second.on_message("hello")
    assert first.written == ["Client 2 connected.", "hello"]
    loaded = rooms(modules_after("import wampush.examples.chat"))
    assert "twisted" not in loaded
    assert "wampush.edges" not in loaded


# Swapped.


class Shouting:
    """A conversation of another kind: neither WAMP nor a component."""

    stage = None
    ping = b"\x89\0"
    pings_when_heard = False
    cookie = ""
    subscriber = None

    def __init__(self, connection: Any, identity: Any) -> None:
        self._connection = connection
        self.identity = identity

    def on_open(self) -> None:
        self._connection.write_text(b"WHO IS THERE?")

    def on_text(self, text: bytes) -> None:
        self._connection.write_text(text.upper())

    def on_binary(self, data: bytes) -> None:
        self._connection.write_binary(data[::-1])

    def on_pong(self, payload: bytes) -> None:
        self._connection.write_binary(payload)

    def on_lost(self) -> None:
        self._connection = None


class ShoutingRoute:
    """Begins such conversations."""

    origins = None

    def subprotocol(self, offered: Any) -> str | None:  # noqa: ARG002
        return None

    def begin(self, connection: Any, outbox: Any, request: Any, identity: Any, _: Any) -> Shouting:  # noqa: ARG002
        return Shouting(connection, identity)


def test_what_is_said_over_websocket_can_be_swapped() -> None:
    edge = ComponentEdge()
    change_rules(edge.edge, routes=Routes(ShoutingRoute()))
    client = edge.open()
    client.send(masked(b"me") + masked(b"abc", first=0x82))
    assert client.frames() == [
        Frame(0x81, b"WHO IS THERE?"),
        Frame(0x81, b"ME"),
        Frame(0x82, b"cba"),
    ]


def test_wamp_and_a_component_share_a_port_by_path() -> None:
    node = MemoryNode()
    seen: list[ComponentConnection] = []
    component = ComponentEdge(Scripted(on_open=seen.append))
    routes = Routes(node.edge.shared.rules.routes.find("/"), {"/chat": component.route})
    change_rules(node.edge, routes=routes)
    node.open()
    chat = node.connect()
    chat.send(request(subprotocol=None, target="/chat?room=1"))
    assert chat.take().startswith(b"HTTP/1.1 101 ")
    assert seen[0].request.parameters == {"room": "1"}
    for target in ("/chat/", "/Chat", "/", "/other"):
        peer = node.connect()
        peer.send(request(target=target))
        assert b"[0," in peer.take(), target


def test_io_can_be_swapped(tmp_path: Path) -> None:
    """TCP and a UNIX socket carry the same, beside bytes in memory; TLS is tested elsewhere."""
    path = tmp_path / "ws.sock"
    extra = ["--listen", f"unix:{path}"]
    with running_daemon(tmp_path, extra=extra) as daemon, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        client.sendall(request())
        assert client.recv(1000).startswith(b"HTTP/1.1 101 ")
        with RawClient(daemon.websocket_port) as other:
            assert other.welcome[0] == 0


# On the wire.


def test_the_handshake_is_http_101() -> None:
    for answer in (ComponentEdge().connect().shake(), handshake_of_wamp()):
        head, _, _ = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"\r\nUpgrade: websocket\r\n" in head
        assert b"\r\nConnection: Upgrade\r\n" in head
        # RFC 6455 section 1.3 works this key out.
        assert KEY == "dGhlIHNhbXBsZSBub25jZQ=="
        assert ANSWER.strip() in head


def handshake_of_wamp() -> bytes:
    """The answer to a WAMP client."""
    peer = MemoryNode().connect()
    peer.send(request())
    return peer.take()


CONFIGURATION = """
[websocket]
ping_interval = 0.2
# As long as a browser on a busy machine may take for a pong.
silence_timeout = 4

[[routes]]
path = "/chat"
component = "wampush.examples.chat:Chat"
"""


class Pinged:
    """A client on a bare socket that answers pings as long as the test wants."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.sendall(request(target=path))
        self._stream = self._socket.makefile("rb")
        while self._stream.readline() not in (b"\r\n", b""):
            pass

    def next_ping(self) -> bool:
        """Wait for a ping; False when the connection ends."""
        with contextlib.suppress(ConnectionResetError):
            while head := self._stream.read(2):
                self._stream.read(head[1] & 0x7F)
                if head[0] == 0x89:
                    return True
        return False

    def answer(self) -> None:
        self._socket.sendall(masked(b"", first=0x8A))

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


def test_ping_and_pong_are_kept_going(browser: Browser, tmp_path: Path) -> None:
    settings = tmp_path / "wampush.toml"
    settings.write_text(CONFIGURATION, encoding="utf-8")
    page = "<!doctype html><title>ping</title>"
    with (
        running_daemon(tmp_path, extra=["--config", str(settings)]) as daemon,
        page_server({"/p.html": page.encode()}) as pages,
    ):
        tab = browser.open(f"{pages.url}/p.html")
        # WAMP, and a component, which speaks without a subprotocol.
        tab.evaluate("window.connections = []")
        for path, protocols in (("/", ["wamp"]), ("/chat", [])):
            tab.evaluate(
                "([url, protocols]) => new Promise((open, fail) => {"
                " const connection = new WebSocket(url, protocols); connections.push(connection);"
                " connection.onopen = open; connection.onerror = fail; })",
                [f"{daemon.websocket_url}{path}", protocols],
            )
        clients = [Pinged(daemon.websocket_port, path) for path in ("/", "/chat")]
        for _ in range(5):
            for client in clients:
                assert client.next_ping()
                client.answer()
        # From here on they are silent, and dropped; the browser has answered all the time.
        for client in clients:
            while client.next_ping():
                pass
            client.close()
        assert tab.evaluate("connections.map(each => each.readyState)") == [1, 1]
        assert daemon.health()["ends"]["silent"] == 2


def test_clients_see_ready_state_go_from_0_to_3(browser: Browser, tmp_path: Path) -> None:
    settings = tmp_path / "wampush.toml"
    settings.write_text(CONFIGURATION, encoding="utf-8")
    page = """<!doctype html><title>states</title><p id="states"></p>
<script>
const states = [];
const note = () => states.push(conn.readyState);
const conn = new WebSocket(URL);
note();
conn.onopen = () => { note(); conn.close(1000, 'done'); note(); };
conn.onclose = close => {
  note();
  document.getElementById('states').textContent = `${states} ${close.code} ${close.wasClean}`;
};
</script>"""
    with running_daemon(tmp_path, extra=["--config", str(settings)]) as daemon:
        url = json.dumps(f"{daemon.websocket_url}/chat")
        with page_server({"/s.html": page.replace("URL", url).encode()}) as pages:
            tab = browser.open(f"{pages.url}/s.html")
            expect(tab.locator("#states")).to_have_text("0,1,2,3 1000 true")


def test_a_close_code_of_the_component_reaches_the_page(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "closing_component.py").write_text(
        "from wampush.apps.component import Component\n\n\nclass Closing(Component):\n"
        "    def on_message(self, conn, data):\n        conn.close(4001, data)\n",
        encoding="utf-8",
    )
    settings = tmp_path / "wampush.toml"
    settings.write_text(
        '[[routes]]\npath = "/c"\ncomponent = "closing_component:Closing"\n', encoding="utf-8"
    )
    with (
        running_daemon(tmp_path, extra=["--config", str(settings)]) as daemon,
        page_server({"/p.html": b"<!doctype html><title>closing</title>"}) as pages,
    ):
        tab = browser.open(f"{pages.url}/p.html")
        closed = tab.evaluate(
            "url => new Promise(done => { const conn = new WebSocket(url);"
            " conn.onopen = () => conn.send('bye'); conn.onclose = close =>"
            " done([close.code, close.reason, close.wasClean, conn.readyState]); })",
            f"{daemon.websocket_url}/c",
        )
        assert closed == [4001, "bye", True, 3]
