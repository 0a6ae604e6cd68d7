"""The guide to presence: its pages with a daemon and the genuine AutobahnJS, users by token."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.guides import ROOT, blocks_in, on
from tests.support.pages import PageServer
from tests.support.raw_client import RawClient
from tests.support.tokens import KEY, token
from wampush.testing.process import Process

GUIDE = "docs/howto/presence.md"
CHANGES = "wampush.presence.changes."

#: A page that enters the room as the user whose token stands in its address.
ROOM_PAGE = """<!doctype html>
<meta charset="utf-8">
<script src="/autobahn.min.js"></script>
<script>
    GUIDE
    ab.connect('ws://127.0.0.1:PORT/?token=' + location.search.slice(1), function (session) {
        enter(session, function () {});
        document.body.textContent = session.sessionid();
    }, function () {});
</script>
<body></body>
"""


@contextmanager
def configured(folder: Path, settings: str) -> Iterator[Daemon]:
    """A daemon with these settings, and the key of the tokens beside them."""
    (folder / "wampush.toml").write_text(settings, encoding="utf-8")
    (folder / "token.key").write_text(KEY, encoding="utf-8")
    with running_daemon(folder, extra=["--config", "wampush.toml"]) as running:
        yield running


def room_page(pages: PageServer, daemon: Daemon) -> str:
    """The address of that page."""
    code = "\n".join(blocks_in(GUIDE, "js"))
    text = ROOM_PAGE.replace("GUIDE", code).replace("PORT", str(daemon.websocket_port))
    pages.files["/room.html"] = text.encode()
    return f"{pages.url}/room.html"


def entered(browser: Browser, address: str, user: str) -> Page:
    """A tab of a user that is on the topic."""
    tab = browser.open(f"{address}?{token(user)}")
    tab.wait_for_function(f"document.title.split(', ').includes({json.dumps(user)})")
    return tab


def watching(browser: Browser, pages: PageServer, daemon: Daemon) -> Page:
    """A visitor who is told the joins and leaves of the room."""
    page = browser.open(f"{pages.url}/plain.html")
    page.evaluate("url => openSession('W', url)", daemon.websocket_url)
    page.evaluate("topic => sessions.W.subscribe(topic, sessions.W.listener)", f"{CHANGES}room.1")
    page.evaluate("settled('W')")
    return page


def told(page: Page, event: str, user: str) -> None:
    """Wait until the visitor has been told so, and of nothing else."""
    page.wait_for_function("() => sessions.W.received.length > 0")
    expected = {"event": event, "user": user, "topic": "room.1"}
    assert page.evaluate("taken('W')") == [[f"{CHANGES}room.1", expected]]


def listed(page: Page) -> dict[str, int]:
    """What the visitor is answered about the room."""
    answer: Any = page.evaluate("sessions.W.call('wampush.presence.list', 'room.1')")
    assert answer.keys() == example_of_the_list().keys()
    return {each["user"]: each["connections"] for each in answer["users"]}


def example_of_the_list() -> dict[str, Any]:
    """The answer that the guide shows."""
    example: dict[str, Any] = json.loads(blocks_in(GUIDE, "json")[0])
    return example


def shows(page: Page, online: int, clients: int) -> None:
    """Wait until the page of the guide shows these numbers."""
    for name, number in (("online", online), ("clients", clients)):
        expect(page.locator(f"#{name}")).to_have_text(str(number))


def test_the_page_of_the_guide_shows_how_many_are_here(
    tmp_path: Path, browser: Browser, pages: PageServer
) -> None:
    with configured(tmp_path, blocks_in(GUIDE, "toml")[0]) as daemon:
        pages.files["/count.html"] = on(daemon, blocks_in(GUIDE, "html")[0]).encode()
        first, second = (browser.open(f"{pages.url}/count.html") for _ in range(2))
        for page in (first, second):
            shows(page, online=0, clients=2)
        room = room_page(pages, daemon)
        tabs = [entered(browser, room, "7"), entered(browser, room, "7")]
        for page in (first, second):
            shows(page, online=1, clients=4)
        tabs[0].close()
        shows(first, online=1, clients=3)
        tabs[1].close()
        shows(first, online=0, clients=2)


def test_the_counts_of_the_guide_with_the_client_library(
    tmp_path: Path, browser: Browser, pages: PageServer
) -> None:
    (code,) = (each for each in blocks_in(GUIDE, "js") if "showCounts(" in each)
    with configured(tmp_path, "") as daemon:
        page = browser.open(f"{pages.url}/plain.html")
        page.add_script_tag(path=ROOT / "static" / "wampush.js")
        page.add_script_tag(path=ROOT / "static" / "wampush-modern.js")
        page.evaluate(
            """([url, code]) => {
                document.body.innerHTML = '<b id="online"></b><b id="clients"></b>';
                (0, eval)(code);
                showCounts(new Wampush(url));
            }""",
            [f"{daemon.websocket_url}/", code],
        )
        page.wait_for_function("document.body.textContent === '01'")
        with RawClient(daemon.websocket_port):
            page.wait_for_function("document.body.textContent === '02'")


def test_two_tabs_of_a_user_join_once_and_a_reload_is_no_leave(
    tmp_path: Path, browser: Browser, pages: PageServer
) -> None:
    # A browser may take its time for a reload; the grace of this test is longer than that.
    settings = blocks_in(GUIDE, "toml")[0] + "\n[presence]\ngrace = 60\n"
    with configured(tmp_path, settings) as daemon:
        visitor = watching(browser, pages, daemon)
        room = room_page(pages, daemon)
        tab = entered(browser, room, "7")
        told(visitor, "join", "7")
        before = tab.locator("body").text_content()
        tab.reload()
        tab.wait_for_function(
            "before => ![before, ''].includes(document.body.textContent)", arg=before
        )
        tab.wait_for_function("document.title === '7'")
        entered(browser, room, "7")
        assert listed(visitor) == {"7": 2}
        entered(browser, room, "8")
        told(visitor, "join", "8")
        assert listed(visitor) == {"7": 2, "8": 1}
        assert tab.title() == "7, 8"


def test_who_does_not_come_back_has_left(
    tmp_path: Path, browser: Browser, pages: PageServer
) -> None:
    settings = blocks_in(GUIDE, "toml")[0] + "\n[presence]\ngrace = 0.5\n"
    with configured(tmp_path, settings) as daemon:
        visitor = watching(browser, pages, daemon)
        tab = entered(browser, room_page(pages, daemon), "7")
        told(visitor, "join", "7")
        tab.close()
        told(visitor, "leave", "7")
        assert listed(visitor) == {}


def test_only_members_see_a_room_of_the_guide(tmp_path: Path) -> None:
    first, second = blocks_in(GUIDE, "toml")
    with configured(tmp_path, first + second) as daemon:
        port = daemon.websocket_port
        member_path = f"/?token={token('7', 'blue')}"
        with RawClient(port, path=member_path) as member, RawClient(port) as stranger:
            for client in (member, stranger):
                client.subscribe(f"{CHANGES}room.blue")
            stranger.send(5, "wampush.presence.num_online")
            stranger.subscribe("room.blue")
            member.send(5, "room.blue")
            change = {"event": "join", "user": "7", "topic": "room.blue"}
            assert member.receive() == [8, f"{CHANGES}room.blue", change]
            for client, kind in ((member, 3), (stranger, 4)):
                client.send(2, "list", "wampush.presence.list", "room.blue")
                assert client.receive()[0] == kind
        assert daemon.health()["refusals"] == {"subscribe-forbidden": 3}


def test_a_server_that_stops_tells_no_leaves(tmp_path: Path) -> None:
    with configured(tmp_path, blocks_in(GUIDE, "toml")[0]) as daemon:
        port = daemon.websocket_port
        with contextlib.ExitStack() as stack:
            watcher = stack.enter_context(RawClient(port))
            topics = [f"{CHANGES}room.1", "wampush.presence.num_online"]
            for topic in topics:
                watcher.send(5, topic)
            for number in range(50):
                path = f"/?token={token(str(number))}"
                stack.enter_context(RawClient(port, path=path)).subscribe("room.1")
            state: dict[str, int] = {}
            while state.get(topics[1]) != 50 or state.get(topics[0]) != 50:
                _, topic, value = watcher.receive()
                if topic == topics[1]:
                    state[topic] = value
                else:
                    joined = len(value.get("joined", "1"))
                    state[topic] = state.get(topic, 0) + joined
            daemon.stop()
            with pytest.raises(AssertionError, match="ended the connection"):
                watcher.receive()


def test_the_command_of_the_guide_shows_the_numbers(daemon: Daemon, tmp_path: Path) -> None:
    (command,) = blocks_in(GUIDE, "sh")
    program, *arguments = command.split()
    path = Path(sys.executable).with_name(program)
    listener = Process([str(path), *arguments, "--url", f"{daemon.websocket_url}/"], cwd=tmp_path)
    try:
        listener.wait_for_line("wampush.presence.num_clients\t1")
        listener.wait_for_line("wampush.presence.num_online\t0")
        with RawClient(daemon.websocket_port):
            listener.wait_for_line("wampush.presence.num_clients\t2")
    finally:
        listener.terminate()


def test_the_page_of_the_guide_understands_every_event(browser: Browser, pages: PageServer) -> None:
    page = browser.open(f"{pages.url}/plain.html")
    page.evaluate(
        "code => { window.watch = new Function(code + '; return watch;')(); }",
        next(each for each in blocks_in(GUIDE, "js") if "function watch(" in each),
    )
    here = page.evaluate(
        """events => {
            var shown, tell;
            var session = {
                subscribe: function (topic, callback) { tell = callback; },
                call: function () { return {then: function (use) { use({users: []}); }}; },
            };
            watch(session, 'room.1', function (users) { shown = users; });
            return events.map(event => { tell('', event); return shown; });
        }""",
        json.loads(blocks_in(GUIDE, "json")[1]),
    )
    assert here == [["7"], [], ["8", "9"]]
