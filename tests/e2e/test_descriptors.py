"""A daemon with few descriptors serves those inside, whatever strangers open."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.edges.zeromq.key_files import Keys
from tests.support.daemon import twistd_command
from tests.support.processor import cpu_seconds
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE, eventually
from wampush.testing.ports import reserved_ports
from wampush.testing.process import Process
from wampush.testing.running_server import READY

STRANGERS = 400


@contextlib.contextmanager
def small_daemon(folder: Path, address: str, lines: str = "") -> Iterator[tuple[Process, int, int]]:
    config = folder / "wampush.toml"
    config.write_text(f'[zmq]\npull = ["{address}"]\n{lines}', encoding="utf-8")
    with reserved_ports(2) as (websocket, http):
        command = ["/bin/sh", "-c", 'ulimit -n 256; exec "$@"', "sh", *twistd_command()]
        listening = ["--listen", f"tcp:{websocket}:interface=127.0.0.1"]
        listening += ["--http", f"tcp:{http}:interface=127.0.0.1", "--set=process.parent=false"]
        process = Process([*command, "wampush", "--config", str(config), *listening], cwd=folder)
        try:
            process.wait_for_line(READY)
            yield process, websocket, http
            # twistd ends by the signal that stopped it.
            assert process.terminate() == -signal.SIGTERM
        finally:
            process.kill()


def health(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE) as response:
        return int(response.status)


def assert_quiet(log: str) -> None:
    """No kind of line comes more than once in a second."""
    kinds = Counter(
        re.sub(r" \(\d+ similar messages? suppressed\)", "", line) for line in log.splitlines()
    )
    # Each line begins with its second.
    assert {line: count for line, count in kinds.items() if count > 2} == {}, log
    assert len(log.splitlines()) < 60, log


@pytest.mark.parametrize("kind", ["tcp", "ipc"])
def test_more_backends_than_descriptors(tmp_path: Path, kind: str) -> None:
    context = zmq.Context()
    context.set(zmq.MAX_SOCKETS, 2000)
    addresses = {"tcp": "tcp://127.0.0.1:{port}", "ipc": f"ipc://{tmp_path}/pushes"}
    with (
        reserved_ports(1) as (port,),
        small_daemon(tmp_path, address := addresses[kind].format(port=port)) as (
            process,
            websocket,
            http,
        ),
        RawClient(websocket) as page,
    ):
        page.subscribe("t")
        pushers = []
        for _ in range(STRANGERS):
            pusher = context.socket(zmq.PUSH)
            pusher.set(zmq.LINGER, 0)
            pusher.connect(address)
            pushers.append(pusher)
        process.wait_for_line("32 backends are connected, which is the limit")
        assert health(http) == 200
        before = cpu_seconds(process.pid)
        time.sleep(2)
        assert cpu_seconds(process.pid) - before < 1.0
        assert health(http) == 200
        with RawClient(websocket):
            pass
        # Those inside are served; the others wait for a place.
        for pusher in pushers:
            pusher.send_multipart([b"t", b"1"])
        assert page.receive() == [8, "t", 1]
        for pusher in pushers:
            pusher.close()
        eventually(lambda: backends(http), lambda count: count == 0)
        with context.socket(zmq.PUSH) as late:
            late.set(zmq.LINGER, 5000)
            late.connect(address)
            late.send_multipart([b"t", b'"late"'])
            while page.receive() != [8, "t", "late"]:
                pass
        assert_quiet(process.log)
    context.term()


def backends(port: int) -> float:
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        found = re.search(rb"^wampush_backend_connections (\S+)$", response.read(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_silent_connections_to_a_port_with_keys(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    with (
        reserved_ports(1) as (port,),
        small_daemon(tmp_path, f"tcp://127.0.0.1:{port}", keys.lines()) as (
            process,
            websocket,
            http,
        ),
    ):
        strangers = []
        for _ in range(STRANGERS):
            stranger = socket.socket()
            stranger.setblocking(False)
            stranger.connect_ex(("127.0.0.1", port))
            strangers.append(stranger)
        process.wait_for_line("32 backends are connected, which is the limit")
        for _ in range(20):
            assert health(http) == 200
            with RawClient(websocket):
                pass
        assert_quiet(process.log)
        for stranger in strangers:
            stranger.close()
        eventually(lambda: backends(http), lambda count: count == 0)


def test_a_full_house_of_clients(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/pushes"
    with small_daemon(tmp_path, address) as (process, websocket, http):
        pages = [RawClient(websocket) for _ in range(64)]
        strangers = [socket.create_connection(("127.0.0.1", websocket)) for _ in range(STRANGERS)]
        assert health(http) == 200
        pages[0].subscribe("t")
        context = zmq.Context()
        with context.socket(zmq.PUSH) as pusher:
            pusher.set(zmq.LINGER, 5000)
            pusher.connect(address)
            pusher.send_multipart([b"t", b"1"])
            assert pages[0].receive() == [8, "t", 1]
        context.term()
        assert_quiet(process.log)
        for stranger in strangers:
            stranger.close()
        for page in pages:
            with page:
                pass
