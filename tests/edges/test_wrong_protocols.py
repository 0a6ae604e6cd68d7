"""Clients of other protocols are recognised by their first bytes."""

from __future__ import annotations

import contextlib
import socket
import ssl

import pytest
import zmq

from tests.support.waiting import PATIENCE
from wampush.edges.wrong_protocols import wrong_protocol


def first_bytes_of_tls() -> bytes:
    arriving, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(arriving, leaving, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return leaving.read()


def first_bytes_of_zeromq() -> bytes:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        zmq.Context() as context,
        context.socket(zmq.PUSH) as push,
    ):
        push.connect(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        listener.settimeout(PATIENCE)
        accepted, _ = listener.accept()
        with accepted:
            accepted.settimeout(PATIENCE)
            return accepted.recv(10, socket.MSG_WAITALL)


def test_tls() -> None:
    assert "TLS" in (wrong_protocol(first_bytes_of_tls()) or "")


def test_zeromq() -> None:
    assert "zmq.pull" in (wrong_protocol(first_bytes_of_zeromq()) or "")


@pytest.mark.parametrize("data", [b"", b"G", b"GET / HTTP/1.1\r\n", b"\x16", b"\xff\0", b"PROXY "])
def test_what_may_be_http(data: bytes) -> None:
    assert wrong_protocol(data) is None
