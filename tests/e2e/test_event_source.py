"""The genuine EventSource in Chromium: what a page gets that is cut off again and again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.delay import DelayingProxy
from tests.support.guides import blocks_in
from tests.support.pages import PageServer
from tests.support.steady_pusher import SteadyPusher
from tests.support.waiting import eventually

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
        with SteadyPusher(keeping.zmq_port, ["orders"], PER_SECOND) as pusher:
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
        with SteadyPusher(keeping.zmq_port, topics, PER_SECOND) as pusher:
            cut_often(page, proxy, CUTS // 4)
            pusher.end()
            found = seen(page, len(pusher.sent))
        assert len(found) == len(pusher.sent)
        for topic in topics:
            assert [number for each, number in found if each == topic] == [
                number for each, number in pusher.sent if each == topic
            ]
        page.close()
