"""What clients get that are still sending when the server ends their connection."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import zmq
from playwright.sync_api import Playwright

from tests.edges.websocket.in_memory import masked
from tests.support.browser import running_browser
from tests.support.certificates import Certificate, make_certificate
from tests.support.daemon import Daemon, running_daemon
from tests.support.delay import DelayingProxy
from tests.support.pages import page_server
from tests.support.waiting import PATIENCE, eventually
from wampush.testing.ports import reserved_ports

EVENTS = 200
CLIENTS = 100
NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

APPLICATIONS = f'''
from wampush.apps import App, WampError
from wampush.apps.component import Component

app = App()


@app.procedure("leave")
def leave(context):
    raise WampError("app:gone", "You leave.", end_session=True)


class Talk(Component):
    """Sends everything when it is asked to, and closes; ignores the rest."""

    def on_message(self, conn, data):
        if data == "go":
            for number in range({EVENTS}):
                conn.send(f"event {{number}} " + "x" * 200)
            conn.close(4000, "done")
'''

TABLES = """
apps = ["applications:app"]

[[routes]]
path = "/talk"
component = "applications:Talk"

[clients]
publish = "always"

[websocket]
origins = ["http://127.0.0.1:*"]

[limits]
messages_per_second = 100_000
message_burst = 100_000
"""


def upgrade(path: str = "/talk", subprotocol: str = "") -> bytes:
    line = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{line}\r\n"
    ).encode()


@dataclass
class Seen:
    """What one client has received.

    :param data: all bytes.
    :param end: "end" for an orderly end, otherwise the error.
    """

    data: bytearray = field(default_factory=bytearray)
    end: str = ""

    def events(self) -> int:
        return self.data.count(b"event ")

    def close_code(self) -> int | None:
        """The code of the Close frame at the end, whose reason is "done" or "You leave."."""
        for reason in (b"done", b"You leave."):
            if self.data.endswith(reason):
                at = len(self.data) - len(reason)
                code: int = struct.unpack("!H", self.data[at - 2 : at])[0]
                return code
        return None


def talk(connection: socket.socket, first: bytes, flood: bytes) -> Seen:
    """Send ``first``, then ``flood`` again and again until the server ends the connection.

    As in a browser, a Close frame is answered after what is being sent, and an error of a write
    ends the connection, whatever could still be read.

    :returns: what came until then.
    """
    seen = Seen()
    connection.setblocking(False)
    pending = memoryview(first)
    answered = False
    deadline = time.monotonic() + PATIENCE
    while not seen.end:
        assert time.monotonic() < deadline, "the connection does not end"
        waits = True
        try:
            with contextlib.suppress(*NOT_YET):
                pending = pending[connection.send(pending) :]
                waits = False
            if not pending and not answered:
                answered = seen.close_code() is not None
                pending = memoryview(ANSWER if answered else flood)
            with contextlib.suppress(*NOT_YET):
                data = connection.recv(2048)
                waits = False
                seen.data += data
                seen.end = "" if data else "end"
        except OSError as error:
            seen.end = repr(error)
        if waits:
            select.select([connection], [connection], [], 0.05)
    return seen


def configured(folder: Path) -> list[str]:
    place = folder / "etc"
    place.mkdir()
    (place / "applications.py").write_text(APPLICATIONS, encoding="utf-8")
    (place / "wampush.toml").write_text(TABLES, encoding="utf-8")
    return ["--config", str(place / "wampush.toml")]


@contextlib.contextmanager
def connected(port: int, tls: ssl.SSLContext | None) -> Iterator[socket.socket]:
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            connection = stack.enter_context(
                tls.wrap_socket(connection, server_hostname="localhost")
            )
        yield connection


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@dataclass
class Server:
    daemon: Daemon
    tls_port: int
    proxied_port: int
    unix: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("closing")
    unix = folder / "socket"
    with reserved_ports(2) as (tls_port, proxied_port):
        extra = [
            *configured(folder),
            "--listen",
            f"ssl:{tls_port}:interface=127.0.0.1",
            "--set",
            f"tls.certificate={certificate.certificate}",
            "--set",
            f"tls.key={certificate.key}",
            "--listen",
            f"haproxy:tcp:{proxied_port}:interface=127.0.0.1",
            "--listen",
            f"unix:{unix}",
        ]
        with running_daemon(folder, extra=extra) as daemon:
            yield Server(daemon, tls_port, proxied_port, unix)


ANSWER = masked(struct.pack("!H", 1000), first=0x88)
FLOOD = masked(b"x" * 1000) * 4


@pytest.mark.parametrize("delay", [0.0, 0.025], ids=["here", "50 ms away"])
@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "TLS"])
def test_clients_that_are_sending_get_everything_and_the_code(
    server: Server, certificate: Certificate, over_tls: bool, delay: float
) -> None:
    target = server.tls_port if over_tls else server.daemon.websocket_port
    tls = certificate.context() if over_tls else None
    clients = CLIENTS // 4 if delay else CLIENTS
    results: list[Seen] = []
    with contextlib.ExitStack() as stack:
        port = target
        if delay:
            port = stack.enter_context(DelayingProxy(target, delay).running()).port
        for _ in range(clients):
            with connected(port, tls) as connection:
                results.append(talk(connection, upgrade() + masked(b"go"), FLOOD))
    outcomes = Counter((each.end, each.events(), each.close_code()) for each in results)
    assert outcomes == {("end", EVENTS, 4000): clients}


def outcome(seen: Seen) -> tuple[str, int, int | None]:
    return seen.end, seen.events(), seen.close_code()


def test_behind_a_proxy_and_over_a_unix_socket(server: Server) -> None:
    for _ in range(20):
        with connected(server.proxied_port, None) as connection:
            connection.sendall(b"PROXY TCP4 192.0.2.1 127.0.0.1 50000 8080\r\n")
            seen = talk(connection, upgrade() + masked(b"go"), FLOOD)
        assert outcome(seen) == ("end", EVENTS, 4000)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(server.unix))
            seen = talk(connection, upgrade() + masked(b"go"), FLOOD)
        assert outcome(seen) == ("end", EVENTS, 4000)


@pytest.mark.parametrize(
    ("first", "answer"),
    [
        (upgrade("/"), b"HTTP/1.1 400 "),
        (
            upgrade("/", "wamp").replace(b"Host: 127.0.0.1", b"Host: a\r\nOrigin: http://b"),
            b"HTTP/1.1 403 ",
        ),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"HTTP/1.1 200 "),
        (upgrade()[:-2] + b"X: " + b"x" * 70_000, b"HTTP/1.1 431 "),
    ],
    ids=["no subprotocol", "origin", "a page", "long header"],
)
def test_refused_handshakes_are_answered_whatever_follows_them(
    server: Server, first: bytes, answer: bytes
) -> None:
    for _ in range(20):
        with connected(server.daemon.websocket_port, None) as connection:
            seen = talk(connection, first, FLOOD)
        assert seen.end == "end"
        assert seen.data.startswith(answer)


def test_a_message_that_is_too_long_gets_its_code(server: Server) -> None:
    for _ in range(20):
        with connected(server.daemon.websocket_port, None) as connection:
            seen = talk(connection, upgrade("/", "wamp") + masked(b"x" * 70_000), FLOOD)
        assert seen.end == "end"
        assert struct.pack("!H", 1009) in seen.data[-125:]


def test_a_client_that_does_not_close_its_side_is_closed_soon(server: Server) -> None:
    with connected(server.daemon.websocket_port, None) as connection:
        connection.sendall(upgrade() + masked(b"go"))
        while connection.recv(65536):
            pass
        eventually(server.daemon.counts, lambda counts: counts[2] == 0)


def metrics(daemon: Daemon) -> str:
    with urllib.request.urlopen(f"{daemon.http_url}/metrics", timeout=PATIENCE) as response:
        text: str = response.read().decode()
    return text


def test_a_stop_delivers_everything_to_clients_that_are_sending(tmp_path: Path) -> None:
    with running_daemon(tmp_path, extra=configured(tmp_path)) as daemon:
        first = upgrade("/", "wamp") + masked(b'[5,"news"]')
        results: list[Seen] = []

        def client() -> None:
            with connected(daemon.websocket_port, None) as connection:
                results.append(
                    talk(connection, first, masked(b'[7,"other","' + b"x" * 900 + b'"]'))
                )

        threads = [threading.Thread(target=client) for _ in range(10)]
        for each in threads:
            each.start()
        eventually(daemon.health, lambda health: health["topics"] >= 1 and health["sessions"] == 10)
        with zmq.Context() as context, context.socket(zmq.PUSH) as socket_:
            socket_.connect(daemon.zmq_address)
            for number in range(400):
                socket_.send_json({"category": "news", "text": f"event {number}"})
            accepted = 'wampush_inputs_accepted_total{source="zeromq"} 400'
            eventually(lambda: metrics(daemon), lambda text: accepted in text)
        daemon.stop()
        for each in threads:
            each.join(PATIENCE)
    assert Counter((seen.end, seen.events()) for seen in results) == {("end", 400): 10}


PAGE = """
async url => {
    const publish = '[7,"t","' + 'x'.repeat(1000) + '"]';
    const one = () => new Promise(resolve => {
        const socket = new WebSocket(url, 'wamp');
        let errors = 0;
        socket.onopen = () => {
            socket.send('[2,"c","leave"]');
            for (let n = 0; n < 10; n++) socket.send(publish);
        };
        socket.onmessage = event => {
            if (!event.data.startsWith('[4,"c",')) return;
            errors++;
            socket.send(publish);
        };
        // What a page sends too late is discarded by the browser, which then calls the end unclean.
        const clean = event => event.wasClean || socket.bufferedAmount > 0;
        socket.onclose = event => resolve([event.code, event.reason, errors, clean(event)]);
    });
    const seen = [];
    for (let n = 0; n < 10; n++)
        seen.push(...await Promise.all(Array.from({length: 10}, one)));
    return seen;
}
"""


def test_sessions_that_an_application_ends_end_cleanly_in_a_browser(
    driver: Playwright, server: Server, tmp_path: Path
) -> None:
    with (
        running_browser(driver, tmp_path / "profile", any_certificate=True) as browser,
        page_server({"/page.html": b"<!doctype html>"}) as pages,
    ):
        page = browser.open(f"{pages.url}/page.html")
        for url in (
            server.daemon.websocket_url,
            f"wss://127.0.0.1:{server.tls_port}",
        ):
            seen = Counter(tuple(each) for each in page.evaluate(PAGE, f"{url}/"))
            assert seen == {(3000, "You leave.", 1, True): CLIENTS}, url
        assert browser.errors == []
