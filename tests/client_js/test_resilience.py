"""Pages that stay connected: cuts under load, and processes that are frozen."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from install_node_packages import CLIENT

from tests.support.client_js import node
from tests.support.daemon import Daemon, running_daemon
from tests.support.delay import DelayingProxy
from tests.support.raw_client import RawClient
from tests.support.waiting import PATIENCE, eventually

SCRIPT = Path(__file__).with_name("stay_connected.cjs")
CUTS = 1000
CONFIG = """
[clients]
publish = "always"
[websocket]
ping_interval = 1
silence_timeout = 2
[limits]
messages_per_second = 100000
message_burst = 100000
messages_per_second_per_address = 100000
[[topics]]
match = "kept.*"
history = 10000
[[topics]]
match = "short.*"
history = 3
"""


@pytest.fixture(scope="module")
def lasting_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that keeps much of one topic and little of the other."""
    folder = tmp_path_factory.mktemp("daemon")
    (folder / "wampush.toml").write_text(CONFIG, encoding="utf-8")
    with running_daemon(folder, extra=["--config", "wampush.toml"]) as running:
        yield running


class StayingPage:
    """The script as a process."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [node(), str(SCRIPT), url],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NODE_PATH": str(CLIENT / "node_modules")},
        )
        assert self._line() == "ready\n"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def send_signal(self, number: signal.Signals) -> None:
        """Freeze it, or let it go on."""
        self._process.send_signal(number)

    def report(self) -> Any:
        """What it reports at its end."""
        report = json.loads(self._line())
        assert self._process.wait(PATIENCE) == 0
        return report

    def stop(self) -> None:
        """End it if it runs."""
        self._process.kill()
        self._process.wait(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextlib.contextmanager
def staying_page(url: str) -> Iterator[StayingPage]:
    """Run the script for the length of the block."""
    page = StayingPage(url)
    try:
        yield page
    finally:
        page.stop()


def push(publisher: RawClient, *events: object) -> None:
    """Publish events to both topics."""
    for event in events:
        publisher.send(7, "kept.load", event)
        publisher.send(7, "short.load", event)


def check(events: list[Any], count: int) -> int:
    """Events came once and in order, and each hole was reported; how often state was lost."""
    last, is_lost, losses = -1, False, 0
    for index, event in enumerate(events):
        if event == "lost":
            is_lost, losses = True, losses + 1
        else:
            around = events[max(0, index - 5) : index + 5]
            assert event > last if is_lost else event == last + 1, around
            last, is_lost = event, False
    assert is_lost or last == count - 1
    return losses


def test_a_thousand_cuts_under_load_lose_and_double_nothing(shared_daemon: Daemon) -> None:
    with (
        DelayingProxy(shared_daemon.websocket_port, 0).running() as proxy,
        staying_page(f"ws://127.0.0.1:{proxy.port}/") as page,
        RawClient(shared_daemon.websocket_port) as publisher,
    ):
        sent = 0
        for cut in range(CUTS):
            push(publisher, sent, sent + 1)
            # What follows a cut is published while nobody is there, or in the midst of its return.
            proxy.cut()
            push(publisher, *range(sent + 2, sent + 2 + cut % 5))
            sent += 2 + cut % 5
            proxy.wait_for_connections(cut + 2)
        publisher.send(7, "kept.end", None)
        report = page.report()
    assert check(report["got"]["kept.load"], sent) == 0
    assert check(report["got"]["short.load"], sent) > 0
    assert report["sessions"] > 1


def test_a_frozen_server_goes_on_where_it_was(shared_daemon: Daemon) -> None:
    with (
        staying_page(f"{shared_daemon.websocket_url}/") as page,
        RawClient(shared_daemon.websocket_port) as publisher,
    ):
        push(publisher, 0)
        os.kill(shared_daemon.pid, signal.SIGSTOP)
        try:
            push(publisher, 1, 2)
        finally:
            os.kill(shared_daemon.pid, signal.SIGCONT)
        publisher.send(7, "kept.end", None)
        report = page.report()
    assert report == {"got": {"kept.load": [0, 1, 2], "short.load": [0, 1, 2]}, "sessions": 1}


def test_a_frozen_page_gets_what_it_missed_when_it_goes_on(shared_daemon: Daemon) -> None:
    # Longer than the server waits: the lid of a laptop was closed.
    with staying_page(f"{shared_daemon.websocket_url}/") as page:
        with RawClient(shared_daemon.websocket_port) as publisher:
            push(publisher, 0)
        page.send_signal(signal.SIGSTOP)
        try:
            eventually(lambda: shared_daemon.counts()[0], lambda sessions: sessions == 0)
            with RawClient(shared_daemon.websocket_port) as publisher:
                push(publisher, *range(1, 9))
                publisher.send(2, "1", "wampush.time")
                assert publisher.receive()[0] == 3
        finally:
            page.send_signal(signal.SIGCONT)
        eventually(lambda: shared_daemon.counts()[0], lambda sessions: sessions == 1)
        with RawClient(shared_daemon.websocket_port) as publisher:
            publisher.send(7, "kept.end", None)
            report = page.report()
    assert report["got"]["kept.load"] == list(range(9))
    # The server keeps three, and says that others are gone.
    assert report["got"]["short.load"] == [0, "lost"]
    assert report["sessions"] == 2
