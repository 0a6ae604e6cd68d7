"""Unmodified pages with the genuine AutobahnJS in Chromium that are cut off: nothing is missed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.support import tokens
from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.delay import DelayingProxy
from tests.support.pages import PageServer
from tests.support.steady_pusher import SteadyPusher
from tests.support.waiting import eventually

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
order = ["token", "anonymous"]
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


def open_tabs(
    browser: Browser, pages: PageServer, proxy: DelayingProxy, number: int, *, is_user: bool = True
) -> list[Page]:
    """Open the page in several tabs.

    :param is_user: whether the browser has the token of a user; else it has a cookie.
    """
    query = f"?token={tokens.token('7')}" if is_user else ""
    url = f"ws://127.0.0.1:{proxy.port}/{query}"
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


@pytest.mark.parametrize("is_user", [True, False], ids=["user", "anonymous"])
@pytest.mark.parametrize("number", [1, 2])
def test_tabs_that_are_cut_off_often_miss_nothing(
    browser: Browser, pages: PageServer, keeping: Daemon, number: int, is_user: bool
) -> None:
    with DelayingProxy(keeping.websocket_port, 0.0).running() as proxy:
        tabs = open_tabs(browser, pages, proxy, number, is_user=is_user)
        with SteadyPusher(keeping.zmq_port, ["orders"], PER_SECOND) as pusher:
            for _ in range(CUTS):
                for tab in tabs:
                    size = tab.evaluate("seen.length")
                    tab.wait_for_function("size => seen.length > size", arg=size, polling=20)
                connections = proxy.connections
                proxy.cut()
                eventually(lambda: proxy.connections, (connections + number).__le__)
            pusher.end()
            for tab in tabs:
                check(tab, len(pusher.sent) - 1)
        assert proxy.connections > CUTS * number
        for tab in tabs:
            tab.close()


def test_a_page_gets_little_twice(browser: Browser, pages: PageServer, keeping: Daemon) -> None:
    with DelayingProxy(keeping.websocket_port, 0.0).running() as proxy:
        (tab,) = open_tabs(browser, pages, proxy, 1)
        with SteadyPusher(keeping.zmq_port, ["orders"], PER_SECOND) as pusher:
            tab.wait_for_function(f"seen.length > {5 * PER_SECOND}")
            proxy.cut()
            tab.wait_for_function(f"seen.length > {6 * PER_SECOND}")
            pusher.end()
            # What was sent since the ping that was answered last, of ten per second: a few dozen,
            # on a busy machine hundreds, but not all of it.
            assert check(tab, len(pusher.sent) - 1) < 4 * PER_SECOND
        tab.close()
