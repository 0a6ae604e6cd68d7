"""Pages whose file was replaced, with a server that is killed, restarted, upgraded and cut off."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from tests.support.browser import Browser, new_user
from tests.support.client_js import STATIC
from tests.support.daemon import Daemon
from tests.support.delay import DelayingProxy
from tests.support.pages import PageServer, page_server
from tests.support.waiting import PATIENCE, eventually
from wampush.cli.running_parents import ask
from wampush.testing.ports import reserved_ports

HERE = Path(__file__).parent
DURABLE, KEPT, FLEETING = TOPICS = ("durable", "kept", "fleeting")
SETTINGS = """
[process]
drain = 0.5

[history]
database = "history.sqlite"

[[topics]]
match = "durable"
history = 1000
durable = true

[[topics]]
match = "kept"
history = 1000
"""


class Server:
    """A server that comes and goes on the same ports.

    :param folder: of its settings and its database.
    :param ports: for WebSocket, ZeroMQ and HTTP.
    :param has_parent: whether it has a parent process, as upgrades need.
    """

    def __init__(self, folder: Path, ports: Sequence[int], *, has_parent: bool = False) -> None:
        self._folder, self._ports, self._has_parent = folder, ports, has_parent
        (folder / "wampush.toml").write_text(SETTINGS, encoding="utf-8")
        self.sent: dict[str, list[int]] = {topic: [] for topic in TOPICS}
        self.daemon = self._new()

    def _new(self) -> Daemon:
        options = ["--config", "wampush.toml"]
        return Daemon(self._ports, cwd=self._folder, extra=options, has_parent=self._has_parent)

    def start_again(self) -> None:
        """Start it after its end."""
        self.daemon = self._new()
        self.daemon.wait_until_ready()

    def publish(self, *topics: str) -> None:
        """Publish the next number to each topic; it is taken, and stored where that is due."""
        for topic in topics or TOPICS:
            numbers = self.sent[topic]
            numbers.append(len(numbers))
            urllib.request.urlopen(
                f"{self.daemon.http_url}/publish/{topic}",
                data=str(numbers[-1]).encode(),
                timeout=PATIENCE,
            ).close()


@contextlib.contextmanager
def running_server(folder: Path, *, has_parent: bool = False) -> Iterator[Server]:
    """Run a server, which may be another process at the end of the block."""
    with reserved_ports(3) as ports:
        server = Server(folder, ports, has_parent=has_parent)
        try:
            server.daemon.wait_until_ready()
            yield server
        finally:
            server.daemon.kill()


@pytest.fixture
def user(shared_chromium: Chromium) -> Iterator[Browser]:
    """A browser; no page may leave an error uncaught."""
    with new_user(shared_chromium) as browser:
        yield browser
        assert browser.errors == []


@pytest.fixture
def site() -> Iterator[PageServer]:
    """A web site whose file of AutobahnJS was replaced."""
    with page_server({"/autobahn.min.js": (STATIC / "wampush.js").read_bytes()}) as server:
        yield server


def open_page(user: Browser, site: PageServer, url: str, query: str = "") -> Page:
    """Open a page that keeps the numbers it gets; it is connected."""
    text = (HERE / "pages" / "numbers.html").read_text(encoding="utf-8")
    text = text.replace("URL", url).replace("TOPICS", json.dumps(TOPICS))
    site.files["/numbers.html"] = text.encode()
    page = user.open(f"{site.url}/numbers.html{query}")
    page.wait_for_function("opened === 1")
    return page


def has_all(pages: Sequence[Page], server: Server, *topics: str) -> None:
    """Wait until pages have every number of topics, each once and in order."""
    for page in pages:
        for topic in topics:
            expected = server.sent[topic]
            eventually(
                lambda page=page, topic=topic: page.evaluate(f"received.{topic}"),  # type: ignore[misc]
                lambda got, expected=expected: len(got) >= len(expected),  # type: ignore[misc]
            )
            assert page.evaluate(f"received.{topic}") == expected


def subscribed(server: Server, count: int) -> None:
    """Wait until the server has pages with all of their subscriptions."""
    eventually(server.daemon.counts, lambda counts: counts == (count, len(TOPICS), count))
    eventually(
        lambda: json.load(
            urllib.request.urlopen(f"{server.daemon.http_url}/topics", timeout=PATIENCE)
        )["topics"],
        lambda topics: all(each["subscribers"] == count for each in topics),
    )


def test_pages_survive_a_server_that_is_killed_and_one_that_stops(
    user: Browser, site: PageServer, tmp_path: Path
) -> None:
    with running_server(tmp_path) as server:
        url = server.daemon.websocket_url
        pages = [open_page(user, site, url), open_page(user, site, url, "?connect")]
        subscribed(server, 2)
        server.publish()
        has_all(pages, server, *TOPICS)
        for count, end in enumerate((server.daemon.kill, None), 1):
            if end is None:
                server.daemon.stop()
            else:
                end()
            server.start_again()
            # Before the pages are back; for the others it is too late.
            server.publish(DURABLE)
            subscribed(server, 2)
            has_all(pages, server, DURABLE)
            for page in pages:
                assert sorted(page.evaluate("lost")) == sorted([KEPT, FLEETING] * count)
            server.publish()
            has_all(pages, server, *TOPICS)
        assert [page.evaluate("opened") for page in pages] == [1, 3]
        assert pages[0].evaluate("told") == []
        assert set(pages[1].evaluate("told")) <= {5, 6}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a parent for the tests that leave it running."""
    with running_server(tmp_path_factory.mktemp("server"), has_parent=True) as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Server:
    """That server, once nothing is left of the pages of the test before."""
    eventually(shared.daemon.counts, lambda counts: counts == (0, 0, 0))
    shared.sent = {topic: [] for topic in TOPICS}
    return shared


def test_a_network_that_is_cut(user: Browser, site: PageServer, server: Server) -> None:
    with DelayingProxy(server.daemon.websocket_port, 0.01).running() as proxy:
        url = f"ws://127.0.0.1:{proxy.port}"
        pages = [open_page(user, site, url), open_page(user, site, url, "?connect")]
        subscribed(server, 2)
        for _ in range(3):
            for _ in range(5):
                server.publish()
            # What is on its way is lost.
            proxy.cut()
            eventually(server.daemon.counts, lambda counts: counts[0] == 0)
            server.publish(DURABLE, KEPT)
            subscribed(server, 2)
            server.publish(DURABLE, KEPT)
            has_all(pages, server, DURABLE, KEPT)
        for page in pages:
            # Nothing keeps its events, so the page has to know.
            assert set(page.evaluate("lost")) == {FLEETING}
        assert [page.evaluate("opened") for page in pages] == [1, 4]


def test_an_upgrade_of_the_server(user: Browser, site: PageServer, server: Server) -> None:
    page = open_page(user, site, server.daemon.websocket_url)
    subscribed(server, 1)
    server.publish()
    outcome = ask(server.daemon.pid, "upgrade")
    assert outcome.is_done, outcome.text
    server.publish()
    has_all([page], server, *TOPICS)
    assert page.evaluate("[opened, lost, told]") == [1, [], []]


@pytest.mark.parametrize("query", ["", "?connect"])
def test_a_session_that_the_operator_ends_does_not_come_back(
    user: Browser, site: PageServer, server: Server, query: str
) -> None:
    page = open_page(user, site, server.daemon.websocket_url, query)
    session = page.evaluate("conn.sessionid()")
    request = urllib.request.Request(
        f"{server.daemon.http_url}/sessions/{session}", method="DELETE"
    )
    urllib.request.urlopen(request, timeout=PATIENCE).close()
    page.wait_for_function("told.length > 0")
    assert page.evaluate("told[0]") == 0
    assert page.evaluate("[opened, lost]") == [1, []]
    assert page.evaluate("conn._websocket_connected") is False
