"""The web application is told whether a client came through TLS."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.certificates import make_certificate
from tests.support.daemon import Daemon
from tests.support.waiting import PATIENCE
from wampush.testing.ports import reserved_ports

REQUEST = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: wamp\r\nCookie: a=1\r\n{more}\r\n"
)


@contextmanager
def web_application() -> Iterator[tuple[str, list[str]]]:
    """Its address, and the schemes that it was told; it knows nobody."""
    schemes: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            schemes.append(json.loads(body)["scheme"])
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Keep the output of the test run readable."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", schemes
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def connect(port: int, context: ssl.SSLContext | None, more: str = "") -> None:
    """Make a handshake and see that it is answered."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
        stream = context.wrap_socket(plain, server_hostname="localhost") if context else plain
        with stream:
            stream.sendall(REQUEST.format(more=more).encode())
            assert stream.recv(65536).startswith(b"HTTP/1.1 101 ")


def test_the_scheme_is_that_of_the_connection_or_of_the_trusted_proxy(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    config = tmp_path / "wampush.toml"
    with web_application() as (url, schemes), reserved_ports(4) as (*ports, tls_port):
        config.write_text(
            f'{certificate.table()}[auth]\norder = ["callback", "anonymous"]\n'
            f'[callback]\nurl = "{url}"\n[proxy]\ntrusted = ["127.0.0.1"]\n',
            encoding="utf-8",
        )
        listening = f"ssl:{tls_port}:interface=127.0.0.1"
        extra = ["--config", str(config), "--listen", listening]
        daemon = Daemon(ports, cwd=tmp_path, extra=extra)
        try:
            daemon.wait_until_ready()
            daemon.wait_for_line(f"wss://127.0.0.1:{tls_port}")
            connect(ports[0], None)
            connect(tls_port, certificate.context())
            connect(ports[0], None, "X-Forwarded-Proto: https\r\n")
            daemon.stop()
        finally:
            daemon.kill()
    assert schemes == ["ws", "wss", "wss"]


def test_a_client_without_tls_on_a_port_with_tls_is_logged(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    config = tmp_path / "wampush.toml"
    config.write_text(certificate.table(), encoding="utf-8")
    with reserved_ports(4) as (*ports, tls_port):
        extra = ["--config", str(config), "--listen", f"ssl:{tls_port}:interface=127.0.0.1"]
        daemon = Daemon(ports, cwd=tmp_path, extra=extra)
        try:
            daemon.wait_until_ready()
            with socket.create_connection(("127.0.0.1", tls_port), PATIENCE) as plain:
                plain.sendall(REQUEST.format(more="").encode())
                daemon.wait_for_log(
                    lambda log: "the client sent plain HTTP; clients of this port use" in log
                )
            daemon.stop()
        finally:
            daemon.kill()
