"""Pages with the genuine AutobahnJS get the present state, and what they have missed.

The daemon has the settings of the guides, and the code of the guides runs in the pages.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import zmq
from playwright.sync_api import Page

from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.guides import blocks_in
from tests.support.pages import PageServer
from tests.support.waiting import PATIENCE, eventually

STATE = "docs/howto/current-state.md"
RECOVERY = "docs/howto/recover-missed-events.md"
ERROR = "http://api.wamp.ws/error#"

#: A page as it was written before topics kept anything.
PAGE = """<!doctype html>
<script src="/autobahn.min.js"></script>
<script>
    var seen = [];
    var conn = new ab.Session('ws://127.0.0.1:PORT', function () {
        conn.subscribe('TOPIC', function (topic, event) { seen.push(event); });
    }, function () {}, {'skipSubprotocolCheck': true});
</script>
"""


class Backend:
    """Pushes over ZeroMQ, and knows when the daemon keeps what it has pushed."""

    def __init__(self, daemon: Daemon, socket: zmq.Socket[bytes]) -> None:
        self._daemon = daemon
        self._socket = socket

    def push(self, topic: str, *events: object) -> dict[str, Any]:
        """Push events; return the state of the topic once they are published."""
        before = self.state(topic)["offset"]
        for event in events:
            self.send(topic, event)
        offset = before + len(events)
        return eventually(lambda: self.state(topic), lambda state: state["offset"] == offset)

    def send(self, topic: str, event: object) -> None:
        """Push an event in two parts, and do not wait."""
        self._socket.send_multipart([topic.encode(), json.dumps(event).encode()])

    def state(self, topic: str) -> dict[str, Any]:
        """What the topic keeps."""
        url = f"{self._daemon.http_url}/topics/{topic}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            document: dict[str, Any] = json.load(response)
        return document


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with the topics of both guides; those of the second are called ``missed``."""
    folder = tmp_path_factory.mktemp("history")
    blocks = [*blocks_in(STATE, "toml"), as_missed(blocks_in(RECOVERY, "toml")[0])]
    text = "\n".join(blocks).replace('match = "orders"', 'match = "orders*"\nhistory = 100')
    (folder / "wampush.toml").write_text(text, encoding="utf-8")
    with running_daemon(folder, extra=["--config", "wampush.toml"]) as daemon:
        yield daemon


@pytest.fixture
def backend(keeper: Daemon) -> Iterator[Backend]:
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(keeper.zmq_address)
        yield Backend(keeper, socket)


def as_missed(code: str) -> str:
    """Code of the second guide for a topic of its own."""
    return code.replace('"orders"', '"missed"')


@contextmanager
def scripted(browser: Browser, pages: PageServer, keeper: Daemon) -> Iterator[Page]:
    """A page with an open session ``A`` that shows what guides want to show."""
    page = browser.open(f"{pages.url}/plain.html")
    page.evaluate("var shown = [], reloads = 0")
    page.evaluate(
        """url => {
            window.show = event => shown.push(event);
            window.reload = () => { reloads += 1; };
            return openSession('A', url);
        }""",
        keeper.websocket_url,
    )
    yield page
    page.close()


@pytest.mark.parametrize(
    ("topic", "before", "at_once"),
    [
        ("price.page", [{"n": 1}, {"n": 2}], [{"n": 2}]),
        (
            "orders.page",
            [
                {"id": 7, "n": 1},
                {"id": 8, "n": 1},
                {"id": "7", "n": 2},
                {"id": 9},
                {"id": 9, "deleted": True},
            ],
            [{"id": 8, "n": 1}, {"id": "7", "n": 2}],
        ),
        ("chat.page", [{"n": n} for n in range(25)], [{"n": n} for n in range(5, 25)]),
        ("missed", [{"n": 1}], []),
    ],
)
def test_an_unmodified_page_gets_the_present_state_before_newer_events(
    keeper: Daemon,
    backend: Backend,
    browser: Browser,
    pages: PageServer,
    topic: str,
    before: list[Any],
    at_once: list[Any],
) -> None:
    text = PAGE.replace("PORT", str(keeper.websocket_port)).replace("TOPIC", topic)
    pages.files[f"/{topic}.html"] = text.encode()
    backend.push(topic, *before)
    page = browser.open(f"{pages.url}/{topic}.html")
    page.wait_for_function("count => seen.length >= count", arg=len(at_once))
    eventually(keeper.counts, lambda counts: counts[:2] == (1, 1))
    newer = [{"id": 100, "n": 100}, {"id": 101, "n": 101}]
    backend.push(topic, *newer)
    page.wait_for_function("count => seen.length >= count", arg=len(at_once) + 2)
    assert page.evaluate("seen") == at_once + newer
    page.close()
    eventually(keeper.counts, lambda counts: counts[0] == 0)


def test_procedures_of_the_guide_to_state(
    keeper: Daemon, backend: Backend, browser: Browser, pages: PageServer
) -> None:
    ask, fetch, follow = blocks_in(STATE, "js")
    backend.push("orders", {"id": 1}, {"id": 2})
    with scripted(browser, pages, keeper) as page:
        page.evaluate("code => { window.conn = sessions.A; (0, eval)(code); }", ask)
        page.wait_for_function("shown.length === 2")
        state = page.evaluate("sessions.A.call('wampush.last', 'orders')")
        assert [event["data"] for event in state["events"]] == [{"id": 1}, {"id": 2}]
        # Playwright calls what an expression gives, if that is a function.
        page.evaluate("void (window.connect = (...position) => { window.fetched = position; })")
        here = fetch.replace("//push.example.org:8080", f"//127.0.0.1:{keeper.websocket_port}")
        assert here != fetch
        page.evaluate("code => { (0, eval)(code); }", here)
        page.wait_for_function("window.fetched !== undefined")
        assert page.evaluate("fetched") == [state["epoch"], state["offset"]]
        assert page.evaluate("shown.splice(2)") == [{"id": 1}, {"id": 2}]
        backend.push("orders", {"id": 3})
        page.evaluate("code => { (0, eval)(code); }", follow)
        page.evaluate("state => follow(sessions.A, state)", state)
        page.wait_for_function("shown.length === 3")
        backend.push("orders", {"id": 1, "n": 2})
        page.wait_for_function("shown.length === 4")
        expected = [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 1, "n": 2}]
        assert page.evaluate("shown") == expected
        assert page.evaluate("callError('A', 'wampush.last')")["uri"] == f"{ERROR}invalid-argument"


def test_a_page_that_was_away_gets_what_it_has_missed(
    keeper: Daemon, backend: Backend, browser: Browser, pages: PageServer
) -> None:
    known = backend.push("missed", "known")
    since = {"epoch": known["epoch"], "offset": known["offset"]}
    code = "\n".join(map(as_missed, blocks_in(RECOVERY, "js")))
    with scripted(browser, pages, keeper) as page:
        page.evaluate("code => { (0, eval)(code); }", code)
        page.evaluate("since => { position = since; }", since)
        page.evaluate("sessions.A.close()")
        backend.push("missed", "one", "two")
        page.evaluate("url => openSession('B', url)", keeper.websocket_url)
        page.evaluate("onConnect(sessions.B)")
        page.wait_for_function("shown.length === 2")
        assert page.evaluate("[shown, reloads]") == [["one", "two"], 0]
        call = "since => sessions.B.call('wampush.history', 'missed', {since})"
        found = page.evaluate(call, since)
        assert [event["data"] for event in found["events"]] == ["one", "two"]
        assert found["complete"] is True
        # A position of another epoch is a hole, which is announced.
        page.evaluate("position = {epoch: 'another', offset: 1}; onConnect(sessions.B)")
        page.wait_for_function("reloads === 1")


def test_autobahn_js_ignores_the_offset(
    keeper: Daemon, backend: Backend, browser: Browser, pages: PageServer
) -> None:
    with_offsets, _ = blocks_in(RECOVERY, "js")
    backend.push("price.offset", 1)
    with scripted(browser, pages, keeper) as page:
        page.evaluate("code => { (0, eval)(code); }", with_offsets)
        assert page.evaluate("sessions.A.call('wampush.positions')") is True
        page.evaluate("sessions.A.subscribe('price.offset', onEvent)")
        page.wait_for_function("shown.length === 1")
        backend.push("price.offset", 2)
        page.wait_for_function("shown.length === 2")
        assert page.evaluate("shown") == [1, 2]


def test_an_older_version_is_refused_and_logged(
    keeper: Daemon, backend: Backend, browser: Browser, pages: PageServer
) -> None:
    backend.push("stock", {"id": 1, "rev": 5})
    with scripted(browser, pages, keeper) as page:
        page.evaluate("sessions.A.subscribe('stock', (topic, event) => show(event))")
        page.wait_for_function("shown.length === 1")
        backend.send("stock", {"id": 1, "rev": 4})
        backend.push("stock", {"id": 1, "rev": 6})
        page.wait_for_function("shown.length === 2")
        assert [event["rev"] for event in page.evaluate("shown")] == [5, 6]
    keeper.wait_for_log(lambda log: "rev is 4; 5 was published before" in log)
    assert keeper.health()["refusals"]["stale"] == 1
