"""The HTTP port of a daemon on sockets: its limit of connections, with and without TLS."""

from __future__ import annotations

import json
import re
import signal
import socket
import ssl
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.certificates import make_certificate
from tests.support.daemon import twistd_command
from tests.support.waiting import PATIENCE, eventually
from wampush.testing.process import Process
from wampush.testing.running_server import READY

HERE = ("--listen", "tcp:0:interface=127.0.0.1", "--pull", "tcp://127.0.0.1:*")
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_beyond_the_limit_connections_are_closed_until_one_ends(
    tmp_path: Path, scheme: str
) -> None:
    certificate = make_certificate(tmp_path)
    (tmp_path / "w.toml").write_text(certificate.table() + "[http]\nmax_connections = 2\n")
    endpoint = f"{'ssl' if scheme == 'https' else 'tcp'}:0:interface=127.0.0.1"
    command = ["wampush", "--config", "w.toml", *HERE, "--http", endpoint]
    process = Process([*twistd_command(), *command], cwd=tmp_path)
    with ExitStack() as stack:
        stack.callback(process.kill)
        process.wait_for_line(READY)
        found = re.search(rf"health on {scheme}://127\.0\.0\.1:(\d+)/", process.log)
        assert found, process.log
        port = int(found[1])

        def connect() -> socket.socket:
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
            if scheme == "https":
                context = certificate.context()
                context.set_alpn_protocols(["h2", "http/1.1"])
                secured = context.wrap_socket(peer, server_hostname="localhost")
                assert secured.selected_alpn_protocol() in (None, "http/1.1")
                peer = stack.enter_context(secured)
            return peer

        def answer(peer: socket.socket) -> bytes:
            peer.sendall(REQUEST)
            data = b""
            while not data.endswith(b"}\n") and (more := peer.recv(65_536)):
                data += more
            return data

        def is_rejected() -> bool:
            try:
                with connect() as peer:
                    return answer(peer) == b""
            except (ConnectionError, ssl.SSLError):
                return True

        peers = [connect(), connect()]
        for peer in peers:
            assert answer(peer).startswith(b"HTTP/1.1 200 ")
        assert is_rejected()
        process.wait_for_line("127.0.0.1: too-many-http-connections")
        # Those that are open keep being answered.
        assert b"sessions" in answer(peers[0])
        peers.pop().close()
        eventually(is_rejected, lambda rejected: not rejected)
        assert json.loads(answer(peers[0]).split(b"\r\n\r\n")[1])["status"] == "ok"
        assert process.terminate() == -signal.SIGTERM
        assert "Traceback" not in process.log, process.log
