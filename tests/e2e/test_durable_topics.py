"""Durable topics of a daemon: a restart, kill -9, and databases that cannot be used."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from tests.support.daemon import Daemon, running_daemon
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE
from wampush.cli import main
from wampush.testing.ports import reserved_ports

SETTINGS = """
[history]
database = "{folder}/history.sqlite"

[[topics]]
match = "orders"
history = 100
durable = true
"""


def push(daemon: Daemon, number: int) -> dict[str, object]:
    request = urllib.request.Request(f"{daemon.http_url}/publish/orders", b"%d" % number)
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        answer = json.load(response)
    assert isinstance(answer, dict)
    return answer


def test_events_and_offsets_survive_a_stop_and_kill_9(tmp_path: Path) -> None:
    config = tmp_path / "wampush.toml"
    config.write_text(SETTINGS.format(folder=tmp_path))
    extra = ("--config", str(config))
    with running_daemon(tmp_path, extra=extra) as daemon, RawClient(daemon.websocket_port) as page:
        page.subscribe("orders")
        answer = push(daemon, 1)
        assert (answer["receivers"], answer["offset"]) == (1, 1)
        assert page.receive() == [8, "orders", 1]
    assert not list(tmp_path.glob("*-wal"))
    with reserved_ports(3) as ports:
        daemon = Daemon(ports, cwd=tmp_path, extra=extra)
        try:
            daemon.wait_until_ready()
            assert push(daemon, 2) == {**answer, "receivers": 0, "offset": 2}
            assert main(["check", "--config", str(config)]) == 0
        finally:
            daemon.kill()
    with running_daemon(tmp_path, extra=extra) as daemon, RawClient(daemon.websocket_port) as page:
        since = {"epoch": answer["epoch"], "offset": 0}
        page.send(2, "c", "wampush.subscribe", "orders", {"since": since})
        received = [page.receive() for _ in range(3)]
        assert received == [
            [8, "orders", 1],
            [8, "orders", 2],
            [3, "c", {"recovered": True, "epoch": answer["epoch"], "offset": 2}],
        ]
