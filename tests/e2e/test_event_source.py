"""The genuine EventSource in Chromium: what a page gets that is cut off again and again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest
import zmq
from playwright.sync_api import Page

from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.delay import DelayingProxy
from tests.support.guides import blocks_in
from tests.support.pages import PageServer
from tests.support.waiting import PATIENCE, eventually

CUTS = 20
PER_SECOND = 500
#: What a page needs around the script of the guide.
FRAME = """
<!doctype html><script>
const server = "SERVER", seen = [], gaps = [];
function show(event) { seen.push(event); }
function reload() { gaps.push(1); }
SCRIPT
</script>
"""
SEVERAL = """
const topics = ["orders", "log.a", "log.b"];
const source = new EventSource(
    server + "/events?" + topics.map((each) => "topic=" + each).join("&"));
for (const each of topics) {
    source.addEventListener(each, (event) => show([each, JSON.parse(event.data)]));
}
source.addEventListener("wampush.gap", reload);
"""


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that keeps events."""
    path = tmp_path / "wampush.toml"
    path.write_text(
        '[websocket]\nevent_stream_retry = 0.05\n[[topics]]\nmatch = "*"\nhistory = 10000\n',
        encoding="utf-8",
    )
    with running_daemon(tmp_path, extra=["--config", str(path)]) as running:
        yield running


class Pusher:
    """Pushes numbers at a steady rate, in a thread.

    :param topics: in turn.
    """

    def __init__(self, port: int, topics: list[str]) -> None:
        self._topics = topics
        self._port = port
        self._ending = threading.Event()
        self.sent: list[tuple[str, int]] = []
        self._thread = threading.Thread(target=self._run)

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
                topic = self._topics[number % len(self._topics)]
                socket.send_multipart([topic.encode(), json.dumps(number).encode()])
                self.sent.append((topic, number))


def open_page(browser: Browser, pages: PageServer, proxy: DelayingProxy, script: str) -> Page:
    text = FRAME.replace("SERVER", f"http://127.0.0.1:{proxy.port}").replace("SCRIPT", script)
    pages.files["/stream.html"] = text.encode()
    page = browser.open(f"{pages.url}/stream.html")
    page.wait_for_function("source.readyState === EventSource.OPEN")
    return page


def cut_often(page: Page, proxy: DelayingProxy, cuts: int) -> None:
    """Cut the page off, each time when it has got something again."""
    for _ in range(cuts):
        before = page.evaluate("seen.length")
        page.wait_for_function("before => seen.length > before", arg=before, polling=20)
        connections = proxy.connections
        proxy.cut()
        eventually(lambda: proxy.connections, connections.__lt__)


def seen(page: Page, size: int) -> list[Any]:
    page.wait_for_function("size => seen.length >= size", arg=size)
    assert page.evaluate("gaps") == []
    found = page.evaluate("seen")
    assert isinstance(found, list)
    return found


def test_a_page_that_is_cut_off_often_gets_every_event_once(
    browser: Browser, pages: PageServer, keeping: Daemon
) -> None:
    (script,) = blocks_in("docs/howto/server-sent-events.md", "js")[:1]
    with DelayingProxy(keeping.websocket_port, 0.0).running() as proxy:
        page = open_page(browser, pages, proxy, script)
        with Pusher(keeping.zmq_port, ["orders"]) as pusher:
            cut_often(page, proxy, CUTS)
            pusher.end()
            assert seen(page, len(pusher.sent)) == [number for _, number in pusher.sent]
        assert proxy.connections > CUTS
        page.close()


def test_a_page_with_several_topics_gets_every_event_of_each_once(
    browser: Browser, pages: PageServer, keeping: Daemon
) -> None:
    topics = ["orders", "log.a", "log.b"]
    with DelayingProxy(keeping.websocket_port, 0.0).running() as proxy:
        page = open_page(browser, pages, proxy, SEVERAL)
        with Pusher(keeping.zmq_port, topics) as pusher:
            cut_often(page, proxy, CUTS // 4)
            pusher.end()
            found = seen(page, len(pusher.sent))
        assert len(found) == len(pusher.sent)
        for topic in topics:
            assert [number for each, number in found if each == topic] == [
                number for each, number in pusher.sent if each == topic
            ]
        page.close()
