"""What the migration guide says PHP does while wampush is down, with real PHP and ext-zmq."""

from __future__ import annotations

import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.support.php import PhpServer, need_zmq, php_server
from tests.support.waiting import PATIENCE
from wampush.testing.ports import reserved_ports

PUSH = """<?php
$name = $_GET['name'] === '' ? null : $_GET['name'];
$context = new ZMQContext(1, $_GET['persistent'] === '1');
$socket = $context->getSocket(ZMQ::SOCKET_PUSH, $name);
if ($_GET['linger'] !== '') {
    $socket->setSockOpt(ZMQ::SOCKOPT_LINGER, (int) $_GET['linger']);
}
$socket->setSockOpt(ZMQ::SOCKOPT_IMMEDIATE, (int) $_GET['immediate']);
$socket->setSockOpt(ZMQ::SOCKOPT_SNDTIMEO, 1000);
$socket->connect("tcp://127.0.0.1:{$_GET['port']}");
echo json_encode($socket->send($_GET['text']) !== false);
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PhpServer]:
    need_zmq()
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "push.php").write_text(PUSH, encoding="utf-8")
    with php_server(tmp_path, scripts) as running:
        yield running


@pytest.fixture
def port() -> Iterator[int]:
    """A port at which nobody pulls yet."""
    with reserved_ports(1) as (reserved,):
        yield reserved


def push(
    server: PhpServer,
    port: int,
    text: str,
    *,
    persistent: bool = True,
    name: str = "",
    linger: int | None = None,
    immediate: bool = False,
) -> tuple[bool, float]:
    """Push from a request; return whether ``send`` succeeded, and the seconds until its end."""
    query = urllib.parse.urlencode(
        {
            "port": port,
            "text": text,
            "persistent": int(persistent),
            "name": name,
            "linger": "" if linger is None else linger,
            "immediate": int(immediate),
        }
    )
    before = time.monotonic()
    with urllib.request.urlopen(f"{server.url}/push.php?{query}", timeout=PATIENCE) as response:
        sent = response.read() == b"true"
    return sent, time.monotonic() - before


def received(port: int, last: str) -> list[str]:
    """Pull at a port until a message comes; return all up to it."""
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.set(zmq.RCVTIMEO, 20_000)
        socket.bind(f"tcp://127.0.0.1:{port}")
        messages = [socket.recv_string()]
        while messages[-1] != last:
            messages.append(socket.recv_string())
        return messages


def test_a_named_socket_keeps_its_messages_in_the_worker(server: PhpServer, port: int) -> None:
    for text in ("1", "2"):
        sent, _ = push(server, port, text, name="pusher", linger=0)
        assert sent
    assert received(port, "2") == ["1", "2"]


def test_without_linger_a_socket_without_a_name_keeps_them_too(
    server: PhpServer, port: int
) -> None:
    sent, _ = push(server, port, "1")
    assert sent
    assert received(port, "1") == ["1"]


def test_with_linger_a_socket_without_a_name_drops_them(server: PhpServer, port: int) -> None:
    sent, _ = push(server, port, "1", linger=0)
    assert sent
    push(server, port, "2", name="pusher")
    assert received(port, "2") == ["2"]


def test_a_context_that_is_not_persistent_waits_for_linger(server: PhpServer, port: int) -> None:
    sent, seconds = push(server, port, "1", persistent=False, linger=1000)
    assert sent
    assert seconds >= 0.9


def test_with_immediate_nothing_is_queued(server: PhpServer, port: int) -> None:
    sent, seconds = push(server, port, "1", immediate=True, linger=1000)
    assert not sent
    assert seconds >= 0.9
