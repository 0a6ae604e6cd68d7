"""Unmodified pages with the genuine AutobahnJS in Chromium that are cut off: nothing is missed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Self

import pytest
import zmq
from playwright.sync_api import Page

from tests.support import tokens
from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.delay import DelayingProxy
from tests.support.pages import PageServer
from tests.support.waiting import PATIENCE, eventually

CUTS = 8
PER_SECOND = 200
PAGE = """
<!doctype html><script src="/autobahn.min.js"></script><script>
const seen = [];
let subscribed = false;
function onAnswer() { subscribed = true; }
ab.connect("URL", function (session) {
    session.subscribe("orders", function (topic, event) { seen.push(event); });
    session.call("http://example.com/none").then(onAnswer, onAnswer);
}, function () {}, {retryDelay: 20, maxRetries: 1000});
</script>
"""
SETTINGS = """
[auth]
order = ["token"]
[token]
key_file = "token.key"
[websocket]
ping_interval = 0.1
silence_timeout = 30
[[topics]]
match = "orders"
history = 100000
gap_replay = true
"""


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with gap replay, whose pings are frequent."""
    key = tmp_path / "token.key"
    key.write_text(tokens.KEY, encoding="ascii")
    key.chmod(0o600)
    path = tmp_path / "wampush.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    with running_daemon(tmp_path, extra=["--config", str(path)]) as running:
        yield running


class Pusher:
    """Pushes 0, 1, 2, … at a steady rate, in a thread."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.last = -1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop pushing."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
            # Bounded, so that a test that fails ends also where nobody pulls any more.
            socket.set(zmq.LINGER, int(PATIENCE * 1000))
            socket.set(zmq.SNDTIMEO, int(PATIENCE * 1000))
            socket.connect(f"tcp://127.0.0.1:{self._port}")
            begin = time.monotonic()
            for number in count():
                pause = begin + number / PER_SECOND - time.monotonic()
                if self._ending.wait(max(0.0, pause)):
                    return
                socket.send_multipart([b"orders", json.dumps(number).encode()])
                self.last = number


def open_tabs(browser: Browser, pages: PageServer, proxy: DelayingProxy, number: int) -> list[Page]:
    url = f"ws://127.0.0.1:{proxy.port}/?token={tokens.token('7')}"
    pages.files["/orders.html"] = PAGE.replace("URL", url).encode()
    tabs = [browser.open(f"{pages.url}/orders.html") for _ in range(number)]
    for tab in tabs:
        tab.wait_for_function("subscribed")
    return tabs


def check(tab: Page, last: int) -> int:
    """Check that a page has got each event, with no hole at any time; return how many doubles."""
    tab.wait_for_function("last => seen.includes(last)", arg=last)
    seen = tab.evaluate("seen")
    assert seen[0] == 0, seen[:60]
    newest = -1
    for each in seen:
        assert each <= newest + 1, f"{newest + 1} to {each - 1} are missing"
        newest = max(newest, each)
    return len(seen) - last - 1


@pytest.mark.parametrize("number", [1, 2])
def test_tabs_that_are_cut_off_often_miss_nothing(
    browser: Browser, pages: PageServer, keeping: Daemon, number: int
) -> None:
    with DelayingProxy(keeping.websocket_port, 0.0).running() as proxy:
        tabs = open_tabs(browser, pages, proxy, number)
        with Pusher(keeping.zmq_port) as pusher:
            for _ in range(CUTS):
                for tab in tabs:
                    size = tab.evaluate("seen.length")
                    tab.wait_for_function("size => seen.length > size", arg=size, polling=20)
                connections = proxy.connections
                proxy.cut()
                eventually(lambda: proxy.connections, (connections + number).__le__)
            pusher.end()
            for tab in tabs:
                check(tab, pusher.last)
        assert proxy.connections > CUTS * number
        for tab in tabs:
            tab.close()


def test_a_page_gets_little_twice(browser: Browser, pages: PageServer, keeping: Daemon) -> None:
    with DelayingProxy(keeping.websocket_port, 0.0).running() as proxy:
        (tab,) = open_tabs(browser, pages, proxy, 1)
        with Pusher(keeping.zmq_port) as pusher:
            tab.wait_for_function(f"seen.length > {5 * PER_SECOND}")
            proxy.cut()
            tab.wait_for_function(f"seen.length > {6 * PER_SECOND}")
            pusher.end()
            # What was sent since the ping that was answered last, of ten per second: a few dozen,
            # on a busy machine hundreds, but not all of it.
            assert check(tab, pusher.last) < 4 * PER_SECOND
        tab.close()
