"""One connection for several tabs: in a shared worker, and in an elected tab."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.client_js.short_tokens import SESSION_OF_LONG_TOKEN, ShortTokens
from tests.support.browser import Browser
from tests.support.client_pages import ClientPages
from tests.support.daemon import Daemon, running_daemon
from tests.support.raw_client import RawClient
from tests.support.steady_pusher import SteadyPusher
from tests.support.tokens import KEY
from tests.support.waiting import eventually

CONFIG = """
[auth]
order = ["token", "anonymous"]
[token]
key_file = "token.key"
leeway = 0
[clients]
publish = "always"
[[topics]]
match = "kept.*"
history = 1000
presence = true
[[topics]]
match = "last.*"
last = true
"""
#: How tabs find each other: what the page does before the client is loaded.
WAYS = {
    "worker": "",
    "channel": "delete window.SharedWorker;",
    "no locks": (
        "delete window.SharedWorker;"
        "Object.defineProperty(navigator, 'locks', { value: undefined });"
    ),
}


@pytest.fixture(scope="module")
def lasting_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with tokens and topics that keep events."""
    folder: Path = tmp_path_factory.mktemp("daemon")
    (folder / "token.key").write_text(KEY, encoding="utf-8")
    (folder / "wampush.toml").write_text(CONFIG, encoding="utf-8")
    with running_daemon(folder, extra=["--config", "wampush.toml"]) as running:
        yield running


class Tab:
    """A tab with a client that shares its connection."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def run(self, code: str, **names: Any) -> Any:
        """Run the body of an async function in the page, with names for values."""
        keys = ", ".join(names)
        return self.page.evaluate(f"async ({{ {keys} }}) => {{ {code} }}", names)

    def got(self, count: int) -> Any:
        """Take what has arrived once it is so much."""
        self.page.wait_for_function("count => got.length >= count", arg=count)
        return self.run("return got.splice(0);")

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more events have come."""
        so_far = self.run("return got.length;")
        self.page.wait_for_function("count => got.length >= count", arg=so_far + count)

    def settled(self) -> Any:
        """Take what has arrived once the server has done all that the tab has asked for."""
        self.run("await c.call('wampush.time');")
        return self.run("return got.splice(0);")

    def close(self) -> None:
        """Close the tab, as a person does."""
        self.page.close(run_before_unload=False)


class Tabs:
    """Tabs of one browser."""

    def __init__(self, browser: Browser, site: ClientPages, daemon: Daemon, way: str) -> None:
        self._browser = browser
        self._daemon = daemon
        self._url = site.page(before=WAYS[way])
        self.pages: list[Page] = []

    def open_page(self) -> Page:
        """Open a tab without a client."""
        page = self._browser.open(self._url)
        self.pages.append(page)
        return page

    def open(self, more: str = "{}") -> Tab:
        """Open a tab with a client."""
        return self.connect(self.open_page(), more)

    def connect(self, page: Page, more: str = "{}") -> Tab:
        """Make the client of a tab.

        :param more: further options.
        """
        tab = Tab(page)
        tab.run(
            "window.got = []; window.states = [];"
            "window.c = new Wampush(url, Object.assign("
            f"{{ connect: WampushTabs.sharedConnection }}, {more}));"
            "c.onConnectionChange((state) => states.push(state));"
            "c.onStateLost((topic) => got.push(['lost', topic]));"
            "c.onError((error) => got.push(['error', error.desc || String(error)]));",
            url=self._daemon.websocket_url,
        )
        return tab


@pytest.fixture(params=WAYS)
def tabs(
    request: pytest.FixtureRequest,
    browser: Browser,
    client_site: ClientPages,
    shared_daemon: Daemon,
) -> Iterator[Tabs]:
    """Tabs that share a connection in one of the ways; the policy of their page was kept."""
    opened = Tabs(browser, client_site, shared_daemon, request.param)
    yield opened
    for page in opened.pages:
        if not page.is_closed():
            assert page.evaluate("violations") == []


def publish(daemon: Daemon, topic: str, *events: object) -> None:
    """Publish events from elsewhere, and wait until they are published."""
    with RawClient(daemon.websocket_port) as other:
        for event in events:
            other.send(7, topic, event)
        other.send(2, "1", "wampush.time")
        assert other.receive()[0] == 3


def test_three_tabs_have_one_session_and_each_gets_everything(
    tabs: Tabs, shared_daemon: Daemon
) -> None:
    publish(shared_daemon, "last.value", "old")
    opened = [tabs.open() for _ in range(3)]
    ids = set()
    for number, tab in enumerate(opened):
        tab.run("c.onMessage('kept.news', (event) => got.push(event));")
        tab.run("c.onMessage('last.value', (event) => got.push(event));")
        # A later tab gets what a new subscriber gets, although others are subscribed.
        assert tab.got(1) == ["old"]
        ids.add(tab.run("await c.call('wampush.time'); return c.sessionId;"))
        publish(shared_daemon, "kept.news", number)
        for each in opened[: number + 1]:
            assert each.got(1) == [number]
    assert len(ids) == 1
    assert shared_daemon.counts()[0] == 1
    # A call's result goes to the tab that has called, and so does an error.
    assert [tab.run("return c.call('wampush.session');")["session"] for tab in opened] == [*ids] * 3
    assert opened[1].run("return c.call('unknown').catch(({ uri }) => uri);").endswith("Endpoint")
    opened[2].run("c.publish('kept.news', 'mine', { excludeMe: false });")
    for each in opened:
        assert each.got(1) == ["mine"]
        assert each.run("return states;") == ["open"]


def test_when_any_tab_is_closed_the_others_miss_nothing_and_notice_nothing(
    tabs: Tabs, shared_daemon: Daemon
) -> None:
    opened = [tabs.open() for _ in range(3)]
    for tab in opened:
        tab.run("c.onMessage('kept.flow', (event) => got.push(event));")
        assert tab.settled() == []
    publish(shared_daemon, "kept.flow", 0)
    for tab in opened:
        assert tab.got(1) == [0]
    number = 0
    while len(opened) > 1:
        opened.pop(0).close()
        publish(shared_daemon, "kept.flow", number + 1)
        survivor = opened[0]
        survivor.run("c.publish('kept.flow', number, { excludeMe: false });", number=number + 2)
        for tab in opened:
            assert tab.got(2) == [number + 1, number + 2]
            assert tab.run("return [c.state, states];") == ["open", ["open"]]
        number += 2
    opened[0].close()
    eventually(lambda: shared_daemon.counts()[0], lambda sessions: sessions == 0)


def test_under_load_no_tab_misses_or_doubles_an_event_while_tabs_come_and_go(
    tabs: Tabs, shared_daemon: Daemon
) -> None:
    topic = "kept.busy"
    listen = "c.onMessage(topic, (event) => got.push(event)); await c.call('wampush.time');"
    opened = [tabs.open() for _ in range(3)]
    for tab in opened:
        tab.run(listen, topic=topic)
    with SteadyPusher(shared_daemon.zmq_port, [topic], 200) as pusher:
        for _ in range(3):
            opened[-1].wait_for_more(20)
            opened.pop(0).close()
            opened.append(tabs.open())
            opened[-1].run(listen, topic=topic)
        opened[-1].wait_for_more(20)
    last = len(pusher.sent) - 1
    for tab in opened:
        tab.page.wait_for_function("last => got[got.length - 1] === last", arg=last)
        events = tab.run("return got;")
        assert events == list(range(events[0], last + 1))
        assert tab.run("return states;") == ["open"]


def test_a_tab_that_comes_back_from_the_cache_of_the_browser_gets_what_it_missed(
    tabs: Tabs, shared_daemon: Daemon
) -> None:
    tab, other = tabs.open(), tabs.open()
    for each in (tab, other):
        each.run("c.onMessage('kept.cache', (event) => got.push(event));")
        each.settled()
    event = "dispatchEvent(new PageTransitionEvent(name, { persisted: true }));"
    tab.run(event, name="pagehide")
    publish(shared_daemon, "kept.cache", 1)
    assert other.got(1) == [1]
    assert tab.run("return got.length;") == 0
    tab.run(event, name="pageshow")
    publish(shared_daemon, "kept.cache", 2)
    assert tab.got(2) == [1, 2]
    assert other.got(1) == [2]
    assert tab.run("return (await c.call('wampush.session')).session;") == other.run(
        "return c.sessionId;"
    )


def test_a_refused_subscription_is_reported_in_the_tabs_that_asked(tabs: Tabs) -> None:
    tab, other = tabs.open(), tabs.open()
    other.settled()
    tab.run("c.onMessage('wampush.presence.changes.none', (event) => got.push(event));")
    ((kind, text),) = tab.got(1)
    assert kind == "error"
    assert text.startswith("Presence is off for this topic")
    assert other.settled() == []


def test_subscriptions_end_with_the_last_tab_that_has_them(
    tabs: Tabs, shared_daemon: Daemon
) -> None:
    one, other = tabs.open(), tabs.open()
    for tab in (one, other):
        tab.run("window.stop = c.onMessage('kept.a', (event) => got.push(event));")
        tab.settled()
    one.run("stop();")
    one.settled()
    publish(shared_daemon, "kept.a", 1)
    assert other.got(1) == [1]
    assert one.settled() == []
    one.close()
    # If the other tab has to take over, it connects and subscribes first.
    eventually(lambda: shared_daemon.counts()[1], lambda topics: topics == 1)
    other.run("stop();")
    other.settled()
    eventually(lambda: shared_daemon.counts()[1], lambda topics: topics == 0)


def test_tokens_come_from_a_tab_that_is_open(tabs: Tabs) -> None:
    more = "{ name: 'user 7', token: freshToken }"
    tokens = [ShortTokens(tabs.open_page()) for _ in range(2)]
    one, two = (tabs.connect(page, more) for page in tabs.pages)
    first = one.run("return c.call('wampush.session');")
    assert first["user"] == "7"
    assert two.run("return (await c.call('wampush.session')).session;") == first["session"]
    one.close()
    for each in tokens:
        each.end()
    assert two.run(SESSION_OF_LONG_TOKEN)["user"] == "7"


def test_without_the_worker_the_tabs_elect_one_of_them(
    browser: Browser, client_site: ClientPages, shared_daemon: Daemon
) -> None:
    tabs = Tabs(browser, client_site, shared_daemon, "worker")
    opened = [tabs.open("{ worker: '/missing.js' }") for _ in range(2)]
    ids = {tab.run("await c.call('wampush.time'); return c.sessionId;") for tab in opened}
    assert len(ids) == 1


def test_a_connection_that_ends_for_good_ends_for_all_tabs_until_one_comes_anew(
    tabs: Tabs, shared_daemon: Daemon
) -> None:
    opened = [tabs.open() for _ in range(2)]
    for tab in opened:
        tab.settled()
    session = opened[0].run("return c.sessionId;")
    address = f"{shared_daemon.http_url}/sessions/{session}"
    urllib.request.urlopen(urllib.request.Request(address, method="DELETE")).close()
    for tab in opened:
        tab.page.wait_for_function("() => c.state === 'closed'")
        assert tab.run("return [states, c.sessionId];") == [["open", "closed"], None]
    again = tabs.open()
    assert again.run("await c.call('wampush.time'); return c.sessionId;") != session
