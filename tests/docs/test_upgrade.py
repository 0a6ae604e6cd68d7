"""The upgrade notes: keys that have moved, and what happens to pushes while nobody pulls."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest
import zmq

from tests.support.daemon import Daemon
from tests.support.guides import blocks_in
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE, eventually
from wampush.config.keys import MOVED, dotted
from wampush.config.load import load
from wampush.errors import OperatorError
from wampush.testing.ports import reserved_ports

ROOT = Path(__file__).parents[2]
NAME = "docs/howto/upgrade.md"
TEXT = (ROOT / NAME).read_text(encoding="utf-8")


def rows() -> list[tuple[str, str]]:
    """The first two cells of each row of the table of changes."""
    changes = TEXT.partition("## What changed for configurations")[2]
    return re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", changes, re.MULTILINE)


@pytest.mark.parametrize(("path", "key"), MOVED.items(), ids=str)
def test_every_key_that_has_moved_is_on_the_page(path: tuple[str, ...], key: str) -> None:
    def written(table: str, name: str) -> str:
        return f"`[{table}] {name}`"

    assert any(
        written(*dotted(path).split(".")) in before and written(*key.split(".")) in after
        for before, after in rows()
    )


def test_the_message_about_an_old_key(tmp_path: Path) -> None:
    (shown,) = (block for block in blocks_in(NAME, "text") if "no setting" in block)
    path = tmp_path / "wampush.toml"
    path.write_text('[zmq]\ntopic_key = "channel"\n', encoding="utf-8")
    with pytest.raises(OperatorError) as raised:
        load(path, {}, {})
    assert str(raised.value) == shown.strip().replace("/etc/wampush.toml", str(path))


def metrics_of(daemon: Daemon) -> str:
    """What a scrape receives."""
    url = f"http://127.0.0.1:{daemon.http_port}/metrics"
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        return str(response.read().decode())


def test_pushes_that_waited_come_before_the_pages(tmp_path: Path) -> None:
    settings = tmp_path / "wampush.toml"
    settings.write_text('[[topics]]\nmatch = "kept"\nlast = true\n', encoding="utf-8")
    with (
        reserved_ports(3) as ports,
        zmq.Context() as context,
        context.socket(zmq.PUSH) as backend,
    ):
        backend.set(zmq.LINGER, 0)
        backend.connect(f"tcp://127.0.0.1:{ports[1]}")
        for topic in (b"kept", b"lost"):
            backend.send_multipart([topic, b'"while wampush was down"'])
        daemon = Daemon(ports, cwd=tmp_path, extra=["--config", str(settings)])
        try:
            daemon.wait_until_ready()
            unseen = 'wampush_pushes_without_receivers_total{source="zeromq"} 2'
            eventually(lambda: metrics_of(daemon), lambda text: unseen in text)
            with RawClient(daemon.websocket_port) as page:
                page.send(5, "lost")
                page.send(5, "kept")
                assert page.receive() == [8, "kept", "while wampush was down"]
            daemon.stop()
        finally:
            daemon.kill()
