"""A chat written for Ratchet, over plain WebSocket: each line of what it does, and its page."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.apps.sample_components import FakeLine, HostWorld
from tests.edges.websocket.component_in_memory import ComponentEdge
from tests.edges.websocket.in_memory import Frame, masked
from tests.support.browser import Browser
from tests.support.daemon import Daemon, running_daemon
from tests.support.pages import page_server
from wampush.config.tables.websocket import WebSocketSettings
from wampush.errors import CloseReason
from wampush.examples.chat import Chat
from wampush.testing.ports import reserved_ports

EXAMPLE = Path(__file__).parents[2] / "examples" / "chat"
STATIC = Path(__file__).parents[2] / "static"

#: As the recipe's page has it, with the port left open.
PAGE = """<!doctype html>
<meta charset="utf-8">
<title>chat</title>
<ul id="log"></ul>
<script>
var log = document.getElementById('log');
function add(text) {
  var line = document.createElement('li');
  line.textContent = text;
  log.appendChild(line);
}
var conn = new WebSocket('ws://localhost:PORT');
conn.onopen = function (e) {
  add('Connection established!');
};
conn.onmessage = function (e) {
  add(e.data);
};
conn.onclose = function (e) {
  add('closed ' + e.code);
};
</script>
"""

#: The recipe's class, line by line in Python; a word makes it fail.
RECIPE = """
from wampush.apps.component import Component


class Chat(Component):
    def __init__(self):
        self.clients = set()

    def on_open(self, conn):
        self.clients.add(conn)
        for client in self.clients:
            if client is not conn:
                client.send(f"Client {conn.id} connected.")

    def on_message(self, conn, msg):
        if msg == "trouble":
            raise RuntimeError("An error has occurred: the secret of the recipe")
        for client in self.clients:
            if client is not conn:
                client.send(msg)

    def on_close(self, conn):
        self.clients.remove(conn)

    def on_error(self, conn, exc):
        print(f"An error has occurred: {exc}", flush=True)
        conn.close()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration file with the class beside it."""
    place = tmp_path / "etc"
    place.mkdir()
    (place / "chat_recipe.py").write_text(RECIPE, encoding="utf-8")
    (place / "wampush.toml").write_text(
        '[[routes]]\npath = "/"\ncomponent = "chat_recipe:Chat"\n', encoding="utf-8"
    )
    return place


def lines(page: Page) -> list[str]:
    return page.locator("#log li").all_inner_texts()


def until(page: Page, *expected: str) -> None:
    """Wait until the page shows these lines and no others."""
    expect(page.locator("#log li")).to_have_text(list(expected))


# The app object.


def test_every_other_client_is_told_who_has_come() -> None:
    world = HostWorld(Chat())
    first, second, third = (world.connect()[0] for _ in range(3))
    assert first.written == ["Client 2 connected.", "Client 3 connected."]
    assert second.written == ["Client 3 connected."]
    assert third.written == []


def test_each_message_goes_to_all_the_others() -> None:
    world = HostWorld(Chat())
    (first, one), (second, two), (third, _) = (world.connect() for _ in range(3))
    for line in (first, second, third):
        line.written.clear()
    one.on_message("hello")
    two.on_message(b"\x00binary")
    assert first.written == [b"\x00binary"]
    assert second.written == ["hello"]
    assert third.written == ["hello", b"\x00binary"]


def test_who_has_left_gets_nothing_and_is_forgotten() -> None:
    chat = Chat()
    world = HostWorld(chat)
    (first, one), (second, two) = world.connect(), world.connect()
    world.lose(first, one)
    two.on_message("anybody?")
    assert first.written == ["Client 2 connected."]
    world.lose(second, two)
    assert not chat._clients


def test_an_error_closes_that_connection_and_no_other() -> None:
    class Fragile(Chat):
        def on_message(self, conn, data):
            if data == "trouble":
                raise RuntimeError(data)
            super().on_message(conn, data)

    world = HostWorld(Fragile())
    (bad, one), (good, two) = world.connect(), world.connect()
    one.on_message("trouble")
    assert isinstance(bad, FakeLine)
    assert bad.reason is CloseReason.COMPONENT_FAILED
    assert good.reason is None
    world.lose(bad, one)
    two.on_message("fine")
    assert good.reason is None


def test_it_speaks_websocket_frames() -> None:
    edge = ComponentEdge(Chat(), WebSocketSettings())
    first, second = edge.open(), edge.open()
    assert first.texts() == ["Client 2 connected."]
    second.send(masked("Grüße".encode()))
    assert first.frames() == [Frame(0x81, "Grüße".encode())]
    assert second.frames() == []


# The whole of it.


def test_the_recipes_page_and_class_in_two_windows(
    folder: Path, browser: Browser, tmp_path: Path
) -> None:
    with running_daemon(tmp_path, extra=["--config", str(folder / "wampush.toml")]) as daemon:
        page = PAGE.replace("PORT", str(daemon.websocket_port))
        with page_server({"/chat.html": page.encode()}) as pages:
            first = browser.open(f"{pages.url}/chat.html")
            until(first, "Connection established!")
            second = browser.open(f"{pages.url}/chat.html")
            until(second, "Connection established!")
            until(first, "Connection established!", "Client 2 connected.")

            first.evaluate("conn.send('hello from one')")
            until(second, "Connection established!", "hello from one")
            second.evaluate("conn.send('<b>hello</b> from two, naïve 🐘')")
            until(
                first,
                "Connection established!",
                "Client 2 connected.",
                "<b>hello</b> from two, naïve 🐘",
            )

            second.evaluate("conn.send('trouble')")
            until(second, "Connection established!", "hello from one", "closed 1000")
            third = browser.open(f"{pages.url}/chat.html")
            until(third, "Connection established!")
            first.evaluate("conn.send('still here')")
            until(third, "Connection established!", "still here")
            assert lines(first)[-1] == "Client 3 connected."
            assert lines(second)[-1] == "closed 1000"
        daemon.wait_for_line("An error has occurred: the secret of the recipe")


def test_it_is_started_from_the_command_line_on_port_8080() -> None:
    assert WebSocketSettings().listen == ("tcp:8080:interface=127.0.0.1",)


@contextlib.contextmanager
def chat(ports: list[int], folder: Path) -> Iterator[Daemon]:
    """The example's daemon on ports of the test's choice."""
    daemon = Daemon(ports, cwd=folder, extra=["--config", str(EXAMPLE / "wampush.toml")])
    try:
        daemon.wait_until_ready()
        assert "serving component wampush.examples.named_chat:NamedChat at /chat" in daemon.log
        yield daemon
        daemon.stop()
    finally:
        daemon.kill()


def test_the_examples_page_in_two_windows(browser: Browser, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        ports = stack.enter_context(reserved_ports(3))
        files = {"/settings.json": b'{"websocket": "ws://127.0.0.1:%d/chat"}' % ports[0]}
        for name in ("index.html", "chat.js", "chat.css"):
            files[f"/{name}"] = (EXAMPLE / "public" / name).read_bytes()
        for name in ("site.css", "connection-state.js", "wampush.svg"):
            files[f"/static/{name}"] = (STATIC / name).read_bytes()
        url = stack.enter_context(page_server(files)).url
        with chat(ports, tmp_path):
            first, second = (browser.open(f"{url}/index.html") for _ in range(2))
            for page, name in ((first, "Ann"), (second, "Bob")):
                page.get_by_label("Your name").fill(name)
                page.get_by_role("button", name="Join").click()
                expect(page.locator("#state")).to_have_text(f"Connected as {name}")
            expect(first.locator("#messages li")).to_contain_text(["Bob joined"])
            say(second, "<i>Hello</i>")
            expect(second.locator("#messages li.own p")).to_have_text(["<i>Hello</i>"])
            expect(first.locator("#messages li").last.locator("p")).to_have_text("<i>Hello</i>")
        for page in (first, second):
            expect(page.locator("#state")).to_contain_text(
                re.compile("^(Connection lost – reconnecting|Connecting)")
            )
            expect(page.get_by_role("button", name="Send")).to_be_disabled()
        with chat(ports, tmp_path):
            for page in (first, second):
                expect(page.locator("#state")).to_contain_text("Connected as")
            say(first, "again")
            expect(second.locator("#messages .message").last.locator("p")).to_have_text("again")


def say(page: Page, text: str) -> None:
    """Write a message as a person does."""
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
