"""TLS: what ``[tls]`` may say, resumption, new files, client certificates, slow clients."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import zmq
from playwright.sync_api import Playwright
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from tests.node.local_reactor import LocalReactor
from tests.support.browser import running_browser
from tests.support.certificates import Certificate, make_certificate
from tests.support.daemon import Daemon, running_daemon, twistd_command
from tests.support.pages import PageServer
from tests.support.raw_client import RawClient
from tests.support.tls_pair import TlsPair
from tests.support.waiting import PATIENCE, eventually
from wampush.config.tables.network import TlsSettings
from wampush.errors import OperatorError
from wampush.net.accepting.tls_sockets import TlsServer
from wampush.net.tls import (
    KeyedReactor,
    ServerContext,
    TlsReactor,
    carrier_endpoint,
    is_tls,
    make_context,
    uses_tls_table,
)
from wampush.net.tls_handshakes import FailedHandshakes
from wampush.testing.process import Process


def settings_of(made: Certificate, **other: str) -> TlsSettings:
    files = {"certificate": str(made.certificate), "key": str(made.key)}
    return TlsSettings(**{**files, **other})  # type: ignore[arg-type]


@pytest.fixture
def server(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


def tls_daemon(folder: Path, table: str) -> AbstractContextManager[Daemon]:
    path = folder / "wampush.toml"
    path.write_text(table, encoding="utf-8")
    return running_daemon(folder, extra=["--config", str(path)], tls=True)


@pytest.fixture
def daemon(tmp_path: Path, server: Certificate) -> Iterator[Daemon]:
    with tls_daemon(tmp_path, server.table()) as running:
        yield running


@pytest.fixture(scope="module")
def lasting_server(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The certificate of the daemon that several tests use."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def lasting_daemon(
    tmp_path_factory: pytest.TempPathFactory, lasting_server: Certificate
) -> Iterator[Daemon]:
    with tls_daemon(tmp_path_factory.mktemp("daemon"), lasting_server.table()) as running:
        yield running


def push(daemon: Daemon, topic: str, *values: object) -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket_:
        socket_.connect(daemon.zmq_address)
        for value in values:
            socket_.send_multipart([topic.encode(), json.dumps(value).encode()])


def serial(port: int) -> bytes:
    """The certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
        context.wrap_socket(plain) as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
    assert shown
    return shown


def in_file(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


# Endpoints.


@pytest.mark.parametrize(
    ("endpoint", "ours"),
    [
        ("ssl:8443", True),
        ("ssl:8443:interface=127.0.0.1", True),
        (r"ssl:8443:interface=\:\:1:backlog=10", True),
        ("ssl:8443:certKey=a.pem:privateKey=b.pem", False),
        ("ssl:8443:key.pem", False),
        ("tcp:8443", False),
    ],
)
def test_which_endpoints_use_the_settings(endpoint: str, ours: bool) -> None:
    assert uses_tls_table(endpoint) is ours
    assert is_tls(endpoint) is endpoint.startswith("ssl:")
    if ours:
        assert carrier_endpoint(endpoint) == endpoint.replace("ssl:", "tcp:")


# What stops the start.


def test_a_certificate_with_its_chain_is_usable(tmp_path: Path, server: Certificate) -> None:
    other = make_certificate(tmp_path, "intermediate")
    make_context(settings_of(server, chain=str(other.certificate)))
    full = tmp_path / "full.pem"
    full.write_bytes(server.certificate.read_bytes() + other.certificate.read_bytes())
    make_context(settings_of(server, certificate=str(full), minimum_version="1.3"))


def test_every_mistake_says_what_is_wrong_and_no_secret(
    tmp_path: Path, server: Certificate
) -> None:
    other = make_certificate(tmp_path, "other")
    locked = make_certificate(tmp_path, "locked", passphrase=b"opensesame")
    garbage = tmp_path / "garbage.pem"
    secret = server.key.read_text().splitlines()[1]
    garbage.write_text(f"-----BEGIN PRIVATE KEY-----\nx{secret}\n-----END PRIVATE KEY-----\n")
    missing = str(tmp_path / "missing.pem")
    mistakes = [
        (TlsSettings(), "tls.certificate is not set"),
        (TlsSettings(certificate=str(server.certificate)), "tls.key is not set"),
        (settings_of(server, certificate=missing), "cannot be read: No such file"),
        (settings_of(server, key=missing), "cannot be read: No such file"),
        (settings_of(server, key=str(tmp_path)), "cannot be read: Is a directory"),
        (settings_of(server, key=str(other.key)), "does not belong to the first certificate"),
        (settings_of(server, key=str(garbage)), "holds no readable private key"),
        (settings_of(server, certificate=str(server.key)), "holds no readable certificate"),
        (settings_of(locked), "protected by a passphrase"),
        (settings_of(server, chain=str(server.key)), "tls.chain"),
        (settings_of(server, ciphers="NONSENSE"), "tls.ciphers 'NONSENSE'"),
        (settings_of(server, client_certificate="required"), "tls.client_ca is not set"),
        (settings_of(server, client_ca=str(other.certificate)), 'tls.client_certificate is "off"'),
        (
            settings_of(server, client_certificate="optional", client_ca=str(garbage)),
            "tls.client_ca",
        ),
    ]
    for settings, said in mistakes:
        with pytest.raises(OperatorError) as caught:
            make_context(settings)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
        assert secret[:16] not in str(caught.value)
        assert "opensesame" not in str(caught.value)


def test_the_daemon_ends_with_one_line(tmp_path: Path, server: Certificate) -> None:
    table = settings_of(server, key=str(make_certificate(tmp_path, "other").key))
    config = tmp_path / "wampush.toml"
    config.write_text(f'[tls]\ncertificate = "{table.certificate}"\nkey = "{table.key}"\n')
    options = ["--config", str(config), "--listen", "ssl:0", "--pull", "ipc://*", "--http", "off"]
    process = Process([*twistd_command(), "wampush", *options], cwd=tmp_path)
    try:
        assert process.wait() == 1
    finally:
        process.kill()
    assert "wampush: tls.key" in process.log
    assert "does not belong" in process.log
    assert "Traceback" not in process.log


# Connections in memory.


def current_of(server: Certificate, **more: str) -> ServerContext:
    return ServerContext(settings_of(server, **more), FailedHandshakes())


class MemoryConnection:
    """A client of the standard library and a connection of a listener, which echoes.

    :raises ssl.SSLError: one side refuses the other.
    """

    def __init__(self, current: ServerContext, client: ssl.SSLContext) -> None:
        self._pair = TlsPair(current, client)
        self._pair.talker.on_data = self._pair.transport.write
        self._until(lambda: self._pair.client.is_open)
        self.client = self._pair.client.tls

    def echo(self, data: bytes) -> bytes:
        before = len(self._pair.client.received)
        self._pair.client.write(data)
        self._until(lambda: len(self._pair.client.received) == before + len(data))
        return bytes(self._pair.client.received[before:])

    def certificate(self) -> bytes:
        shown = self.client.getpeercert(binary_form=True)
        assert shown
        return shown

    def _until(self, holds: Callable[[], bool]) -> None:
        client = self._pair.client
        self._pair.until(lambda: holds() or client.error is not None)
        if client.error is not None:
            self._pair.close()
            raise client.error


def test_a_connection_has_tls(server: Certificate) -> None:
    connection = MemoryConnection(current_of(server), server.context())
    assert connection.certificate() == in_file(server.certificate)
    assert connection.echo(b"hello") == b"hello"
    assert connection.echo(b"again") == b"again"


def test_the_lowest_version_is_that_of_the_settings(server: Certificate) -> None:
    client = server.context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    made = MemoryConnection(current_of(server), client)
    assert made.client.version() == "TLSv1.2"
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol version"):
        MemoryConnection(current_of(server, minimum_version="1.3"), client)


@pytest.mark.parametrize("wanted", ["optional", "required"])
def test_which_client_certificates_are_accepted(
    tmp_path: Path, server: Certificate, wanted: str
) -> None:
    known, stranger = (make_certificate(tmp_path, name) for name in ("known", "stranger"))
    current = ServerContext(
        settings_of(server, client_certificate=wanted, client_ca=str(known.certificate)),
        FailedHandshakes(),
    )
    for presented, accepted in ((known, True), (stranger, False), (None, wanted == "optional")):
        client = server.context()
        if presented is not None:
            client.load_cert_chain(presented.certificate, presented.key)
        # In TLS 1.3 the refusal comes after the client's part of the handshake.
        if accepted:
            assert MemoryConnection(current, client).echo(b"hello") == b"hello"
        else:
            with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
                MemoryConnection(current, client).echo(b"hello")


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Lines of the log."""
    lines: list[str] = []

    def add(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    observer: Any = add
    globalLogPublisher.addObserver(observer)
    yield lines
    globalLogPublisher.removeObserver(observer)


def test_reloaded_files_are_for_new_connections(
    tmp_path: Path, server: Certificate, logged: list[str]
) -> None:
    current = current_of(server)
    early, trusting = MemoryConnection(current, server.context()), server.context()
    first = in_file(server.certificate)
    replace(server, make_certificate(tmp_path, "renewed"))
    assert MemoryConnection(current, trusting).certificate() == first
    assert current.reload()
    renewed = MemoryConnection(current, server.context()).certificate()
    assert renewed == in_file(server.certificate) != first
    assert early.echo(b"still here") == b"still here"
    assert logged == [
        f"TLS: certificate reloaded from {server.certificate}; new connections use it"
    ]


def test_unusable_files_change_nothing(server: Certificate, logged: list[str]) -> None:
    current = current_of(server)
    trusting, kept = server.context(), in_file(server.certificate)
    server.certificate.write_text("half a file")
    assert not current.reload()
    assert MemoryConnection(current, trusting).certificate() == kept
    (line,) = logged
    assert line.startswith("TLS: could not reload the certificate, keeping the old one: tls.cert")
    assert str(server.certificate) in line


# Connections to a daemon.


def test_events_come_over_tls_and_the_demo_is_told_so(
    shared_daemon: Daemon, lasting_server: Certificate
) -> None:
    daemon, server = shared_daemon, lasting_server
    with RawClient(daemon.websocket_port, tls=server.context()) as client:
        client.subscribe("t")
        push(daemon, "t", 1, "x" * 200_000)
        assert client.receive() == [8, "t", 1]
        assert client.receive() == [8, "t", "x" * 200_000]
    with urllib.request.urlopen(
        f"{daemon.http_url}/demo/settings.json", timeout=PATIENCE
    ) as answer:
        assert json.load(answer)["websocket"] == f"{daemon.websocket_url}/"


def connect(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLSocket:
    """A connection that has had an answer, so that a ticket is there."""
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
    secure = context.wrap_socket(plain, server_hostname="localhost", session=session)
    secure.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert secure.recv(4096).startswith(b"HTTP/1.1 200")
    return secure


@pytest.mark.parametrize("client_certificate", ["off", "required"])
def test_sessions_are_resumed(tmp_path: Path, server: Certificate, client_certificate: str) -> None:
    client = make_certificate(tmp_path, "client")
    lines = [f'client_certificate = "{client_certificate}"']
    if client_certificate == "required":
        lines.append(f'client_ca = "{client.certificate}"')
    with tls_daemon(tmp_path, server.table(*lines)) as daemon:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = server.context()
            context.minimum_version = context.maximum_version = version
            if client_certificate == "required":
                context.load_cert_chain(client.certificate, client.key)
            resume(daemon, context, version)


def resume(daemon: Daemon, context: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    """Connect, and again with the session of before."""
    with connect(daemon.websocket_port, context, None) as first:
        assert not first.session_reused
        session = first.session
    with connect(daemon.websocket_port, context, session) as second:
        assert second.session_reused
        assert second.version() == version.name.replace("_", ".")


def test_an_old_version_is_refused(tmp_path: Path, server: Certificate) -> None:
    context = server.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with tls_daemon(tmp_path, server.table('minimum_version = "1.3"')) as daemon:
        with pytest.raises(ssl.SSLError):
            connect(daemon.websocket_port, context, None)
        connect(daemon.websocket_port, server.context(), None).close()


@pytest.mark.parametrize("wanted", ["optional", "required"])
def test_client_certificates(tmp_path: Path, server: Certificate, wanted: str) -> None:
    known, stranger = (make_certificate(tmp_path, name) for name in ("known", "stranger"))
    lines = [f'client_certificate = "{wanted}"', f'client_ca = "{known.certificate}"']
    with tls_daemon(tmp_path, server.table(*lines)) as daemon:
        port = daemon.websocket_port
        for presented, accepted in ((known, True), (stranger, False), (None, wanted == "optional")):
            context = server.context()
            if presented is not None:
                context.load_cert_chain(presented.certificate, presented.key)
            if accepted:
                connect(port, context, None).close()
            else:
                # In TLS 1.3 the refusal comes after the client's part of the handshake.
                with pytest.raises(OSError):
                    connect(port, context, None)
        eventually(lambda: daemon.counts()[2], lambda connections: connections == 0)


def test_plain_text_on_a_tls_port_ends_quietly(
    shared_daemon: Daemon, lasting_server: Certificate
) -> None:
    daemon, server = shared_daemon, lasting_server
    with socket.create_connection(("127.0.0.1", daemon.websocket_port), PATIENCE) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        while plain.recv(4096):
            pass
    connect(daemon.websocket_port, server.context(), None).close()


# New files.


def replace(target: Certificate, source: Certificate) -> None:
    for new, old in ((source.certificate, target.certificate), (source.key, target.key)):
        old.write_bytes(new.read_bytes())


def test_new_files_hold_for_new_connections(
    tmp_path: Path, daemon: Daemon, server: Certificate
) -> None:
    port = daemon.websocket_port
    with RawClient(port, tls=server.context()) as early:
        early.subscribe("t")
        replace(server, make_certificate(tmp_path, "renewed"))
        assert serial(port) != in_file(server.certificate)
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_line("certificate reloaded")
        assert serial(port) == in_file(server.certificate)
        push(daemon, "t", "still here")
        assert early.receive() == [8, "t", "still here"]
        kept = in_file(server.certificate)
        server.certificate.write_text("half a file")
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_line("keeping the old one")
        (line,) = [line for line in daemon.lines if "keeping the old one" in line]
        assert f"tls.certificate '{server.certificate}'" in line
        assert serial(port) == kept
        push(daemon, "t", "and still")
        assert early.receive() == [8, "t", "and still"]


def test_without_tls_a_hangup_changes_nothing(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_line("SIGHUP: ")
        with RawClient(daemon.websocket_port) as client:
            client.subscribe("t")


# Clients that do not read.


def test_a_client_that_stops_reading_is_dropped_and_others_get_everything(
    shared_daemon: Daemon, lasting_server: Certificate
) -> None:
    daemon, server = shared_daemon, lasting_server
    port = daemon.websocket_port
    payload = "x" * 20_000
    with (
        RawClient(port, tls=server.context()) as one,
        RawClient(port, tls=server.context()) as two,
        RawClient(port, tls=server.context()) as asleep,
        zmq.Context() as context,
        context.socket(zmq.PUSH) as pusher,
    ):
        for client in (one, two, asleep):
            client.subscribe("t")
        pusher.connect(daemon.zmq_address)
        number = 0
        while "slow-client" not in daemon.log:
            pusher.send_multipart([b"t", json.dumps([number, payload]).encode()])
            number += 1
            for client in (one, two):
                assert client.receive()[2][0] == number - 1
        # The last frame may be cut short, so that it is no JSON.
        with pytest.raises((OSError, AssertionError, ValueError)):  # noqa: PT012
            while True:
                asleep.receive()
        eventually(daemon.counts, lambda counts: counts == (2, 1, 2))
    assert number * len(payload) > 1_048_576


# A browser.


def test_a_page_gets_events_over_wss(
    driver: Playwright, tmp_path: Path, shared_daemon: Daemon, pages: PageServer
) -> None:
    daemon = shared_daemon
    with running_browser(driver, tmp_path / "profile", any_certificate=True) as browser:
        page = browser.open(f"{pages.url}/plain.html")
        page.evaluate("url => openSession('a', url)", daemon.websocket_url)
        page.evaluate("() => sessions.a.subscribe('t', sessions.a.listener)")
        page.evaluate("() => settled('a')")
        push(daemon, "t", {"title": "ü"})
        page.wait_for_function("() => sessions.a.received.length > 0")
        assert page.evaluate("() => taken('a')") == [["t", {"title": "ü"}]]
        assert browser.errors == []


def test_who_is_far_beyond_the_limit_is_cut_off_without_a_traceback(
    tmp_path: Path, server: Certificate
) -> None:
    lines = ("[websocket]", "max_connections = 1")
    with tls_daemon(tmp_path, "\n".join((server.table(), *lines))) as daemon:
        address = ("127.0.0.1", daemon.websocket_port)
        with contextlib.ExitStack() as stack:
            for _ in range(1 + 64):
                stack.enter_context(socket.create_connection(address, PATIENCE))
            late = stack.enter_context(socket.create_connection(address, PATIENCE))
            with contextlib.suppress(ConnectionResetError):
                assert late.recv(1) == b""
        assert "Traceback" not in daemon.log


def ports_of(reactor: LocalReactor) -> list[Any]:
    """What listens, in place of what would be listening."""
    opened: list[Any] = []
    listen = reactor.listenTCP

    def listen_and_keep(*how: Any) -> Any:
        opened.append(listen(*how))
        return opened[-1]

    vars(reactor)["listenTCP"] = listen_and_keep
    return opened


def test_ports_make_connections_with_the_current_context(server: Certificate) -> None:
    reactor, current = LocalReactor(), current_of(server)
    (opened, securing) = ports_of(reactor), TlsReactor(reactor, current)
    assert securing.seconds() == reactor.seconds()
    port = securing.listenTCP(8443, Factory.forProtocol(Protocol), 50, "127.0.0.1")
    assert opened == [port]
    assert issubclass(port.transport, TlsServer)
    assert port.transport.contexts is current


def test_endpoints_that_name_their_key_report_handshakes_that_fail(server: Certificate) -> None:
    reactor, failed = LocalReactor(), FailedHandshakes()
    opened = ports_of(reactor)
    keyed: Any = KeyedReactor(reactor, failed)
    assert keyed.seconds() == reactor.seconds()
    text = f"ssl:8443:interface=::1:privateKey={server.key}:certKey={server.certificate}"
    endpoint = serverFromString(keyed, text.replace("::1", r"\:\:1"))
    endpoint.listen(Factory.forProtocol(Protocol))
    (port,) = opened
    assert (port.getHost().port, port.getHost().host) == (8443, "::1")
    contexts = port.transport.contexts
    assert MemoryConnection(contexts, server.context()).echo(b"hello") == b"hello"
    assert failed.count == 0
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        MemoryConnection(contexts, ssl.create_default_context())
    plain = TlsPair(contexts, server.context())
    plain.client.end.send(b"GET / HTTP/1.1\r\n\r\n")
    plain.reactor.turn()
    assert failed.count == 2
    plain.close()
