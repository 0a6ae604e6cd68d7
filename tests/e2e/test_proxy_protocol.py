"""A listener behind a TCP proxy that sends the PROXY protocol."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import zmq

from tests.support.daemon import Daemon
from tests.support.waiting import PATIENCE, eventually
from wampush.testing.ports import reserved_ports

REQUEST = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: wamp\r\n\r\n"
)
#: [5,"news"] in a frame masked with zeros.
SUBSCRIBE = b"\x81\x8a\0\0\0\0" + b'[5,"news"]'


def through_the_proxy(port: int, client: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    connection.sendall(f"PROXY TCP4 {client} 127.0.0.1 50000 8080\r\n{REQUEST}".encode())
    return connection


def read_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        more = connection.recv(65536)
        assert more, data
        data += more
    return data


def test_clients_are_known_by_the_address_that_the_proxy_tells(tmp_path: Path) -> None:
    config = tmp_path / "wampush.toml"
    config.write_text("[limits]\nconnections_per_address = 1\n")
    with reserved_ports(4) as (*ports, behind):
        extra = ["--config", str(config), "--listen", f"haproxy:tcp:{behind}:interface=127.0.0.1"]
        daemon = Daemon(ports, cwd=tmp_path, extra=extra)
        try:
            daemon.wait_until_ready()
            daemon.wait_for_log(lambda log: str(behind) in log)
            with (
                through_the_proxy(behind, "192.0.2.1") as client,
                through_the_proxy(behind, "192.0.2.2") as other,
            ):
                for each in (client, other):
                    assert b" 101 " in read_until(each, b"wampush/")
                with through_the_proxy(behind, "192.0.2.1") as again:
                    answer = read_until(again, b"are allowed")
                    assert answer.startswith(b"HTTP/1.1 429 ")
                client.sendall(SUBSCRIBE)
                eventually(daemon.counts, lambda counts: counts[1] == 1)
                push(daemon, {"category": "news", "text": "through"})
                assert b'[8,"news",{"category"' in read_until(client, b"through")
            daemon.wait_for_line("192.0.2.1: too-many-from-address")
            daemon.stop()
        finally:
            daemon.kill()


def push(daemon: Daemon, value: object) -> None:
    with zmq.Context() as context, context.socket(zmq.PUSH) as backend:
        backend.connect(daemon.zmq_address)
        backend.send(json.dumps(value).encode())
